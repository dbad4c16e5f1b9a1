"""How statuses and progress look. Everything here returns HTML that is safe to show."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Choices, Model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from warmup.admin.board import Board
from warmup.models import LogLine, StepRecord
from warmup.states import ParkReason, RunStatus, TaskStatus

# unfold's kinds of label.
PLAIN, INFO, GOOD, WARN, BAD, BUSY = "", "info", "success", "warning", "danger", "primary"

TASK_LABELS: Mapping[str, str] = {
    TaskStatus.PENDING: PLAIN,
    TaskStatus.QUEUED: BUSY,
    TaskStatus.RUNNING: INFO,
    TaskStatus.PAUSED: WARN,
    TaskStatus.COMPLETED: GOOD,
    TaskStatus.PARTIAL: WARN,
    TaskStatus.FAILED: BAD,
    TaskStatus.STOPPED: PLAIN,
}
RUN_LABELS: Mapping[str, str] = {
    RunStatus.PENDING: PLAIN,
    RunStatus.RUNNING: INFO,
    RunStatus.PARKED: WARN,
    RunStatus.COMPLETED: GOOD,
    RunStatus.FAILED: BAD,
    RunStatus.STOPPED: PLAIN,
}
STEP_LABELS: Mapping[str, str] = {
    StepRecord.Result.INTENT: INFO,
    StepRecord.Result.DONE: GOOD,
    StepRecord.Result.SKIPPED: PLAIN,
    StepRecord.Result.FAILED: BAD,
}
LEVEL_LABELS: Mapping[str, str] = {
    LogLine.Level.DEBUG: PLAIN,
    LogLine.Level.INFO: INFO,
    LogLine.Level.WARNING: WARN,
    LogLine.Level.ERROR: BAD,
}


def badge(value: str, choices: type[Choices], labels: Mapping[str, str]) -> SafeString:
    """A value of `choices` as a coloured label."""
    return label(labels.get(value, PLAIN), dict(choices.choices).get(value, value))


def label(kind: str, text: object) -> SafeString:
    """A coloured label of one of unfold's kinds."""
    return render_to_string("unfold/helpers/label.html", {"type": kind, "text": text})


def task_badge(status: str) -> SafeString:
    return badge(status, TaskStatus, TASK_LABELS)


def run_badge(status: str) -> SafeString:
    return badge(status, RunStatus, RUN_LABELS)


def step_badge(result: str) -> SafeString:
    return badge(result, StepRecord.Result, STEP_LABELS)


def level_badge(level: str) -> SafeString:
    return badge(level, LogLine.Level, LEVEL_LABELS)


def reason_text(status: str, reason: str) -> str:
    """A run's reason for a person: the kinds of parking in words, the others as they are."""
    if status == RunStatus.PARKED and reason in ParkReason.values:
        return str(ParkReason(reason).label)
    return reason


def meter(board: Board, name: str) -> SafeString:
    """The progress bar of a task: what has ended by its end, and how far the rest is."""
    return render_to_string("warmup/admin/parts/meter.html", {"board": board, "name": name})


def counts(board: Board, *, words: bool = False) -> SafeString:
    """How many accounts have each status, with the statuses in `words` too; each leads to its runs."""
    items = []
    for status, number in board.counts.items():
        if number:
            label = RunStatus(status).label
            items.append(
                {
                    "id": f"task-{board.task_id}-count-{status}",
                    "number": number,
                    "badge": RUN_LABELS[status],
                    "label": label,
                    "text": f"{number} {label}" if words else number,
                    "url": list_url("warmupaccount", task__id__exact=board.task_id, status__exact=status),
                }
            )
    return render_to_string("warmup/admin/parts/counts.html", {"items": items})


def list_url(name: str, /, **filters: str | int) -> str:
    """The list of a model of this app (by its model name), filtered."""
    url = reverse(f"admin:warmup_{name}_changelist")
    return f"{url}?{urlencode(filters)}" if filters else url


def object_url(item: Model) -> str:
    """The page of a row."""
    return reverse(f"admin:{item._meta.app_label}_{item._meta.model_name}_change", args=[item.pk])


def link(item: Model | None, text: object = None) -> SafeString:
    """A link to the page of a row."""
    if item is None:
        return mark_safe("-")
    return format_html(
        '<a class="text-link" href="{}">{}</a>', object_url(item), item if text is None else text
    )
