"""One scenario: its figures, printed with the seed, and kept when `tools.chaos` asks for it."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.checker import Report
from tests.chaos.sizes import DATABASE, SEED, SIZE


@dataclass
class Scenario:
    """What was done, `counts`, and what was measured, `figures`; filled by the test."""

    name: str
    dice: random.Random
    counts: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """The checker's report; fails when something is wrong."""
        self.figures |= {name: value for name, value in asdict(report).items() if name != "faults"}
        assert not report.faults, "\n".join([f"{len(report.faults)} faults", *report.faults[:40]])


@contextmanager
def scenario(name: str, *, database: str = DATABASE) -> Iterator[Scenario]:
    """Runs the body of a test; prints its figures, and appends them to the file `CHAOS_RESULTS`."""
    _say(f"chaos: {name}, {database}, size {SIZE}, CHAOS_SEED={SEED}")
    running = Scenario(name, random.Random(f"{SEED}{name}"))
    started = time.monotonic()
    try:
        yield running
    except Exception as error:
        _keep(running, database, started, str(error).partition("\n-- ")[0][:2000] or type(error).__name__)
        raise
    # Neither a skipped scenario nor one that a person ended has a result.
    _keep(running, database, started, "")


def _keep(running: Scenario, database: str, started: float, failure: str) -> None:
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scenario": running.name,
        "database": database,
        "size": SIZE,
        "seed": SEED,
        "seconds": round(time.monotonic() - started),
        "passed": not failure,
        "failure": failure,
        "counts": running.counts,
        "figures": running.figures,
    }
    _say(f"chaos: {json.dumps(line)}")
    if path := os.environ.get("CHAOS_RESULTS"):
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")


def _say(line: str) -> None:
    """For pytest's captured output, which it shows with a failure."""
    sys.stdout.write(f"{line}\n")
