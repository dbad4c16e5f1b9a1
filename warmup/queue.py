"""The only importer of django-q2. A message is a wake-up call: a task's id, and nothing else.

django-q2's messages are signed pickles that name the function to call. So the brokers here hand out only
messages that are ours: rightly signed, made of plain values, and naming one of ENTRY_POINTS. Anything else
is dropped before it is unpickled; that costs nothing, since the database is the truth. `disarm` takes from
django-q2 what else could run what somebody wrote into its tables.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models.signals import post_save
from django.db.utils import Error as DatabaseError
from django.utils import timezone
from django_q import core_signing
from django_q.brokers import get_broker
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from django_q.models import Schedule, Task
from django_q.scheduler import scheduler
from django_q.signals import call_hook, pre_enqueue
from django_q.signing import PickleSerializer
from django_q.status import Stat
from django_q.tasks import async_task

from core import pickles
from core.errors import MessageRefused
from core.text import one_line

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


# What a message may consist of; all else is a way to have something done: hooks, chains, groups that are
# collected, results in the cache, jobs that run at once in whoever sends them, deadlines of their own.
_PARTS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "name": (str,),
    "func": (str,),
    "args": (tuple,),
    "kwargs": (dict,),
    "group": (str, int, type(None)),
    "cluster": (str, type(None)),
    "save": (bool,),
    "ack_failure": (bool,),
    "started": (datetime,),
}
_MOST_CHARACTERS = 4096  # ours have a few hundred


class _PlainSerializer:
    """What `core_signing` calls once the signature is right."""

    @staticmethod
    def loads(data: bytes) -> Any:
        return pickles.loads(data)


def refusal(payload: str | bytes) -> str:
    """Why a message is not ours; empty when it is."""
    if len(payload) > _MOST_CHARACTERS:
        return f"it is longer than {_MOST_CHARACTERS} characters"
    try:
        task = core_signing.loads(payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=_PlainSerializer)
    except Exception as error:  # a hostile message may raise anything, and must not stop the pusher
        return one_line(f"{type(error).__name__}: {error}", 200)
    return _fault(task)


def _fault(task: object) -> str:
    """What is wrong with the content of a message; empty when it is ours."""
    if not isinstance(task, Mapping) or task.get("func") not in ENTRY_POINTS:
        return "it names no entry point of ours"
    arguments = task.get("args")
    if not isinstance(arguments, tuple) or not all(type(item) is int for item in arguments):
        return "its arguments are not ids"
    if task.get("kwargs"):
        return "it has keyword arguments"
    for part, value in task.items():
        if type(value) not in _PARTS.get(part, ()):
            return f"it has a part that ours have not: {one_line(repr(part), 50)}"
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


# ---- what else django-q2 would do -------------------------------------------------------------------


def disarm() -> None:
    """Take from django-q2, in this process, what could run what somebody wrote into a table or a cache.

    Its pickles are read as plain values, columns of pickles not at all; hooks are never called; and no
    message but ours is made, whoever asks: a schedule may ask for one that runs at once.
    """
    PickleSerializer.loads = staticmethod(_read_signed)
    for name in ("args", "kwargs", "result"):
        column = Task._meta.get_field(name)
        column.from_db_value = column.pre_save = _nothing
    post_save.disconnect(call_hook, sender=Task)
    pre_enqueue.connect(_refuse_to_send, dispatch_uid="warmup.queue")


def _nothing(*_: Any, **__: Any) -> None:
    """What a column of pickles is read and saved as."""


# Clusters report themselves as objects, in which texts wait for their translation.
_STATISTICS = pickles.TIMES | {
    ("django_q.status", "Stat"),
    ("uuid", "UUID"),
    ("builtins", "str"),
    ("django.utils.functional", "_lazy_proxy_unpickle"),
    ("django.utils.translation", "gettext"),
}


def _read_signed(data: bytes) -> Any:
    """What django-q2 reads once the signature is right; a refusal is a bad signature to it."""
    try:
        return pickles.loads(data, _STATISTICS)
    except Exception as error:  # a hostile or damaged pickle may raise anything
        reason = one_line(f"{type(error).__name__}: {error}", 200)
        log.error("message_refused", reason=reason)
        raise core_signing.BadSignature(reason) from None


def _refuse_to_send(task: Mapping[str, Any], **_: Any) -> None:
    reason = _fault(task)
    if reason:
        raise MessageRefused(f"a queue message was not sent: {reason}")


def run_schedules(broker: Any = None) -> None:
    """django-q2's scheduler, over the rows that are ours: any other is ended, and stays to be seen.

    One that cannot be read would otherwise stop them all.
    """
    try:
        _end_foreign_schedules()
    except DatabaseError as error:
        log.warning("schedules_not_read", error=one_line(str(error), 200))
        return
    scheduler(broker=broker)


def _end_foreign_schedules() -> None:
    now = timezone.now()
    for row in Schedule.objects.exclude(repeats=0):
        mine = {"schedule_type": Schedule.MINUTES, "name": RECONCILE_SCHEDULE, "func": RECONCILE}
        plain = not (row.hook or row.args or row.kwargs or row.cluster or row.intended_date_kwarg)
        if not plain or any(getattr(row, field) != value for field, value in mine.items()):
            Schedule.objects.filter(pk=row.pk).update(repeats=0)
            log.error("schedule_refused", schedule=row.pk, func=one_line(str(row.func), 100))
        elif row.next_run and row.next_run < now - timedelta(days=1):
            # It would be counted up to now, minute by minute.
            Schedule.objects.filter(pk=row.pk).update(next_run=now)
