"""Renderers, browsers and drivers that die or freeze under the runs."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.chaos.checker import check, distribution, history
from tests.chaos.harness import BUSY, System, chaos_system, names
from tests.chaos.processes import send
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, TIME_LIMIT, pick

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

SETTINGS = {"WARMUP_MAX_ATTEMPTS": "100", "WARMUP_STEP_TIMEOUT_SECONDS": "15"}

Find = Callable[[System], list[psutil.Process]]

# name: (how to find a victim, the signal, how many in full size)
FAULTS: dict[str, tuple[Find, signal.Signals, int]] = {
    "renderer-kills": (lambda system: system.browsers.renderers(), signal.SIGKILL, 50),
    "browser-kills": (lambda system: system.browsers.roots(), signal.SIGKILL, 50),
    "driver-kills": (lambda system: system.browsers.drivers(), signal.SIGKILL, 20),
    "frozen-drivers": (lambda system: system.browsers.drivers(), signal.SIGSTOP, 20),
}
RENDERERS, *OTHERS = FAULTS


# In the small size one system serves several of them in turn.
@pytest.mark.parametrize(
    "faults", [(RENDERERS,), *pick([tuple(OTHERS)], [(name,) for name in OTHERS])], ids="-".join
)
def test_dying_and_freezing_browsers_are_contained(faults: tuple[str, ...]) -> None:
    times, accounts = pick(3, FAULTS[faults[0]][2]), pick(8, 60)
    with (
        scenario("-".join(faults)) as running,
        chaos_system(DATABASE, accounts=accounts, clusters=1, **SETTINGS) as system,
    ):
        system.load(names(accounts), concurrency=16, pace=BUSY)
        system.start_clusters()
        system.verbs("start", task="morning")
        hit: list[float] = []
        rounds = 1
        while len(hit) < times:
            rounds += system.keep_busy()
            system.wait_until(lambda: system.running() or not system.live(), seconds=120)
            time.sleep(running.dice.uniform(0.5, 2.0))
            find, number, _ = FAULTS[faults[len(hit) % len(faults)]]
            if _strike(find(system), number, running.dice):
                hit.append(time.time())
        system.wait_ended(seconds=pick(150, 600))

        turns = history(system)
        interrupted = [turn for turn in turns if turn.became == "PENDING"]
        running.counts = {"faults": len(hit), "accounts": accounts, "rounds": rounds}
        running.figures = {"interrupted turns": len(interrupted)}
        if faults != (RENDERERS,):
            # From a fault to the next time that any run is taken: a new browser is there.
            begins = sorted(turn.began for turn in turns)
            again = [next((b - at for b in begins if b > at), 0.0) for at in hit]
            running.figures["seconds until a run is taken again"] = distribution(again)
        running.add(check(system))
        if faults == (RENDERERS,):
            assert len(interrupted) <= len(hit), "a renderer's death reached other contexts"


def _strike(victims: list[psutil.Process], number: signal.Signals, dice: random.Random) -> bool:
    stopped = psutil.STATUS_STOPPED
    fresh = [victim for victim in victims if victim.is_running() and victim.status() != stopped]
    return bool(fresh) and send(dice.choice(fresh), number)
