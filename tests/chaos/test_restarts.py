"""Deploys and deaths of whole clusters and of their parts."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from tests.chaos.checker import check, distribution
from tests.chaos.harness import BUSY, System, chaos_system, names
from tests.chaos.processes import alive, family, send, send_group
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, TIME_LIMIT, pick
from tests.chaos.supervisor import Unit

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

ATTEMPTS = {"WARMUP_MAX_ATTEMPTS": "100"}
PARTS = ("main", "sentinel", "pusher", "monitor")
EXIT_SECONDS = 45
SURVIVAL_SECONDS = 5


# In the small size one system serves several of them in turn.
@pytest.mark.parametrize("whom", pick([("main", "group")], [("main",), ("group",)]), ids="-".join)
def test_restart_by_sigterm_drains_and_loses_nothing(whom: tuple[str, ...]) -> None:
    restarts, accounts = pick(2, 50), pick(12, 60)
    with (
        scenario("-".join(["restarts", *whom])) as running,
        chaos_system(DATABASE, accounts=accounts, clusters=2) as system,
    ):
        begin(system, accounts)
        seconds, survivors = [], 0
        for number in range(restarts):
            unit = system.units[number % 2]
            _until_busy(system, unit)
            time.sleep(running.dice.uniform(0, 2))
            members = family(unit.roles()["main"][0])
            started = time.monotonic()
            if whom[number % len(whom)] == "main":
                send(members[0], signal.SIGTERM)
            else:
                send_group(members[0].pid, signal.SIGTERM)
            system.wait_until(lambda m=members[0]: not alive(m), seconds=EXIT_SECONDS + 10)
            seconds.append(time.monotonic() - started)
            survivors += len(_survivors(members, 1.0))
        system.wait_ended(seconds=pick(120, 600))

        running.counts = {"restarts": restarts, "accounts": accounts}
        running.figures = {"seconds to exit": distribution(seconds), "survivors": survivors}
        running.add(check(system, expected_failures=()))
        assert max(seconds) <= EXIT_SECONDS
        assert not survivors
        assert all(code == 0 for unit in system.units for code in unit.exits)
        assert (
            system.database.value("SELECT max(attempt) FROM chaos_run WHERE was = 'RUNNING' AND base = 0")
            == 1
        )


@pytest.mark.parametrize("parts", pick([PARTS], [(part,) for part in PARTS]), ids="-".join)
def test_killed_part_leaves_no_survivor_and_is_replaced(parts: tuple[str, ...]) -> None:
    kills, accounts = pick(len(PARTS), 20), pick(8, 60)
    with (
        scenario("-".join(["kills-of", *parts])) as running,
        chaos_system(DATABASE, accounts=accounts, clusters=1, **ATTEMPTS) as system,
    ):
        begin(system, accounts)
        unit, survivors, back = system.units[0], 0, []
        for number in range(kills):
            role = parts[number % len(parts)]
            _until_busy(system, unit)
            time.sleep(running.dice.uniform(0, 2))
            members = family(unit.roles()["main"][0])
            victim = unit.roles()[role][0]
            send(victim, signal.SIGKILL)
            # The main process ends by itself when its sentinel is gone, and takes a moment to.
            doomed = members if role in {"main", "sentinel"} else [victim]
            survivors += len(_survivors(doomed, SURVIVAL_SECONDS + (role == "sentinel") * 1.0))
            back.append(system.wait_until(unit.is_up, seconds=30))
        system.wait_ended(seconds=pick(150, 600))

        running.counts = {"kills": kills, "accounts": accounts}
        running.figures = {"survivors": survivors, "seconds until all is back": distribution(back)}
        running.add(check(system))
        assert not survivors


def begin(system: System, accounts: int) -> None:
    system.load(names(accounts), concurrency=16, pace=BUSY)
    system.start_clusters()
    system.verbs("start", task="morning")


def _until_busy(system: System, unit: Unit) -> None:
    """Until workers of this cluster hold runs."""

    def busy() -> bool:
        system.keep_busy()
        held = {worker.pid for worker in system.busy_workers()}
        return unit.is_up() and bool(held & {worker.pid for worker in unit.roles()["worker"]})

    system.wait_until(busy, seconds=120)


def _survivors(members: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Which of these still run after so many seconds."""
    end = time.monotonic() + seconds
    while (left := [member for member in members if alive(member)]) and time.monotonic() < end:
        time.sleep(0.05)
    return left
