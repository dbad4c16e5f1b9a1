"""How a run's turn ends: its status, its state, its account's health, its task's status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from core.errors import StateRejected
from core.models import Account, SessionState
from core.text import one_line
from core.types import StorageState
from warmup.models import LogLine, WarmupAccount, WarmupTask
from warmup.states import RunStatus, derive_task_status
from warmup.store.leases import database_now, held, lock_task
from warmup.types import Lease, Outcome

FREE: dict[str, Any] = {"lease_token": None, "lease_until": None, "worker": ""}


def finish(lease: Lease, outcome: Outcome) -> bool:
    """End a run's turn: status, reason, state, health, and the task's status. False: the lease is lost."""
    task_id = WarmupAccount.objects.filter(pk=lease.run_id).values_list("task_id", flat=True).first()
    if task_id is None:
        return False
    with transaction.atomic():
        task = lock_task(task_id)
        run = WarmupAccount.objects.active().filter(held(lease)).select_for_update(no_key=True).first()
        if task is None or run is None:
            return False
        if outcome.status == RunStatus.PENDING and task.stop_requested_at is not None:
            # Nobody claims from a task that is being stopped: given back to it, the run would never end.
            outcome = replace(outcome, status="STOPPED", reason="stopped by a person", detail=outcome.reason)
        now = database_now()
        end_run(run, outcome, now)
        WarmupTask.objects.filter(pk=task_id).update(moved_at=now)
        settle_task(task_id, now)
    return True


def end_run(run: WarmupAccount, outcome: Outcome, now: datetime) -> None:
    """Move a RUNNING run on as its outcome says; the caller holds its lock."""
    status, changes = outcome.status, dict[str, Any](FREE)
    changes["reason"] = one_line(outcome.reason, 500)
    changes["detail"] = one_line(outcome.detail, 500)
    if status == RunStatus.PENDING and not outcome.counts_as_attempt:
        changes["attempt"] = F("attempt") - 1
    elif status == RunStatus.PENDING and run.attempt - run.attempt_base >= settings.WARMUP_MAX_ATTEMPTS:
        status = "FAILED"
    elif status == RunStatus.PENDING:
        changes["available_at"] = now + timedelta(seconds=outcome.retry_after_seconds)
    WarmupAccount.objects.filter(pk=run.pk).transition(status, now=now, **changes)
    if outcome.storage_state is not None:
        _save_state(run, outcome.storage_state, now)
    health: dict[str, object] = {}
    if outcome.logged_in_now:
        health["last_login_at"] = now
    if status == RunStatus.COMPLETED:
        health |= {"last_warmup_at": now, "failures_in_a_row": 0}
    elif status == RunStatus.FAILED:
        health["failures_in_a_row"] = F("failures_in_a_row") + 1
    if health:
        Account.objects.filter(pk=run.account_id).update(**health)


def _save_state(run: WarmupAccount, state: StorageState, now: datetime) -> None:
    """Keep the state as a version; one that could not be restored changes no result."""
    try:
        SessionState.save_version(run.account_id, state)
    except StateRejected as error:
        text = one_line(str(error), 500)
        LogLine.objects.create(
            task_id=run.task_id, run=run, at=now, level="WARNING", event="state_not_saved", text=text
        )


def settle_task(task_id: int, now: datetime) -> None:
    """Give a task the final status that its runs mean, once none is live. The caller holds its lock."""
    task = WarmupTask.objects.active().filter(pk=task_id).first()
    if task is None:
        return
    runs = WarmupAccount.objects.filter(task_id=task_id)
    status = derive_task_status(runs.counts(), stop_requested=task.stop_requested_at is not None)
    if status is not None:
        WarmupTask.objects.filter(pk=task_id).transition(status, now=now)


def expire(task_id: int, *, gone: Sequence[str] = ()) -> int:
    """Take back the runs of a task that nobody works on any more; returns how many.

    Those are the runs whose leases have ended, and those held by the `gone` workers, of which the
    caller knows that they have ended. Back to the queue, to FAILED when the attempts are used up, or to
    STOPPED when a stop is pending.
    """
    with transaction.atomic():
        task = lock_task(task_id)
        if task is None:
            return 0
        now = database_now()
        lost = WarmupAccount.objects.active().filter(Q(lease_until__lte=now) | Q(worker__in=gone))
        runs = list(lost.filter(task_id=task_id).order_by("pk").select_for_update(no_key=True))
        for run in runs:
            _take_back(run, task, now)
        if runs:
            WarmupTask.objects.filter(pk=task_id).update(moved_at=now)
            settle_task(task_id, now)
    return len(runs)


def _take_back(run: WarmupAccount, task: WarmupTask, now: datetime) -> None:
    if task.stop_requested_at is not None:
        outcome = Outcome("STOPPED", reason="stopped; the worker was gone")
    else:
        outcome = Outcome("PENDING", reason=f"attempt {run.attempt}: the worker was lost ({run.worker})")
    end_run(run, outcome, now)
    LogLine.objects.create(
        task=task, run=run, at=now, level="WARNING", event="run_taken_back", text=outcome.reason
    )
