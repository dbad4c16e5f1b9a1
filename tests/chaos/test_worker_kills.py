"""Workers that are killed, or paused for longer than their leases last."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from tests.chaos.checker import check, distribution, history, seconds_to_recover
from tests.chaos.harness import BUSY, System, chaos_system, names
from tests.chaos.processes import send
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, TIME_LIMIT, pick

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

# Far more than a run is killed: what is shown is that none is lost, not that it gives up.
ATTEMPTS = {"WARMUP_MAX_ATTEMPTS": "100"}


def test_workers_killed_at_random_moments_lose_and_repeat_nothing() -> None:
    kills, accounts = pick(5, 200), pick(16, 500)
    with (
        scenario("worker-kills") as running,
        chaos_system(DATABASE, accounts=accounts, clusters=pick(2, 3), **ATTEMPTS) as system,
    ):
        system.load(names(accounts), concurrency=pick(16, 24), pace=BUSY)
        system.start_clusters()
        system.verbs("start", task="morning")
        killed: list[tuple[float, int]] = []
        rounds = 1
        while len(killed) < kills:
            time.sleep(running.dice.uniform(0.5, pick(3.0, 5.0)))
            rounds += system.keep_busy()
            victim = _busy_worker(system, running.dice.random())
            if victim is not None and send(victim, signal.SIGKILL):
                killed.append((time.time(), victim.pid))
        system.wait_ended(seconds=pick(120, 900))

        running.counts = {"kills": len(killed), "accounts": accounts, "rounds": rounds}
        turns = history(system)
        recovered = seconds_to_recover(turns, killed)
        running.figures = {"turns": len(turns), "seconds to resume": distribution(recovered)}
        running.add(check(system))
        assert running.figures["seconds to resume"]["p99"] <= 60


def test_workers_frozen_for_longer_than_their_lease_write_nothing() -> None:
    freezes, accounts, at_once = pick(2, 50), pick(12, 60), 2
    lease = {"WARMUP_LEASE_SECONDS": "10", "WARMUP_HEARTBEAT_SECONDS": "2"}
    with (
        scenario("frozen-workers") as running,
        chaos_system(DATABASE, accounts=accounts, clusters=2, **ATTEMPTS, **lease) as system,
    ):
        system.load(names(accounts), concurrency=16, pace=BUSY)
        system.start_clusters()
        system.verbs("start", task="morning")
        frozen = 0
        rounds = 1
        while frozen < freezes:
            time.sleep(running.dice.uniform(0.2, 2.0))
            rounds += system.keep_busy()
            victims = system.busy_workers()[:at_once]
            stopped = [victim for victim in victims if send(victim, signal.SIGSTOP)]
            if stopped:
                time.sleep(10 + running.dice.uniform(1.0, 6.0))
            for victim in stopped:
                send(victim, signal.SIGCONT)
            frozen += len(stopped)
        system.wait_ended(seconds=pick(120, 600))

        turns = history(system)
        taken = sum(turn.became == "PENDING" for turn in turns)
        running.counts = {
            "freezes": frozen,
            "accounts": accounts,
            "rounds": rounds,
            "turns taken over": taken,
        }
        running.add(check(system))
        assert taken


def _busy_worker(system: System, where: float) -> psutil.Process | None:
    workers = system.busy_workers()
    return workers[int(where * len(workers))] if workers else None
