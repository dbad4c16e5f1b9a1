"""Hosts whose clocks are wrong: the leases are measured by the database's."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.chaos.checker import check, history
from tests.chaos.harness import BUSY, chaos_system, names
from tests.chaos.processes import send
from tests.chaos.results import scenario
from tests.chaos.sizes import TIME_LIMIT, pick

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

COMPILER = shutil.which("cc")
# Fast and slow by ten minutes.
SKEWS = (600, -600)
LEASE_SECONDS = 10
SETTINGS = {
    "WARMUP_MAX_ATTEMPTS": "100",
    "WARMUP_LEASE_SECONDS": str(LEASE_SECONDS),
    "WARMUP_HEARTBEAT_SECONDS": "2",
}


@pytest.mark.postgres  # several hosts share a database server; SQLite's only host has one clock
# The product needs no compiler, and the wrong clock is compiled here: without one there is nothing to try.
@pytest.mark.skipif(COMPILER is None, reason="a wrong clock needs a C compiler (cc)")
def test_wrong_clocks_take_no_run_from_its_owner(tmp_path: Path) -> None:
    freezes, accounts = pick(2, 20), pick(12, 60)
    library = skewed_clock(tmp_path)
    with (
        scenario("wrong-clocks", database="postgres") as running,
        chaos_system("postgres", accounts=accounts, clusters=len(SKEWS), **SETTINGS) as system,
    ):
        for unit, skew in zip(system.units, SKEWS, strict=True):
            unit.environment |= {"LD_PRELOAD": str(library), "SKEW_SECONDS": str(skew)}
        system.load(names(accounts), concurrency=16, pace=BUSY)
        system.start_clusters()
        system.verbs("start", task="morning")
        frozen = 0
        while frozen < freezes:
            system.keep_busy()
            system.wait_until(system.busy_workers, seconds=120)
            time.sleep(running.dice.uniform(0, 2.0))
            for victim in system.busy_workers()[:1]:
                frozen += send(victim, signal.SIGSTOP)
                time.sleep(LEASE_SECONDS + running.dice.uniform(1.0, 4.0))
                send(victim, signal.SIGCONT)
        system.wait_ended(seconds=pick(120, 600))

        turns = history(system)
        # The frozen ones are taken over; of the others, nobody's lease ends early or late.
        taken = sum(turn.became == "PENDING" for turn in turns)
        running.counts = {"freezes": frozen, "accounts": accounts, "turns": len(turns), "taken over": taken}
        running.add(check(system))
        assert taken


def skewed_clock(directory: Path) -> Path:
    """The library that moves a process's time of day."""
    source, library = Path(__file__).with_name("skewed_clock.c"), directory / "skewed_clock.so"
    assert COMPILER
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
