"""What a run saves while it runs: intents, step reports, log lines, evidence."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import artifacts
from core.errors import DiskFull
from core.models import Site
from core.text import one_line
from warmup.models import Artifact, DailyCount, LogLine, StepRecord, WarmupAccount
from warmup.plan import PlanStep
from warmup.store.leases import database_now, held, owned
from warmup.types import Evidence, IntentAnswer, Lease, LogEntry, StepReport

log = structlog.get_logger(__name__)


def record_intent(lease: Lease, attempt: int, step: PlanStep) -> IntentAnswer | None:
    """Make it durable that a `once` step is about to act, and use up the account's daily limit.

    None: the lease is lost, do not act. "limit_reached": do not act, skip the step.
    """
    with transaction.atomic():
        run = WarmupAccount.objects.active().filter(held(lease)).select_for_update(no_key=True).first()
        if run is None:
            return None
        now = database_now()
        if step.counts_as and not _use_up(run, step.counts_as, now):
            return "limit_reached"
        StepRecord.objects.update_or_create(
            run_id=lease.run_id,
            attempt=attempt,
            index=step.index,
            defaults={
                "place": step.place,
                "do": step.do,
                "label": one_line(step.label, 300),
                "result": StepRecord.Result.INTENT,
                "started_at": now,
                "ended_at": None,
            },
        )
    return "go"


def _use_up(run: WarmupAccount, name: str, now: datetime) -> bool:
    """Count one use of a daily limit; False when it is used up. The day is the settings' time zone's."""
    limits = Site.objects.values_list("daily_limits", flat=True).get(accounts=run.account_id)
    count, _ = DailyCount.objects.get_or_create(
        account_id=run.account_id, day=timezone.localdate(now), name=name
    )
    within = DailyCount.objects.filter(pk=count.pk)
    if name in limits:
        within = within.filter(used__lt=limits[name])
    return bool(within.update(used=F("used") + 1))


def write_progress(steps: Sequence[StepReport], lines: Sequence[LogEntry]) -> frozenset[Lease]:
    """Save what a slice's runs reported, in bulk.

    Returns the leases that are lost: nothing that was reported under them is saved.
    """
    leases = list({step.lease for step in steps} | {line.lease for line in lines})
    with transaction.atomic():
        mine = owned(leases)
        _write_steps([step for step in steps if step.lease in mine])
        _write_lines([line for line in lines if line.lease in mine])
    return frozenset(leases) - mine


def _write_steps(steps: Sequence[StepReport]) -> None:
    StepRecord.objects.bulk_create(
        [
            StepRecord(
                run_id=step.lease.run_id,
                attempt=step.attempt,
                index=step.index,
                place=step.place,
                do=step.do,
                label=one_line(step.label, 300),
                result=step.result,
                detail=one_line(step.detail, 500),
                started_at=step.started_at,
                ended_at=step.ended_at,
            )
            for step in steps
        ],
        update_conflicts=True,
        unique_fields=["run", "attempt", "index"],
        update_fields=["result", "detail", "started_at", "ended_at"],
    )
    furthest: dict[int, StepReport] = {}
    for step in steps:
        if step.result != StepRecord.Result.FAILED:
            furthest[step.lease.run_id] = step
    for run_id, step in sorted(furthest.items()):
        WarmupAccount.objects.filter(pk=run_id).update(cursor=step.index + 1, resume_url=step.url)


def _write_lines(lines: Sequence[LogEntry]) -> None:
    tasks = dict(
        WarmupAccount.objects.filter(pk__in={line.lease.run_id for line in lines}).values_list(
            "pk", "task_id"
        )
    )
    LogLine.objects.bulk_create(
        [
            LogLine(
                task_id=tasks[line.lease.run_id],
                run_id=line.lease.run_id,
                at=line.at,
                level=line.level,
                event=line.event,
                text=one_line(line.text, 500),
            )
            for line in lines
        ]
    )


def set_plan_length(lease: Lease, steps: int) -> bool:
    """Save how many steps the run's plan has; False when the lease is lost."""
    return bool(WarmupAccount.objects.active().filter(held(lease)).update(steps_total=steps))


def save_evidence(evidence: Evidence) -> bool:
    """Keep a file of a run; False when the lease is lost or the disk does not take it.

    Evidence never changes a result: a full disk is logged, not raised. The file is written first and
    outside the transaction; a row never names a file that is not there.
    """
    if not WarmupAccount.objects.active().filter(held(evidence.lease)).exists():
        return False
    name = uuid.uuid4()
    try:
        size = artifacts.write(name, evidence.content)
    except DiskFull:
        return False  # logged when it began
    except OSError as error:
        log.warning("artifact_not_saved", run=evidence.lease.run_id, error=str(error))
        return False
    with transaction.atomic():
        kept = bool(owned([evidence.lease]))
        if kept:
            Artifact.objects.create(
                id=name,
                run_id=evidence.lease.run_id,
                attempt=evidence.attempt,
                step=evidence.step,
                kind=evidence.kind,
                name=one_line(evidence.name, 100),
                size_bytes=size,
            )
    if not kept:
        artifacts.delete(name)
    return kept
