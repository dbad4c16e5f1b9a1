"""Leases: who may write a run, until when; and the locks, taken in one order: site, task, runs by key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from warmup.models import WarmupAccount, WarmupTask
from warmup.states import TaskStatus
from warmup.types import Control, Lease


def database_now() -> datetime:
    """The clock that leases are measured by: PostgreSQL's, which all hosts share; else this host's."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.WARMUP_LEASE_SECONDS)


def held(lease: Lease) -> Q:
    return Q(pk=lease.run_id, lease_token=lease.token)


def owned(leases: Sequence[Lease]) -> frozenset[Lease]:
    """Of these leases, those that still hold; their runs locked, by primary key, against a change."""
    wanted = Q(pk__in=[])
    for lease in leases:
        wanted |= held(lease)
    rows = WarmupAccount.objects.active().filter(wanted).order_by("pk")
    held_now = dict(rows.select_for_update(no_key=True).values_list("pk", "lease_token"))
    return frozenset(lease for lease in leases if held_now.get(lease.run_id) == lease.token)


def lock_task(task_id: int) -> WarmupTask | None:
    return WarmupTask.objects.select_for_update(no_key=True).filter(pk=task_id).first()


def heartbeat(leases: Sequence[Lease]) -> frozenset[Lease]:
    """Renew all leases of a slice; returns those that are lost."""
    with transaction.atomic():
        mine = owned(leases)
        runs = WarmupAccount.objects.filter(pk__in={lease.run_id for lease in mine})
        runs.update(lease_until=lease_end(database_now()))
    return frozenset(leases) - mine


def poll(task_id: int, leases: Sequence[Lease]) -> Control:
    """What is asked of the slice, read only: cheap enough for every second."""
    task = WarmupTask.objects.filter(pk=task_id).values("status", "stop_requested_at").first()
    wanted = Q(pk__in=[])
    for lease in leases:
        wanted |= held(lease)
    held_now = dict(WarmupAccount.objects.active().filter(wanted).values_list("pk", "lease_token"))
    return Control(
        pause=task is not None and task["status"] == TaskStatus.PAUSED,
        stop=task is None or task["stop_requested_at"] is not None,
        lost=frozenset(lease for lease in leases if held_now.get(lease.run_id) != lease.token),
    )
