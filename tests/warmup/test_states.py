"""The transition tables, and that nothing but `transition()` writes a status."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from core.errors import IllegalTransition
from tests import factories
from warmup import states
from warmup.models import WarmupAccount, WarmupTask
from warmup.states import RunStatus, TaskStatus, derive_task_status

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASK_PAIRS = list(product(TaskStatus.values, TaskStatus.values))
RUN_PAIRS = list(product(RunStatus.values, RunStatus.values))


@pytest.mark.parametrize(
    ("transitions", "statuses"),
    [(states.TASK_TRANSITIONS, TaskStatus), (states.RUN_TRANSITIONS, RunStatus)],
)
def test_table_is_total_and_names_known_statuses(transitions: Any, statuses: Any) -> None:
    assert set(transitions) == set(statuses.values)
    assert {target for targets in transitions.values() for target in targets} <= set(statuses.values)


@pytest.mark.django_db
@pytest.mark.parametrize(("before", "after"), TASK_PAIRS)
def test_task_transition_follows_the_table(before: str, after: str) -> None:
    task = factories.task_in(before)

    moved = WarmupTask.objects.filter(pk=task.pk).transition(after, now=NOW)

    task.refresh_from_db()
    assert moved == (after in states.TASK_TRANSITIONS[before])
    assert task.status == (after if moved else before)
    assert (task.completed_at is not None) == (task.status in states.TASK_FINAL)


@pytest.mark.django_db
@pytest.mark.parametrize(("before", "after"), RUN_PAIRS)
def test_run_transition_follows_the_table(before: str, after: str) -> None:
    run = factories.run_in(before)
    lease = (
        {"lease_token": "0" * 32, "lease_until": NOW}
        if after == RunStatus.RUNNING
        else {"lease_token": None, "lease_until": None}
    )

    moved = WarmupAccount.objects.filter(pk=run.pk).transition(after, now=NOW, **lease)

    run.refresh_from_db()
    assert moved == (after in states.RUN_TRANSITIONS[before])
    assert run.status == (after if moved else before)
    assert (run.completed_at is not None) == (run.status in states.RUN_FINAL)


@pytest.mark.django_db
def test_transition_one_names_the_present_status() -> None:
    task = factories.task_in(TaskStatus.COMPLETED)

    with pytest.raises(IllegalTransition, match="COMPLETED: it cannot become PAUSED"):
        WarmupTask.objects.filter(pk=task.pk).transition_one(TaskStatus.PAUSED, now=NOW)


@pytest.mark.django_db
def test_transition_one_of_a_row_that_is_gone_says_so() -> None:
    with pytest.raises(IllegalTransition, match="is gone"):
        WarmupTask.objects.filter(pk=0).transition_one(TaskStatus.PAUSED, now=NOW)


@pytest.mark.django_db
@pytest.mark.parametrize("status", TaskStatus.values)
def test_database_refuses_a_task_whose_completed_at_does_not_fit(status: str) -> None:
    task = factories.make_task(1)
    wrong = None if status in states.TASK_FINAL else NOW

    with pytest.raises(IntegrityError), transaction.atomic():
        WarmupTask.objects.filter(pk=task.pk).update(status=status, completed_at=wrong)


@pytest.mark.django_db
def test_database_refuses_a_second_active_run_of_an_account() -> None:
    run = factories.run_in(RunStatus.RUNNING)
    other = factories.make_task(0, site=run.task.site)
    second = WarmupAccount.objects.create(task=other, account=run.account, seed=1)

    with pytest.raises(IntegrityError), transaction.atomic():
        WarmupAccount.objects.filter(pk=second.pk).update(
            status=RunStatus.RUNNING, lease_token="1" * 32, lease_until=NOW
        )


@pytest.mark.django_db
def test_database_refuses_a_lease_without_running() -> None:
    run = factories.run_in(RunStatus.PENDING)

    with pytest.raises(IntegrityError), transaction.atomic():
        WarmupAccount.objects.filter(pk=run.pk).update(lease_token="1" * 32, lease_until=NOW)


@pytest.mark.parametrize(
    ("counts", "stop", "expected"),
    [
        ({"COMPLETED": 3}, False, TaskStatus.COMPLETED),
        ({"COMPLETED": 3}, True, TaskStatus.COMPLETED),
        ({"COMPLETED": 2, "PENDING": 1}, False, None),
        ({"COMPLETED": 2, "RUNNING": 1}, True, None),
        ({"COMPLETED": 2, "FAILED": 1}, False, TaskStatus.PARTIAL),
        ({"COMPLETED": 2, "PARKED": 1}, False, TaskStatus.PARTIAL),
        ({"COMPLETED": 2, "STOPPED": 1}, True, TaskStatus.STOPPED),
        ({"PARKED": 1, "FAILED": 1}, False, TaskStatus.FAILED),
        ({}, False, TaskStatus.FAILED),
        ({}, True, TaskStatus.STOPPED),
    ],
)
def test_task_status_is_derived_from_its_runs(counts: Any, stop: bool, expected: Any) -> None:
    assert derive_task_status(counts, stop_requested=stop) == expected


def test_nothing_but_transition_writes_a_status() -> None:
    """`update(status=...)` and `x.status = ...` stand in `models/status.py` only."""
    found = []
    for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("warmup/**/*.py")]:
        if "migrations" in path.parts or path.name == "status.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"update", "bulk_update"}:
                found += [(path.name, node.lineno) for word in node.keywords if word.arg == "status"]
            if isinstance(node, ast.Assign):
                found += [
                    (path.name, node.lineno)
                    for target in node.targets
                    if isinstance(target, ast.Attribute)
                    and target.attr == "status"
                    and not (isinstance(target.value, ast.Name) and target.value.id == "self")
                ]
    assert found == []


def test_the_diagram_in_the_docs_is_the_table() -> None:
    assert (ROOT / "docs" / "states.md").read_text() == states.document()
