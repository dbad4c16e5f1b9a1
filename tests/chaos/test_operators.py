"""Operators who stop, force, start fifty times and let tasks fight for accounts."""

from __future__ import annotations

import signal
import time
from itertools import count
from typing import Any

import pytest

from tests.chaos.checker import check, distribution, history
from tests.chaos.harness import QUICK, System, chaos_system, names
from tests.chaos.processes import send
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, TIME_LIMIT, pick

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

EFFECT_SECONDS = 5.0
# Accounts whose pages hang, drip, and run an endless loop, among the ordinary ones.
HOSTILE = ("hang", "drip", "busy-late")
STOPPED_ANYWAY = ("stopped", "not done after", "answer", "worker was lost")


@pytest.mark.parametrize("how", ["stop", "force-stop"])
def test_stop_at_any_moment_takes_effect_and_nothing_follows(how: str) -> None:
    stops, at_once = pick(6, 100), pick(2, 4)
    with (
        scenario(how) as running,
        chaos_system(DATABASE, accounts=3 * stops, clusters=2) as system,
    ):
        tasks = _tasks_of_their_own(system, stops)
        system.start_clusters()
        seconds: list[float] = []
        for first in range(0, stops, at_once):
            batch = tasks[first : first + at_once]
            for name in batch:
                system.verbs("start", task=name)
            for name in batch:
                # Before its first step, in the middle of one, near its end: wherever the moment falls.
                time.sleep(running.dice.uniform(0.0, 2.5))
                seconds += _stop(system, name, how)
        system.wait_ended(seconds=60)

        running.counts = {"stops": stops, "tasks with hanging pages": stops // 2}
        running.figures = {"seconds until the runs had ended": distribution(seconds)}
        running.add(check(system, expected_failures=STOPPED_ANYWAY))
        assert running.figures["seconds until the runs had ended"]["p99"] <= EFFECT_SECONDS


def test_force_stop_needs_no_worker_that_answers() -> None:
    times = pick(1, 10)
    with (
        scenario("force-stop-of-frozen-workers") as running,
        chaos_system(DATABASE, accounts=3 * times, clusters=1) as system,
    ):
        tasks = _tasks_of_their_own(system, times)
        system.start_clusters()
        seconds: list[float] = []
        for name in tasks:
            system.verbs("start", task=name)
            system.wait_until(system.busy_workers, seconds=60)
            # Soon: a run that has ended by then shows nothing.
            time.sleep(running.dice.uniform(0.0, 0.5))
            frozen = [worker for worker in system.busy_workers() if send(worker, signal.SIGSTOP)]
            seconds += _stop(system, name, "force-stop")
            for worker in frozen:
                send(worker, signal.SIGCONT)
        system.wait_ended(seconds=60)

        running.counts = {"force stops": times}
        running.figures = {"seconds until the runs had ended": distribution(seconds)}
        running.add(check(system, expected_failures=STOPPED_ANYWAY))
        assert max(seconds) <= EFFECT_SECONDS


def test_fifty_starts_at_once_start_one_task() -> None:
    rounds = pick(1, 10)
    with scenario("starts-at-once") as running, chaos_system(DATABASE, accounts=3 * rounds) as system:
        tasks = _tasks_of_their_own(system, rounds)

        successes = [system.verbs("start_at_once", task=name, times=50) for name in tasks]

        running.counts = {"rounds": rounds, "starts each": 50}
        running.figures = {"successes": successes}
        assert successes == [1] * rounds
        assert system.counts() == {"PENDING": 3 * rounds}


def test_tasks_that_collide_on_accounts_never_hold_one_twice() -> None:
    tasks, accounts = pick(6, 100), pick(4, 5)
    with (
        scenario("collisions") as running,
        chaos_system(DATABASE, accounts=accounts, clusters=2) as system,
    ):
        content = system.load(names(accounts), concurrency=4, pace=QUICK)
        task = content["tasks"].pop()
        content["tasks"] = [task | {"name": f"task{number}", "seed": number} for number in range(tasks)]
        system.verbs("load", content=content)
        system.start_clusters()
        for number in range(tasks):
            system.verbs("start", task=f"task{number}")
        system.wait_ended(seconds=pick(150, 1500))

        running.counts = {"tasks": tasks, "accounts": accounts}
        running.figures = {"turns": len(history(system))}
        running.add(check(system, expected_failures=()))
        assert system.counts() == {"COMPLETED": tasks * accounts}


def _tasks_of_their_own(system: System, tasks: int) -> list[str]:
    """Load so many tasks, each with accounts of its own: two ordinary ones, and in every second task one
    whose page hangs, else a third."""
    ordinary = iter(names(3 * tasks))
    numbers = count(1)
    selections = []
    for task in range(tasks):
        third = f"{HOSTILE[task // 2 % 3]}{next(numbers):03d}" if task % 2 else next(ordinary)
        selections.append([next(ordinary), next(ordinary), third])
    content: dict[str, Any] = system.load([name for own in selections for name in own], concurrency=3)
    template = content["tasks"].pop()
    for number, own in enumerate(selections):
        content["tasks"].append(template | {"name": f"task{number}", "accounts": own})
    system.verbs("load", content=content)
    return [task["name"] for task in content["tasks"]]


def _stop(system: System, name: str, how: str) -> list[float]:
    """Stop a task and wait; returns, of each run that was live, the seconds until it had ended."""
    asked = time.time()
    try:
        system.verbs("stop", task=name, force=how == "force-stop")
    except RuntimeError as error:
        if "it has ended already" not in str(error):
            raise
        return []
    system.wait_ended(name, seconds=60)
    rows = system.database.rows(
        "SELECT h.at FROM chaos_run h JOIN warmup_warmupaccount r ON r.id = h.run"
        " JOIN warmup_warmuptask t ON t.id = r.task_id"
        " WHERE t.name = ? AND h.was <> h.now AND h.now = 'STOPPED'",
        [name],
    )
    return [row["at"] - asked for row in rows]
