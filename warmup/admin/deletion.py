"""Deleting tasks: refused while one is not ended, and with all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from core import artifacts
from core.errors import IllegalTransition
from warmup import audit
from warmup.audit import Actor
from warmup.models import Artifact, LogLine, StepRecord, WarmupAccount, WarmupTask
from warmup.states import TASK_FINAL, TaskStatus

DELETABLE = frozenset({TaskStatus.PENDING, *TASK_FINAL})


def refusal(task: WarmupTask) -> str | None:
    """Why a task cannot be deleted, or None when it can."""
    if task.status in DELETABLE:
        return None
    return _("Task “%(task)s” is %(status)s: stop it and wait until it has ended, then delete it.") % {
        "task": task,
        "status": task.status,
    }


def belongings(tasks: Iterable[WarmupTask]) -> dict[str, int]:
    """How many rows of which kind go with these tasks."""
    ids = [task.pk for task in tasks]
    counts = {
        WarmupTask: len(ids),
        WarmupAccount: WarmupAccount.objects.filter(task__in=ids).count(),
        StepRecord: StepRecord.objects.filter(run__task__in=ids).count(),
        LogLine: LogLine.objects.filter(task__in=ids).count(),
        Artifact: Artifact.objects.filter(run__task__in=ids).count(),
    }
    return {str(model._meta.verbose_name_plural): number for model, number in counts.items() if number}


def delete(task: WarmupTask, *, by: Actor) -> None:
    """Delete a task with its runs and their evidence; raises `IllegalTransition` when it is not ended."""
    with transaction.atomic():
        locked = WarmupTask.objects.select_for_update().get(pk=task.pk)
        if reason := refusal(locked):
            raise IllegalTransition(reason)
        files = list(Artifact.objects.filter(run__task=locked).values_list("pk", flat=True))
        audit.record(by, "delete", locked, count=locked.runs.count())
        locked.delete()
        transaction.on_commit(partial(_delete_files, files))


def _delete_files(names: list[UUID]) -> None:
    """After the commit: a file without a row is only waste, a row without a file would be a lie."""
    for name in names:
        artifacts.delete(name)
