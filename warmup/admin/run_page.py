"""The page of one run: what it did, step by step and attempt by attempt, and what it left behind."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from core.admin import duration, moment
from warmup.admin.display import level_badge, list_url, object_url, reason_text, run_badge, step_badge
from warmup.models import Artifact, LogLine, StepRecord, WarmupAccount
from warmup.reporting import Blockers
from warmup.states import TASK_CLAIMABLE, ParkReason, RunStatus

STEPS_SHOWN = 500
LOG_LINES = 100
ARTIFACTS_SHOWN = 60
REFUSED_SHOWN = 20


def context(request: HttpRequest, run: WarmupAccount, *, control: bool) -> dict[str, Any]:
    """Everything on the page."""
    return live_context(request, run, control=control) | {
        "title": str(run),
        "task_url": object_url(run.task),
        "account_url": object_url(run.account),
        "created": moment(run.created_at),
    }


def live_context(request: HttpRequest, run: WarmupAccount, *, control: bool) -> dict[str, Any]:
    """What moves: status, steps, log and evidence."""
    artifacts = run.artifacts.visible_to(request.user)
    evidence = list(artifacts.order_by("attempt", "step", "created_at")[:ARTIFACTS_SHOWN])
    live = reverse("admin:warmup_warmupaccount_live", args=[run.pk])
    # Sent again only when they change: pictures would load anew, a button be lost under the finger.
    shown = f"{run.status}-{run.reason[:20]}-{len(evidence)}"
    moving = run.status == RunStatus.RUNNING or (
        run.status == RunStatus.PENDING and run.task.status in TASK_CLAIMABLE
    )
    return {
        "run": run,
        "badge": run_badge(run.status),
        "reason": reason_text(run.status, run.reason),
        "waits_for": Blockers(run.task).of(run) if run.status == RunStatus.PENDING else None,
        "started": moment(run.started_at),
        "completed": moment(run.completed_at),
        "not_before": moment(run.available_at) if run.available_at else "",
        "took": duration(_seconds(run)),
        "question": _question(run) if control else None,
        "parked": run.status == RunStatus.PARKED,
        "attempts": _attempts(run),
        "steps_url": list_url("steprecord", run__id__exact=run.pk),
        "log": _log(run),
        "log_url": list_url("logline", run__id__exact=run.pk),
        "screenshots": [_artifact(item) for item in evidence if item.kind == Artifact.Kind.SCREENSHOT],
        "pages": [_artifact(item) for item in evidence if item.kind == Artifact.Kind.HTML],
        # Asked for when the evidence is sent again: what a turn was refused is logged with its end.
        "refused": run.log.filter(event="egress_refused").order_by("-pk")[:REFUSED_SHOWN],
        "changed": request.GET.get("shown") != shown,
        "moving": moving,
        "live_url": f"{live}?{urlencode({'shown': shown})}",
    }


def _seconds(run: WarmupAccount) -> float | None:
    if run.started_at is None:
        return None
    return ((run.completed_at or timezone.now()) - run.started_at).total_seconds()


def _question(run: WarmupAccount) -> dict[str, Any] | None:
    """What a person is asked about a parked run."""
    if run.status != RunStatus.PARKED:
        return None
    if run.reason == ParkReason.IN_DOUBT:
        step = run.steps.filter(index=run.cursor).order_by("-attempt").first()
        return {
            "doubt": True,
            "step": f"{step.index + 1}: {step.label}" if step else str(run.cursor + 1),
            "url": reverse("admin:warmup_warmupaccount_settle", args=[run.pk]),
        }
    return {"doubt": False, "url": reverse("admin:warmup_warmupaccount_solved", args=[run.pk])}


def _attempts(run: WarmupAccount) -> list[dict[str, Any]]:
    """The steps of each attempt, the latest attempt first; of very many, the latest."""
    latest = run.steps.order_by("-attempt", "-index")[:STEPS_SHOWN]
    steps = sorted(latest, key=lambda step: (-step.attempt, step.index))
    return [
        {"number": number, "steps": [_step(step) for step in group]}
        for number, group in groupby(steps, key=lambda step: step.attempt)
    ]


def _step(step: StepRecord) -> dict[str, Any]:
    took = (step.ended_at - step.started_at).total_seconds() if step.ended_at else None
    return {
        "number": step.index + 1,
        "label": step.label,
        "place": step.place,
        "badge": step_badge(step.result),
        "detail": step.detail,
        "took": duration(took),
        "started": moment(step.started_at),
    }


def _log(run: WarmupAccount) -> list[dict[str, Any]]:
    lines = LogLine.objects.filter(run=run).order_by("-pk")[:LOG_LINES]
    return [{"line": line, "at": moment(line.at), "badge": level_badge(line.level)} for line in lines]


def _artifact(item: Artifact) -> dict[str, Any]:
    where = _("attempt %(attempt)d, step %(step)d") % {"attempt": item.attempt, "step": item.step + 1}
    return {
        "id": item.pk,
        "name": item.name,
        "where": where,
        "at": moment(item.created_at),
        "size_bytes": item.size_bytes,
        "url": reverse("admin:warmup_artifact_file", args=[item.pk]),
    }
