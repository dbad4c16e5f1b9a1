"""The database goes away, the broker loses and repeats messages, the disk is full."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.checker import check, distribution, history
from tests.chaos.faults import cut_off, lock_sqlite, purge_broker, small_disk
from tests.chaos.harness import BUSY, QUICK, chaos_system, names
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, TIME_LIMIT, pick

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

ATTEMPTS = {"WARMUP_MAX_ATTEMPTS": "100"}


@pytest.mark.postgres  # only a server can be cut off
def test_outages_of_postgresql_lose_and_repeat_nothing() -> None:
    outages, seconds, accounts = pick(2, 10), pick(5, 30), pick(12, 60)
    with (
        scenario("database-outages", database="postgres") as running,
        chaos_system("postgres", accounts=accounts, clusters=2, proxied=True, **ATTEMPTS) as system,
    ):
        system.load(names(accounts), concurrency=16, pace=BUSY)
        system.start_clusters()
        system.verbs("start", task="morning")
        rounds = 1
        for number in range(outages):
            rounds += system.keep_busy()
            system.wait_until(system.busy_workers, seconds=120)
            time.sleep(running.dice.uniform(0, 3))
            cut_off(system, seconds, frozen=number % 2 == 1)
        system.wait_ended(seconds=pick(150, 600))

        running.counts = {"outages": outages, "seconds each": seconds, "accounts": accounts, "rounds": rounds}
        running.figures = {"restarts of clusters": sum(len(unit.exits) for unit in system.units)}
        running.add(check(system))


@pytest.mark.sqlite  # only SQLite has one lock for all writers
def test_long_lock_on_sqlite_loses_and_repeats_nothing() -> None:
    locks, seconds, accounts = pick(1, 3), pick(8, 40), pick(8, 40)
    with (
        scenario("sqlite-locks", database="sqlite") as running,
        chaos_system("sqlite", accounts=accounts, clusters=1, **ATTEMPTS) as system,
    ):
        system.load(names(accounts), concurrency=16, pace=BUSY)
        system.start_clusters()
        system.verbs("start", task="morning")
        for _ in range(locks):
            system.keep_busy()
            system.wait_until(system.busy_workers, seconds=120)
            time.sleep(running.dice.uniform(0, 3))
            lock_sqlite(system, seconds)
        system.wait_ended(seconds=pick(150, 600))

        running.counts = {"locks": locks, "seconds each": seconds, "accounts": accounts}
        running.figures = {"restarts of clusters": sum(len(unit.exits) for unit in system.units)}
        running.add(check(system))


@pytest.mark.parametrize("broker", ["database", "redis"])
def test_purged_broker_costs_only_time(broker: str) -> None:
    # More tasks at once than there are workers, so that messages wait in the broker.
    purges, at_once, each = pick(6, 24), pick(6, 8), 2
    with (
        scenario(f"broker-purges-{broker}") as running,
        chaos_system(DATABASE, broker=broker, accounts=each * purges, clusters=1) as system,
    ):
        accounts = names(each * purges)
        content = system.load(accounts, concurrency=8)
        task = content["tasks"].pop()
        for number in range(purges):
            own = accounts[each * number : each * (number + 1)]
            content["tasks"].append(task | {"name": f"task{number}", "accounts": own})
        system.verbs("load", content=content)
        system.start_clusters()
        waited, purged = [], 0
        for first in range(0, purges, at_once):
            batch = [f"task{number}" for number in range(first, min(purges, first + at_once))]
            for name in batch:
                system.verbs("start", task=name)
                purged += purge_broker(system)
            started = time.monotonic()
            for name in batch:
                system.wait_until(lambda name=name: set(system.counts(name)) - {"PENDING"}, seconds=90)
                waited.append(time.monotonic() - started)
        system.wait_ended(seconds=pick(120, 300))

        running.counts = {"purges": purges, "messages lost": purged, "accounts": len(accounts)}
        running.figures = {"seconds until work began": distribution(waited)}
        running.add(check(system, expected_failures=()))
        assert purged, "no message was in the broker"
        assert max(waited) <= 60
        assert len(history(system)) == len(accounts)


def test_messages_delivered_five_times_run_everything_once() -> None:
    accounts = pick(16, 200)
    with scenario("messages-x5") as running, chaos_system(DATABASE, accounts=accounts, clusters=2) as system:
        system.database.deliver_times(5)
        system.load(names(accounts), concurrency=16, pace=QUICK)
        system.start_clusters()
        system.verbs("start", task="morning")
        system.wait_ended(seconds=pick(120, 600))

        turns = history(system)
        running.counts = {"accounts": accounts, "deliveries of each message": 5}
        running.add(check(system, expected_failures=()))
        assert len(turns) - sum(turn.became == "PENDING" for turn in turns) == accounts


def test_full_disk_changes_no_result(tmp_path: Path) -> None:
    accounts = pick(10, 60)
    with (
        scenario("full-disk") as running,
        small_disk(tmp_path, pick("200k", "1m")) as data,
        # The gate would not let it come to this.
        chaos_system(
            DATABASE, accounts=accounts, clusters=1, data=data, WARMUP_ARTIFACT_FREE_MIB="0"
        ) as system,
    ):
        system.load(names(accounts), concurrency=8, pace=QUICK)
        system.start_clusters()
        system.verbs("start", task="morning")
        system.wait_ended(seconds=pick(120, 300))

        rows = system.database.rows("SELECT id, size_bytes FROM warmup_artifact")
        files = {path.name: path.stat().st_size for path in (data / "artifacts").rglob("*") if path.is_file()}
        running.counts = {"accounts": accounts}
        running.figures = {"files kept": len(files)}
        running.add(check(system, expected_failures=()))
        assert files == {str(row["id"]).replace("-", ""): row["size_bytes"] for row in rows}
        assert 0 < len(files) < accounts, "the disk was not full"
        assert system.counts() == {"COMPLETED": accounts}
