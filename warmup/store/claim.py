"""Claiming: runs pass from the queue to a worker, under the task's and the site's limits."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef

from core.errors import SecretUnreadable, StateRejected
from core.models import Site
from core.types import SiteSpec
from warmup.models import StepRecord, WarmupAccount, WarmupTask
from warmup.playbooks.expand import start_delay
from warmup.states import RunStatus, TaskStatus
from warmup.store.ending import end_run, settle_task
from warmup.store.leases import database_now, lease_end
from warmup.types import Lease, Outcome, RunSpec


def claim(task_id: int, limit: int, worker: str) -> list[RunSpec]:
    """Take up to `limit` runs of a task, under the task's and the site's limits.

    One lease token for the batch; the attempt is counted now, so that a run that kills its worker is
    counted too. A run whose secrets do not open ends FAILED here and is not returned.
    """
    with transaction.atomic():
        task = WarmupTask.objects.select_related("site", "playbook__secret").filter(pk=task_id).first()
        if task is None or limit < 1:
            return []
        # The two locks make the counting below exact. All claims on a site stand in one line, which
        # also keeps two tasks from claiming one account at once.
        Site.objects.select_for_update(no_key=True).get(pk=task.site_id)
        locked = WarmupTask.objects.select_for_update(no_key=True).claimable().filter(pk=task_id).first()
        if locked is None:
            return []
        now = database_now()
        room = min(limit, free_slots(locked, task.site))
        ids = list(
            WarmupAccount.objects.claimable(now)
            .filter(task_id=task_id)
            .order_by("pk")
            .values_list("pk", flat=True)[: max(0, room)]
        )
        if not ids:
            return []
        token = uuid.uuid4()
        WarmupAccount.objects.filter(pk__in=ids).transition(
            RunStatus.RUNNING,
            now=now,
            attempt=F("attempt") + 1,
            lease_token=token,
            lease_until=lease_end(now),
            worker=worker,
            available_at=None,
            reason="",
            detail="",
        )
        WarmupAccount.objects.filter(pk__in=ids, started_at=None).update(started_at=now)
        WarmupTask.objects.filter(pk=task_id).update(moved_at=now)
        if locked.status == TaskStatus.QUEUED:
            started = locked.started_at or now
            WarmupTask.objects.filter(pk=task_id).transition(TaskStatus.RUNNING, now=now, started_at=started)
        return _load_specs(task, ids, token, now)


def free_slots(task: WarmupTask, site: Site) -> int:
    """How many more runs of `task` may run now, by its own and its site's concurrency."""
    slots = task.concurrency - WarmupAccount.objects.active().filter(task_id=task.pk).count()
    if site.concurrency is not None:
        on_site = WarmupAccount.objects.active().filter(task__site_id=site.pk).count()
        slots = min(slots, site.concurrency - on_site)
    return slots


def _load_specs(task: WarmupTask, ids: Sequence[int], token: uuid.UUID, now: datetime) -> list[RunSpec]:
    site = task.site.spec()
    # An intent without outcome of an attempt since the last start: the step may have happened.
    doubt = StepRecord.objects.filter(
        run_id=OuterRef("pk"),
        index=OuterRef("cursor"),
        attempt__gt=OuterRef("attempt_base"),
        result=StepRecord.Result.INTENT,
    )
    runs = (
        WarmupAccount.objects.filter(pk__in=ids)
        .select_related("account__secret", "account__site", "account__proxy__secret")
        .annotate(in_doubt=Exists(doubt))
        .order_by("pk")
    )
    specs = []
    for run in runs:
        try:
            specs.append(_run_spec(run, task, site, token))
        except (SecretUnreadable, StateRejected) as error:
            end_run(run, Outcome("FAILED", reason=str(error)), now)
    if len(specs) < len(ids):
        settle_task(task.pk, now)
    return specs


def _run_spec(run: WarmupAccount, task: WarmupTask, site: SiteSpec, token: uuid.UUID) -> RunSpec:
    return RunSpec(
        lease=Lease(run.pk, token),
        task_id=task.pk,
        attempt=run.attempt,
        account=run.account.spec(),
        site=site,
        playbook=task.playbook.revealed(),
        seed=run.seed,
        cursor=run.cursor,
        resume_url=run.resume_url,
        start_delay_seconds=start_delay(run.seed, task.delay_min_seconds, task.delay_max_seconds),
        in_doubt=run.in_doubt,  # type: ignore[attr-defined]  # annotated by _load_specs
    )


def has_work(task_id: int) -> bool:
    """Whether a run of the task could be claimed now; looked at before a browser is started."""
    task = WarmupTask.objects.claimable().select_related("site").filter(pk=task_id).first()
    if task is None or free_slots(task, task.site) < 1:
        return False
    return WarmupAccount.objects.claimable(database_now()).filter(task_id=task_id).exists()


def seconds_until_work(task_id: int) -> float | None:
    """How long until a run of the task ends its back-off; None when none waits for that alone."""
    if not WarmupTask.objects.claimable().filter(pk=task_id).exists():
        return None
    waiting = WarmupAccount.objects.filter(
        task_id=task_id, status=RunStatus.PENDING, available_at__isnull=False
    )
    soonest = waiting.order_by("available_at").values_list("available_at", flat=True).first()
    return None if soonest is None else max(0.0, (soonest - database_now()).total_seconds())
