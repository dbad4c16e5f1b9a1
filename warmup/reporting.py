"""What can be seen of tasks, runs, plans and logs, as plain JSON values: for commands and for the admin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, FloatField, Sum, Value, When
from django.db.models.functions import Cast

from warmup import queue, store
from warmup.models import LogLine, WarmupAccount, WarmupTask
from warmup.playbooks.expand import expand, run_seed, start_delay
from warmup.states import RUN_FINAL, TASK_CLAIMABLE, TASK_FINAL, RunStatus, TaskStatus

# How far a run is, from 0 to 1. A parked one is as far as it gets without a person.
_RUN_PROGRESS = Case(
    When(status__in=[*RUN_FINAL, RunStatus.PARKED], then=Value(1.0)),
    When(steps_total__gt=0, then=Cast(F("cursor"), FloatField()) / Cast(F("steps_total"), FloatField())),
    default=Value(0.0),
    output_field=FloatField(),
)


def progress(task_ids: list[int]) -> dict[int, float]:
    """How far each task is, from 0 to 1, in one query; a task without runs is at 0."""
    rows = (
        WarmupAccount.objects.filter(task_id__in=task_ids)
        .order_by()
        .values("task_id")
        .annotate(done=Sum(_RUN_PROGRESS), total=Count("pk"))
    )
    found = {row["task_id"]: row["done"] / row["total"] for row in rows}
    return {task_id: round(found.get(task_id, 0.0), 4) for task_id in task_ids}


def task_summary(task: WarmupTask) -> dict[str, Any]:
    """A task without its accounts."""
    return _summary(task, progress([task.pk])[task.pk], task.runs.counts())


def all_tasks() -> list[dict[str, Any]]:
    """Every task without its accounts, newest first, in two queries."""
    tasks = list(WarmupTask.objects.all())
    done = progress([task.pk for task in tasks])
    counts: dict[int, dict[str, int]] = {task.pk: dict.fromkeys(RunStatus.values, 0) for task in tasks}
    rows = WarmupAccount.objects.order_by().values_list("task_id", "status").annotate(n=Count("pk"))
    for task_id, status, n in rows:
        counts[task_id][status] = n
    return [_summary(task, done[task.pk], counts[task.pk]) for task in tasks]


def _summary(task: WarmupTask, done: float, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": task.pk,
        "name": task.name,
        "status": str(task.status),
        "progress": done,
        "started_at": _iso(task.started_at),
        "completed_at": _iso(task.completed_at),
        "counts": dict(counts),
    }


def task_status(task: WarmupTask) -> dict[str, Any]:
    """The whole of `warmup status TASK --json`."""
    blockers = Blockers(task)
    runs = task.runs.select_related("account").order_by("pk")
    return task_summary(task) | {
        "stop_requested_at": _iso(task.stop_requested_at),
        "accounts": [_account(run, blockers) for run in runs.iterator(chunk_size=1000)],
    }


def _account(run: WarmupAccount, blockers: Blockers) -> dict[str, Any]:
    return {
        "username": run.account.username,
        "status": str(run.status),
        "attempt": run.attempt,
        "step": run.cursor,
        "steps": run.steps_total,
        "started_at": _iso(run.started_at),
        "completed_at": _iso(run.completed_at),
        "reason": run.reason,
        "detail": run.detail,
        "waiting_for": blockers.of(run),
    }


class Blockers:
    """Why runs of a task wait: what they share is looked up once, the accounts' other tasks in one query."""

    def __init__(self, task: WarmupTask) -> None:
        self.task = task
        self.now = store.database_now()
        waiting = task.runs.filter(status=RunStatus.PENDING).values("account_id")
        holders = WarmupAccount.objects.active().filter(account__in=waiting).exclude(task=task)
        self.holders: Mapping[int, str] = dict(holders.values_list("account_id", "task__name"))
        self.shared = self._shared()

    def _shared(self) -> str:
        """What stands in the way of every waiting run of the task."""
        task = self.task
        if task.status not in TASK_CLAIMABLE:
            return f"the task is {task.status}"
        if not queue.live_workers():
            return "a worker: none is alive"
        running = task.runs.active().count()
        if running >= task.concurrency:
            return f"a free slot: {running} of {task.concurrency} are in use"
        if store.free_slots(task, task.site) < 1:
            return f"a free slot on site '{task.site}': {task.site.concurrency} at once"
        return "a worker"

    def of(self, run: WarmupAccount) -> str | None:
        """What this run waits for, in words; None when it does not wait."""
        if run.status == RunStatus.PARKED:
            return f"a person: {run.reason}"
        if run.status != RunStatus.PENDING:
            return None
        if self.task.status == TaskStatus.PAUSED:
            return self.shared
        if run.available_at and run.available_at > self.now:
            first = run.attempt == run.attempt_base
            return f"{'its time,' if first else 'backing off until'} {_iso(run.available_at)}"
        if run.account_id in self.holders:
            return f"the account: busy in task '{self.holders[run.account_id]}'"
        return self.shared


def plans(task: WarmupTask) -> Iterator[dict[str, Any]]:
    """The concrete steps of each account that the task has, or would have if it were started now."""
    spec = task.playbook.spec()
    for account in task.selected_accounts().iterator(chunk_size=1000):
        seed = run_seed(task.seed, task.site.slug, account.username)
        yield {
            "username": account.username,
            "seed": seed,
            "delay_seconds": start_delay(seed, task.delay_min_seconds, task.delay_max_seconds),
            "steps": [
                {
                    "index": step.index,
                    "place": step.place,
                    "do": step.do,
                    "label": step.label,
                    "effect": step.effect,
                }
                for step in expand(spec, seed)
            ],
        }


def log_lines(
    task: WarmupTask, *, after: int = 0, username: str | None = None, level: str = "DEBUG"
) -> Iterator[dict[str, Any]]:
    """The task's log lines after the one with id `after`, at `level` or above, oldest first."""
    levels = list(LogLine.Level.values)
    lines = LogLine.objects.filter(task=task, pk__gt=after, level__in=levels[levels.index(level) :])
    if username is not None:
        lines = lines.filter(run__account__username=username)
    for line in lines.select_related("run__account").order_by("pk").iterator(chunk_size=1000):
        yield {
            "id": line.pk,
            "at": _iso(line.at),
            "level": line.level,
            "event": line.event,
            "username": line.run.account.username if line.run else None,
            "text": line.text,
        }


def has_ended(task: WarmupTask) -> bool:
    """Whether the task has ended, asked of the database now."""
    return WarmupTask.objects.filter(pk=task.pk, status__in=TASK_FINAL).exists()


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
