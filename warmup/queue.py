"""The only importer of django-q2. A message is a wake-up call: a task's id, and nothing else."""

from __future__ import annotations

import time

from django.db import transaction
from django_q.brokers import get_broker
from django_q.models import Schedule
from django_q.status import Stat
from django_q.tasks import async_task

RUN_SLICE = "warmup.jobs.run_slice"
BEAT = "warmup.jobs.beat"
RECONCILE = "warmup.jobs.reconcile"
RECONCILE_SCHEDULE = "warmup: reconcile"


def wake(task_id: int, slices: int = 1) -> None:
    """Enqueue `slices` slices of a task once the surrounding transaction commits."""
    transaction.on_commit(lambda: _enqueue(task_id, slices))


def _enqueue(task_id: int, slices: int) -> None:
    for _ in range(slices):
        async_task(RUN_SLICE, task_id, group=f"task-{task_id}")


def send_beat() -> None:
    """Enqueue a job that does nothing but give a sign of life."""
    async_task(BEAT)


def stuck_jobs(cluster_id: object) -> int:
    """How many jobs of this cluster have been fetched from the broker and wait for a worker of it."""
    stat = Stat.get(pid=0, cluster_id=cluster_id)
    return int(stat.task_q_size)


def ensure_schedule() -> None:
    """The one schedule that we need, every minute; made once, also when several hosts start at once."""
    Schedule.objects.update_or_create(
        name=RECONCILE_SCHEDULE,
        defaults={"func": RECONCILE, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1},
    )


def broker_problem() -> str:
    """Why the broker cannot be used; empty when it answers."""
    try:
        get_broker().ping()
    except Exception as error:  # each broker has errors of its own
        return f"does not answer: {error}".strip()
    return ""


def live_workers() -> int:
    """How many worker processes have reported themselves lately, on all hosts."""
    stats: list[Stat] = Stat.get_all()
    return sum(len(stat.workers) for stat in stats if time.time() - stat.timestamp.timestamp() < 60)
