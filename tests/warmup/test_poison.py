"""Poison in the queue, in Redis and among the schedules: nothing of it is executed.

What comes out of a broker goes through django-q2's own pusher, worker and monitor, in this process.
"""

from __future__ import annotations

import base64
import os
import pickle
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import OperationalError
from django.utils import timezone
from django_q import scheduler as django_q_scheduler
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule, Task
from django_q.signing import SignedPackage
from django_q.tasks import async_chain, async_task
from structlog.testing import capture_logs

from core.errors import MessageRefused
from tests import services
from tests.warmup.django_q2 import work_off
from tests.warmup.poison import STRIKE, STRUCK, Bomb, nothing_struck, signed, strike, task
from warmup import queue
from warmup.models import ClusterPulse

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_is_struck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with nothing_struck(tmp_path, monkeypatch):
        yield


# ---- messages ---------------------------------------------------------------------------------------


SHELL = "touch struck-by-a-shell"
POISON: dict[str, Callable[[], str]] = {
    "a pickle that executes": lambda: signed(Bomb()),
    "a pickle that executes, by hand": lambda: signed(b"cposix\nsystem\n(V" + SHELL.encode() + b"\ntR."),
    "an argument that executes": lambda: signed(task(args=(Bomb(),))),
    "a keyword argument that executes": lambda: signed(task(kwargs={"x": Bomb()})),
    "a key that executes": lambda: signed({Bomb(): 1}),
    "a shell as the function": lambda: signed(task(func="os.system", args=(SHELL,))),
    "another function": lambda: signed(task(func=STRIKE)),
    "another job of ours": lambda: signed(task(func="warmup.services.reconcile")),
    "a function itself": lambda: signed(task(func=strike)),
    "a hook": lambda: signed(task(func="warmup.jobs.run_slice", args=(1, 2, 3), save=True, hook=STRIKE)),
    "a chain that runs at once": lambda: signed(task(chain=[(STRIKE, (), {})], sync=True, save=True)),
    "a job that runs at once": lambda: signed(task(sync=True)),
    "a group that is collected": lambda: signed(task(group="g", cached=True, iter_count=1)),
    "a deadline of its own": lambda: signed(task(timeout=None)),
    "an entry point with text": lambda: signed(task(func=queue.RUN_SLICE, args=("1 OR 1=1",))),
    "an entry point with a key": lambda: signed(task(kwargs={"force": True})),
    "a name that is none": lambda: signed(task(name={"a": 1})),
    "no signature": lambda: base64.b64encode(pickle.dumps(task())).decode(),
    "a wrong signature": lambda: signed(task())[:-3] + "xxx",
    "another key": lambda: signed(task(), key="k" * 60),
    "another salt": lambda: signed(task(), salt="elsewhere"),
    "bytes that are no pickle": lambda: signed(b"\x80\x05no pickle"),
    "a pickle that is cut off": lambda: signed(pickle.dumps(task())[:-5]),
    "no task": lambda: signed([1, 2, 3]),
    "nothing": lambda: "",
    "ten megabytes": lambda: signed(task(name=os.urandom(5_000_000).hex())),
    "ten megabytes, packed": lambda: signed(task(name="a" * 10_000_000)),
}


def database_broker() -> Any:
    return get_broker()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conf, "POLL", 0)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", POISON)
def test_poisoned_row_of_the_queue_is_dropped_and_the_next_job_done(kind: str) -> None:
    broker = database_broker()
    past = timezone.now() - timedelta(seconds=5)
    OrmQ.objects.create(key=broker.list_key, payload=POISON[kind](), lock=past)
    queue.send_beat()
    OrmQ.objects.update(lock=past)

    with capture_logs() as logs:
        done = work_off(broker)

    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["message_refused"]
    assert [job["func"] for job in done] == [queue.BEAT]
    assert all(job["success"] for job in done)
    assert ClusterPulse.objects.exists()
    assert not OrmQ.objects.exists()
    assert not Task.objects.exists()


@pytest.mark.redis
@pytest.mark.usefixtures("quick")
def test_poison_in_redis_is_dropped_and_the_next_job_done(monkeypatch: pytest.MonkeyPatch) -> None:
    services.need(services.redis_problem())
    client = redis.Redis.from_url(services.REDIS_URL)
    monkeypatch.setattr(queue.RedisBroker, "get_connection", staticmethod(lambda list_key=None: client))
    broker = queue.RedisBroker(f"poison-{uuid.uuid4().hex}")
    try:
        for kind in POISON.values():
            client.rpush(broker.list_key, kind())
        client.rpush(broker.list_key, b"\xff\x00 no text")
        async_task(queue.BEAT, broker=broker, save=False)

        with capture_logs() as logs:
            done = work_off(broker)
    finally:
        client.delete(broker.list_key)
        client.close()

    assert [line["event"] for line in logs].count("message_refused") == len(POISON) + 1
    assert [job["func"] for job in done] == [queue.BEAT]
    assert ClusterPulse.objects.exists()


def test_poison_would_be_noticed() -> None:
    pickle.loads(pickle.dumps(Bomb()))

    assert STRUCK
    STRUCK.clear()


# ---- what sends messages ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"sync": True}, {"hook": STRIKE}])
def test_foreign_function_cannot_be_sent(options: dict[str, Any]) -> None:
    with pytest.raises(MessageRefused, match="it names no entry point of ours"):
        async_task(STRIKE, **options)
    with pytest.raises(MessageRefused):
        async_chain([(STRIKE, (), {})], sync=True)

    assert not OrmQ.objects.exists()


def test_own_function_cannot_be_sent_with_a_hook() -> None:
    with pytest.raises(MessageRefused, match="a part that ours have not: 'hook'"):
        async_task(queue.BEAT, hook=STRIKE)


# ---- schedules --------------------------------------------------------------------------------------

SCHEDULES: dict[str, dict[str, Any]] = {
    "a shell": {"func": "os.system", "args": f"'{SHELL}'"},
    "another function": {"func": STRIKE},
    "another function at once": {"func": STRIKE, "kwargs": "{'q_options': {'sync': True}}"},
    "a broker that is none": {"func": STRIKE, "kwargs": "{'q_options': {'broker': 'x'}}"},
    "our function with a hook": {"func": queue.RECONCILE, "hook": STRIKE},
    "our function at once": {"func": queue.RECONCILE, "kwargs": "{'q_options': {'sync': True}}"},
    "our name": {"name": queue.RECONCILE_SCHEDULE, "func": STRIKE},
    "our name and function, and more": {
        "name": queue.RECONCILE_SCHEDULE,
        "func": queue.RECONCILE,
        "hook": STRIKE,
    },
    "arguments that do not parse": {"func": queue.RECONCILE, "args": "((("},
    "arguments that nest deeply": {"func": queue.RECONCILE, "args": "(" * 5000},
    "keywords that are no dictionary": {"func": queue.RECONCILE, "kwargs": "[1]"},
    "a cron expression that is none": {"func": queue.RECONCILE, "schedule_type": "C", "cron": "x"},
    "another queue": {"func": queue.RECONCILE, "cluster": "elsewhere"},
    "a text too many": {"func": queue.RECONCILE, "intended_date_kwarg": "force"},
}


@pytest.fixture
def due() -> Callable[..., Schedule]:
    def make(**fields: Any) -> Schedule:
        past = timezone.now() - timedelta(minutes=2)
        row = Schedule(**{"schedule_type": Schedule.ONCE, "next_run": past} | fields)
        # As somebody would write it who has the database only: saving it is checked in places.
        return Schedule.objects.bulk_create([row])[0]

    return make


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", SCHEDULES)
def test_foreign_schedule_is_ended_and_ours_goes_on(kind: str, due: Callable[..., Schedule]) -> None:
    foreign = due(**SCHEDULES[kind])
    ours = due(name=queue.RECONCILE_SCHEDULE, func=queue.RECONCILE, schedule_type=Schedule.MINUTES, minutes=1)

    with capture_logs() as logs:
        queue.run_schedules()
        queue.run_schedules()

    assert [(line["event"], line["schedule"]) for line in logs] == [("schedule_refused", foreign.pk)]
    foreign.refresh_from_db()
    assert foreign.repeats == 0  # it stays to be seen
    ours.refresh_from_db()
    assert ours.next_run > timezone.now()
    (message,) = [SignedPackage.loads(row.payload) for row in OrmQ.objects.all()]
    assert message["func"] == queue.RECONCILE
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=5))
    assert [job["func"] for job in work_off(database_broker())] == [queue.RECONCILE]


@pytest.mark.parametrize("kind", ["a shell", "another function at once", "our function with a hook"])
def test_foreign_schedule_that_is_due_unseen_is_not_run_either(
    kind: str, due: Callable[..., Schedule]
) -> None:
    """django-q2's own scheduler, as if the row had come just after ours were looked at."""
    due(**SCHEDULES[kind])

    django_q_scheduler.scheduler()

    assert not OrmQ.objects.exists()


def test_schedule_that_is_due_since_long_is_due_now(due: Callable[..., Schedule]) -> None:
    long_ago = timezone.now() - timedelta(days=20_000)
    ours = due(
        name=queue.RECONCILE_SCHEDULE, func=queue.RECONCILE, schedule_type="I", minutes=1, next_run=long_ago
    )

    queue.run_schedules()

    ours.refresh_from_db()
    assert timezone.now() - ours.next_run < timedelta(minutes=1)


def test_schedules_wait_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(queue, "_end_foreign_schedules", away)
    monkeypatch.setattr(queue, "scheduler", strike)

    with capture_logs() as logs:
        queue.run_schedules()

    assert [line["event"] for line in logs] == ["schedules_not_read"]
