"""Firings change along their table; whatever beats fires; tasks are made one way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from core.errors import InvalidInput
from tests import factories
from tests.warmup.schedule_examples import EIGHT, NINE, fired, make_schedule
from warmup import creating, health, jobs, services, store, supervisor
from warmup.models import ScheduleFiring, WarmupAccount, WarmupSchedule, WarmupTask
from warmup.states import FIRING_FINAL, FIRING_TRANSITIONS, FiringStatus

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("before", FiringStatus.values)
@pytest.mark.parametrize("after", FiringStatus.values)
def test_firing_transition_follows_the_table(before: str, after: str) -> None:
    final = EIGHT if before in FIRING_FINAL else None
    firing = ScheduleFiring.objects.create(
        schedule=make_schedule(0), slot=NINE, status=before, completed_at=final
    )

    moved = ScheduleFiring.objects.filter(pk=firing.pk).transition(after, now=NINE)

    firing.refresh_from_db()
    assert moved == (after in FIRING_TRANSITIONS[before])
    assert firing.status == (after if moved else before)


@pytest.mark.parametrize("status", FiringStatus.values)
def test_database_refuses_a_firing_whose_completed_at_does_not_fit(status: str) -> None:
    wrong = None if status in FIRING_FINAL else EIGHT

    with pytest.raises(IntegrityError), transaction.atomic():
        ScheduleFiring.objects.create(schedule=make_schedule(0), slot=NINE, status=status, completed_at=wrong)


def test_create_under_a_name_that_is_taken_is_refused() -> None:
    task = factories.make_task(1, name="evening")
    definition = creating.Definition(
        name="evening",
        playbook=task.playbook,
        site=task.site,
        concurrency=1,
        delay_min_seconds=0,
        delay_max_seconds=0,
        seed=1,
    )

    with pytest.raises(InvalidInput, match="there is a task 'evening' already"):
        creating.create(definition, accounts=None, by=None)


# ---- what beats ------------------------------------------------------------------------------------


def _by_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "reap_orphans", lambda: 0)
    monkeypatch.setattr(supervisor, "close_old_connections", lambda: None)
    supervisor.Watch("main:1:1", lambda: 0, lambda: 1000.0).look()


def _by_the_job(_: pytest.MonkeyPatch) -> None:
    jobs.reconcile()


def _by_the_command(_: pytest.MonkeyPatch) -> None:
    call_command("warmup", "reconcile", stdout=StringIO())


@pytest.mark.parametrize("beat", [_by_the_watch, _by_the_job, _by_the_command])
def test_whatever_beats_fires_what_is_due(
    beat: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make_schedule(1)
    due = timezone.now() - timedelta(minutes=1)
    WarmupSchedule.objects.update(
        rhythm="interval", interval_minutes=1, next_slot_at=due.replace(second=0, microsecond=0)
    )

    beat(monkeypatch)

    assert "STARTED" in [status for _slot, status in fired(schedule)]


def test_health_does_not_take_a_run_for_stuck_as_soon_as_its_time_has_come() -> None:
    now = store.database_now()
    task = factories.make_task(1)
    services.start(task, by=None, not_before=lambda account: now - timedelta(seconds=30))
    WarmupTask.objects.update(moved_at=now - timedelta(hours=2))
    assert health.problems(with_browser=False).get("work") is None
    WarmupAccount.objects.update(available_at=now - timedelta(hours=1))

    assert "could go on" in health.problems(with_browser=False)["work"]
