"""The only importer of django-q2. A message is a wake-up call: a task's id, and nothing else.

django-q2's messages are signed pickles that name the function to call. So the brokers here hand out only
messages that are ours: rightly signed, made of plain values, and naming one of ENTRY_POINTS. Anything else
is dropped before it is unpickled; that costs nothing, since the database is the truth.
"""

from __future__ import annotations

import io
import pickle
import time
from typing import Any

import structlog
from django.db import transaction
from django_q import core_signing
from django_q.brokers import get_broker
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from django_q.models import Schedule
from django_q.status import Stat
from django_q.tasks import async_task

log = structlog.get_logger(__name__)

RUN_SLICE = "warmup.jobs.run_slice"
BEAT = "warmup.jobs.beat"
RECONCILE = "warmup.jobs.reconcile"
ENTRY_POINTS = frozenset({RUN_SLICE, BEAT, RECONCILE})
RECONCILE_SCHEDULE = "warmup: reconcile"


# ---- sending ----------------------------------------------------------------------------------------


def wake(task_id: int, slices: int = 1) -> None:
    """Enqueue `slices` slices of a task once the surrounding transaction commits."""
    transaction.on_commit(lambda: _enqueue(task_id, slices))


def _enqueue(task_id: int, slices: int) -> None:
    for _ in range(slices):
        async_task(RUN_SLICE, task_id, group=f"task-{task_id}", save=False)


def send_beat() -> None:
    """Enqueue a job that does nothing but give a sign of life."""
    async_task(BEAT, save=False)


def ensure_schedule() -> None:
    """The one schedule that we need, every minute; made once, also when several hosts start at once."""
    Schedule.objects.update_or_create(
        name=RECONCILE_SCHEDULE,
        defaults={"func": RECONCILE, "schedule_type": Schedule.MINUTES, "minutes": 1, "repeats": -1},
    )


# ---- looking ----------------------------------------------------------------------------------------


def stuck_jobs(cluster_id: object) -> int:
    """How many jobs of this cluster have been fetched from the broker and wait for a worker of it."""
    stat = Stat.get(pid=0, cluster_id=cluster_id)
    return int(stat.task_q_size)


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


# ---- receiving --------------------------------------------------------------------------------------


class _PlainUnpickler(pickle.Unpickler):
    """Builds plain values and times, and refuses to import anything else."""

    ALLOWED = frozenset({("datetime", "datetime"), ("datetime", "timezone"), ("datetime", "timedelta")})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


class _PlainSerializer:
    """What `core_signing` calls once the signature is right."""

    @staticmethod
    def loads(data: bytes) -> Any:
        return _PlainUnpickler(io.BytesIO(data)).load()


def refusal(payload: str | bytes) -> str:
    """Why a message is not ours; empty when it is."""
    try:
        task = core_signing.loads(payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=_PlainSerializer)
    except Exception as error:  # a hostile message may raise anything, and must not stop the pusher
        return f"{type(error).__name__}: {error}".strip()
    if not isinstance(task, dict) or task.get("func") not in ENTRY_POINTS:
        return "it names no entry point of ours"
    arguments = task.get("args")
    if not isinstance(arguments, tuple) or not all(type(item) is int for item in arguments):
        return "its arguments are not ids"
    if task.get("kwargs"):
        return "it has keyword arguments"
    return ""


class _Checked:
    """A broker that drops what is not ours."""

    def dequeue(self) -> list[tuple[Any, Any]] | None:
        messages: list[tuple[Any, Any]] | None = super().dequeue()  # type: ignore[misc]  # the broker's
        kept = []
        for ack_id, payload in messages or []:
            reason = refusal(payload)
            if reason:
                log.error("message_refused", reason=reason)
                self.fail(ack_id)  # type: ignore[attr-defined]  # the broker's
            else:
                kept.append((ack_id, payload))
        return kept or None


class DatabaseBroker(_Checked, ORM):  # type: ignore[misc]  # django-q2 is not typed
    """Messages in the database."""


class RedisBroker(_Checked, Redis):  # type: ignore[misc]  # django-q2 is not typed
    """Messages in Redis."""

    def fail(self, task_id: Any) -> None:
        """Nothing to do: Redis forgets a message when it hands it out."""
