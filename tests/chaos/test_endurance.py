"""Many runs through one worker: nothing grows."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import psutil
import pytest

from tests.chaos.checker import check
from tests.chaos.harness import QUICK, System, chaos_system, names
from tests.chaos.processes import family
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, SIZE, TIME_LIMIT, pick

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

MIB = 1024 * 1024
GROWTH_MIB_PER_100 = 2.0
SAMPLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The tree of the qcluster at one moment, browsers and all; memory as its own pages (USS)."""

    runs_ended: int
    python_mib: float
    tree_mib: float
    files: int
    directories: int


def test_memory_and_handles_stay_flat_over_many_runs() -> None:
    accounts, rounds = pick(30, 200), pick(1, 10)
    with (
        scenario("endurance") as running,
        chaos_system(DATABASE, accounts=accounts, clusters=1, QCLUSTER_WORKERS="1") as system,
    ):
        system.load(names(accounts), concurrency=8, pace=QUICK, daily_likes=1000)
        system.start_clusters()
        samples: list[Sample] = []
        for number in range(rounds):
            if number:
                system.verbs("restart", task="morning", which="all")
            else:
                system.verbs("start", task="morning")
            while system.live():
                samples.append(_sample(system, number * accounts))
                time.sleep(SAMPLE_SECONDS)
        report = check(system, expected_failures=())

        total = accounts * rounds
        # The first fifth is warm-up.
        steady = [sample for sample in samples if sample.runs_ended > total / 5]
        running.counts = {"runs": total, "workers": 1}
        slopes = {
            "python MiB per 100 runs": _growth([(s.runs_ended, s.python_mib) for s in steady]),
            "tree MiB per 100 runs": _growth([(s.runs_ended, s.tree_mib) for s in steady]),
            "open files per 100 runs": _growth([(s.runs_ended, s.files) for s in steady]),
        }
        # Of a few runs they say nothing.
        running.figures = (slopes if SIZE == "full" else {}) | {
            "python MiB": [round(steady[0].python_mib), round(steady[-1].python_mib)],
            "most tree MiB": round(max(sample.tree_mib for sample in samples)),
            "most open files": max(sample.files for sample in samples),
            "most temporary directories": max(sample.directories for sample in samples),
        }
        running.add(report)
        assert running.figures["most temporary directories"] <= 2
        if SIZE == "full":
            assert running.figures["python MiB per 100 runs"] < GROWTH_MIB_PER_100
            assert running.figures["tree MiB per 100 runs"] < GROWTH_MIB_PER_100
            assert running.figures["open files per 100 runs"] < 1


def _sample(system: System, before: int) -> Sample:
    python, tree, files = 0.0, 0.0, 0
    main = system.units[0].main
    for process in family(main) if main else []:
        try:
            mine = process.memory_full_info().uss / MIB
            tree += mine
            if "qcluster" in process.cmdline():
                python += mine
                files += process.num_fds()
        except psutil.Error:
            continue
    ended = sum(system.counts().values()) - system.live()
    return Sample(before + ended, python, tree, files, len(system.browsers.directories()))


def _growth(points: list[tuple[int, float]]) -> float:
    """The slope of the line through the points, per 100 runs."""
    if len({runs for runs, _ in points}) < 2:
        return 0.0
    slope = statistics.linear_regression([runs for runs, _ in points], [value for _, value in points]).slope
    return round(slope * 100, 3)
