"""Services and store under arbitrary interleavings of people, workers, faults and time.

`MACHINE_EXAMPLES=10000` runs it in full size, with examples of its own choice; the suite has a small,
fixed one.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.warmup.machine_rules import WarmupMachine
from tests.warmup.machine_world import World

pytestmark = pytest.mark.django_db

IN_SUITE = 150
EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", IN_SUITE))


@pytest.mark.timeout(0 if "MACHINE_EXAMPLES" in os.environ else 120)
def test_any_interleaving_leaves_only_legal_states(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.install(monkeypatch)
    monkeypatch.setattr(WarmupMachine, "world", world, raising=False)

    run_state_machine_as_test(
        WarmupMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            derandomize="MACHINE_EXAMPLES" not in os.environ,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
