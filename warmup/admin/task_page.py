"""The page of one task: where it stands, what can be done, its runs, its log, who asked for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from core.admin import duration, moment
from warmup.admin import failures
from warmup.admin.board import Board, boards
from warmup.admin.display import (
    counts,
    level_badge,
    list_url,
    meter,
    object_url,
    reason_text,
    run_badge,
    task_badge,
)
from warmup.admin.steps import steps_html
from warmup.admin.verbs import VERBS, selection_sizes, valid_verbs
from warmup.models import AuditEntry, LogLine, WarmupAccount, WarmupTask
from warmup.reporting import Blockers
from warmup.states import RunStatus, TaskStatus

RUNS_PER_PAGE = 25
LOG_LINES = 50
AUDIT_ENTRIES = 20
LEVELS = tuple(LogLine.Level.values)


@dataclass(frozen=True, slots=True)
class Shown:
    """Which part of the runs and of the log the page shows."""

    page: int = 1
    level: str = "INFO"

    @classmethod
    def of(cls, request: HttpRequest) -> Shown:
        """What the address asks for; nonsense counts as nothing."""
        page, level = request.GET.get("page", ""), request.GET.get("level", "")
        return cls(
            page=int(page) if page.isdecimal() and len(page) < 9 else 1,
            level=level if level in LEVELS else "INFO",
        )

    def query(self, **changes: str | int) -> str:
        """The address's query for this, with changes."""
        return urlencode({"page": self.page, "level": self.level, **changes})


def context(request: HttpRequest, task: WarmupTask, *, control: bool) -> dict[str, Any]:
    """Everything on the page."""
    entries = AuditEntry.objects.filter(task_key=task.pk)
    return live_context(request, task, control=control) | {
        "title": str(task),
        "task": task,
        "steps": steps_html(task.playbook),
        "audit": [
            {"entry": entry, "at": moment(entry.at)} for entry in entries.order_by("-pk")[:AUDIT_ENTRIES]
        ],
        "created": moment(task.created_at),
        "site_url": object_url(task.site),
        "playbook_url": object_url(task.playbook),
    }


def live_context(request: HttpRequest, task: WarmupTask, *, control: bool) -> dict[str, Any]:
    """What moves: progress, controls, runs and log."""
    shown = Shown.of(request)
    board = boards([task])[task.pk]
    verbs = [verb.name for verb in valid_verbs(board)] if control else []
    live = reverse("admin:warmup_warmuptask_live", args=[task.pk])
    # The controls are sent again only when they change: a dialog may be opening from one of them.
    state = "-".join([board.status, *verbs])
    failed = board.counts[RunStatus.FAILED]
    return failures.context(request, task, failed, control=control) | {
        "task_id": task.pk,
        "board": board,
        "badge": task_badge(board.status),
        "meter": meter(board, task.name),
        "counts": counts(board, words=True),
        "waiting_accounts": selection_sizes([task.pk])[task.pk]
        if board.status == TaskStatus.PENDING
        else None,
        "parked": _parked(board),
        "stop_requested": moment(task.stop_requested_at) if board.stop_requested else "",
        "started": moment(task.started_at),
        "completed": moment(task.completed_at),
        "took": duration(_seconds(task)) if task.started_at else "",
        "controls": [
            {"verb": VERBS[name], "url": reverse("admin:warmup_warmuptask_verb", args=[task.pk, name])}
            for name in verbs
        ],
        "controls_changed": request.GET.get("shown") != state,
        "runs": _runs(task, shown),
        "runs_url": list_url("warmupaccount", task__id__exact=task.pk),
        "log": _log(task, shown),
        "log_url": list_url("logline", task__id__exact=task.pk),
        "levels": [
            {"name": name, "query": shown.query(level=name), "current": name == shown.level}
            for name in LEVELS
        ],
        "shown": shown,
        "live_url": f"{live}?{shown.query(shown=state, failed=failed)}",
    }


def _seconds(task: WarmupTask) -> float:
    assert task.started_at is not None  # noqa: S101  # asked for only then
    return ((task.completed_at or timezone.now()) - task.started_at).total_seconds()


def _parked(board: Board) -> list[dict[str, Any]]:
    """The parked runs by what helps them, each with its list."""
    url: dict[str, str | int] = {"task__id__exact": board.task_id, "status__exact": RunStatus.PARKED}
    kinds = [
        {
            "doubt": True,
            "number": board.in_doubt,
            "url": list_url("warmupaccount", **url, reason__exact="in_doubt"),
        },
        {"doubt": False, "number": board.solvable, "url": list_url("warmupaccount", **url)},
    ]
    return [kind for kind in kinds if kind["number"]]


def _runs(task: WarmupTask, shown: Shown) -> dict[str, Any]:
    runs = task.runs.select_related("account").order_by("pk")
    page: Page[WarmupAccount] = Paginator(runs, RUNS_PER_PAGE).get_page(shown.page)
    waits = any(run.status == RunStatus.PENDING for run in page)
    blockers = Blockers(task) if waits else None
    return {
        "page": page,
        "rows": [run_row(run, blockers) for run in page],
        "previous": shown.query(page=page.previous_page_number()) if page.has_previous() else "",
        "next": shown.query(page=page.next_page_number()) if page.has_next() else "",
    }


def run_row(run: WarmupAccount, blockers: Blockers | None) -> dict[str, Any]:
    """A run in a table."""
    return {
        "id": run.pk,
        "url": object_url(run),
        "account": run.account,
        "badge": run_badge(run.status),
        "step": run.cursor,
        "steps": run.steps_total,
        "attempt": run.attempt,
        "reason": reason_text(run.status, run.reason),
        "detail": run.detail,
        "waits_for": blockers.of(run) if blockers and run.status == RunStatus.PENDING else None,
        "started": moment(run.started_at),
        "completed": moment(run.completed_at),
    }


def _log(task: WarmupTask, shown: Shown) -> list[dict[str, Any]]:
    """The last lines at the level or above, the newest first."""
    lines = LogLine.objects.filter(task=task, level__in=LEVELS[LEVELS.index(shown.level) :])
    return [
        {
            "line": line,
            "at": moment(line.at),
            "badge": level_badge(line.level),
            "account": line.run.account if line.run else "",
            "url": object_url(line.run) if line.run else "",
        }
        for line in lines.select_related("run__account").order_by("-pk")[:LOG_LINES]
    ]
