"""django-q2's own deadlock: an idle worker that dies may take the queue's lock with it."""

from __future__ import annotations

import signal
import time

import pytest

from tests.chaos.checker import check, distribution
from tests.chaos.harness import QUICK, chaos_system, names
from tests.chaos.processes import send
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, SIZE, TIME_LIMIT, pick
from tests.chaos.supervisor import HealthTimer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

HEALED_SECONDS = 120


# The health check may call a queue dead only after a minute without a sign of life, so healing one takes
# longer than all else of the small size; its parts have tests of their own (test_supervisor, test_health).
@pytest.mark.skipif(SIZE == "small", reason="waits for a minute and a half, and longer: CHAOS_N=full")
def test_deadlocked_queue_is_noticed_and_healed() -> None:
    times, accounts = pick(1, 5), 4
    with (
        scenario("idle-worker-kills") as running,
        chaos_system(DATABASE, accounts=accounts * times, clusters=1) as system,
    ):
        content = system.load(names(accounts * times), concurrency=4, pace=QUICK)
        task = content["tasks"].pop()
        for number in range(times):
            own = names(accounts * times)[accounts * number : accounts * (number + 1)]
            content["tasks"].append(task | {"name": f"task{number}", "accounts": own})
        system.verbs("load", content=content)
        system.start_clusters()
        unit = system.units[0]
        healed = []
        with HealthTimer(system.units, system.environment) as timer:
            for number in range(times):
                system.wait_until(lambda: unit.is_up() and not system.browsers.processes(), seconds=60)
                # All of them: one waits at the queue with its lock in hand.
                for worker in unit.roles()["worker"]:
                    send(worker, signal.SIGKILL)
                killed = time.monotonic()
                system.verbs("start", task=f"task{number}")
                system.wait_until(lambda n=number: system.counts(f"task{n}").get("COMPLETED"), seconds=240)
                healed.append(time.monotonic() - killed)
            system.wait_ended(seconds=120)

        running.counts = {"kills of all idle workers": times}
        running.figures = {
            "seconds until a run was completed": distribution(healed),
            "restarts of clusters": len(unit.exits),
            "complaints of the health check": timer.complaints,
        }
        running.add(check(system, expected_failures=()))
        assert unit.exits, "the queue was never deadlocked"
        assert max(healed) <= HEALED_SECONDS
