"""Poison in the queue, in django-q2's tables, in the cache and in Redis: nothing of it is executed.

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
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import override_settings
from django.utils import timezone
from django_q import core_signing, signals
from django_q import monitor as django_q_monitor
from django_q import scheduler as django_q_scheduler
from django_q import worker as django_q_worker
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from django_q.signing import SignedPackage
from django_q.status import Stat
from django_q.tasks import async_chain, async_task
from structlog.testing import capture_logs

from core import caches as plain_caches
from core import pickles
from core.errors import MessageRefused
from tests import services
from tests.warmup.django_q2 import work_off
from warmup import queue
from warmup.models import ClusterPulse

pytestmark = pytest.mark.django_db

STRUCK: list[object] = []


def strike(*args: object, **kwargs: object) -> None:
    """What the poison calls."""
    STRUCK.append((args, kwargs))


STRIKE = f"{__name__}.strike"


class Bomb:
    """Strikes when it is unpickled."""

    def __reduce__(self) -> Any:
        return strike, ("unpickled",)


class Raw:
    """A serializer that lets any bytes be signed."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def __call__(self) -> Raw:
        return self

    def dumps(self, _: object) -> bytes:
        return self.data


@pytest.fixture(autouse=True)
def nothing_is_struck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither by `strike` nor by a shell: both leave a trace."""
    STRUCK.clear()
    monkeypatch.chdir(tmp_path)
    for module in (django_q_worker, django_q_monitor, django_q_scheduler):  # the test's own is to stay open
        monkeypatch.setattr(module, "close_old_django_connections", lambda: None)
    yield
    assert STRUCK == []
    assert list(tmp_path.glob("struck*")) == []


# ---- messages ---------------------------------------------------------------------------------------


def task(**parts: Any) -> dict[str, Any]:
    """What a message of ours says, with other parts in it."""
    mine = {"id": "1", "name": "n", "func": queue.BEAT, "args": (), "kwargs": {}, "started": timezone.now()}
    return mine | parts


def signed(content: Any, *, key: str | None = None, salt: str | None = None) -> str:
    serializer = Raw(content) if isinstance(content, bytes) else Raw(pickle.dumps(content))
    return str(
        core_signing.dumps(
            None, key=key or Conf.SECRET_KEY, salt=salt or Conf.PREFIX, serializer=serializer, compress=True
        )
    )


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


# ---- tables and caches ------------------------------------------------------------------------------


def poisoned_job(success: bool) -> None:
    now = timezone.now()
    Task.objects.create(id="1", name="n", func="f", started=now, stopped=now, success=success, hook=STRIKE)
    text = base64.b64encode(pickle.dumps(Bomb())).decode()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_q_task SET args = %s, kwargs = %s, result = %s", [text] * 3)


def test_poisoned_job_row_is_read_without_its_pickles() -> None:
    poisoned_job(success=True)
    (found,) = Success.objects.all()

    found.attempt_count = 7
    found.save()

    assert (found.args, found.kwargs, found.result, found.func) == (None, None, None, "f")
    assert Task.get_result("n") is None


def test_poisoned_job_rows_are_no_harm_to_a_job_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """django-q2 reads all successes, and the row of the same id, before it saves a failure."""
    poisoned_job(success=True)
    Task.objects.filter(pk="1").update(success=False)
    poisoned = task(id="1", result="secret result", success=False, stopped=timezone.now())
    results: Queue[Any] = Queue()
    for job in (poisoned, poisoned | {"id": "2", "name": "m", "args": ("secret",)}, "STOP"):
        results.put(job)

    django_q_monitor.monitor(results, database_broker())

    assert Failure.objects.get(pk="1").attempt_count == 1
    assert Failure.objects.get(pk="2").func == queue.BEAT
    with connection.cursor() as cursor:
        cursor.execute("SELECT args, kwargs, result FROM django_q_task WHERE id = '2'")
        assert cursor.fetchone() == (None, None, None)


def statistic(payload: Any) -> None:
    broker = get_broker()
    broker.cache.set(Conf.Q_STAT, [f"{Conf.Q_STAT}:x"], None)
    broker.cache.set(f"{Conf.Q_STAT}:x", payload, 60)


def test_statistics_that_execute_are_left_out() -> None:
    statistic(signed(Bomb()))

    with capture_logs() as logs:
        assert queue.live_workers() == 0
        assert Stat.get(0, "x") is None

    assert {line["event"] for line in logs} == {"message_refused"}


@pytest.fixture
def table_cache() -> Iterator[plain_caches.PlainDatabaseCache]:
    settings = {
        "default": {"BACKEND": "core.caches.PlainDatabaseCache", "LOCATION": "django_cache"},
    }
    with override_settings(CACHES=settings):
        call_command("createcachetable", "django_cache")
        yield caches["default"]  # type: ignore[misc]


def test_cache_in_the_database_keeps_plain_values(table_cache: Any) -> None:
    values = {"a": [1, "x", {"y": None}], "b": timezone.now(), "c": b"bytes"}

    table_cache.set_many(values, 60)
    table_cache.set("always", 1, None)
    table_cache.set("over", 1, -1)

    assert table_cache.get_many([*values, "always", "over", "never"]) == values | {"always": 1}
    assert table_cache.get_many([]) == {}
    assert table_cache.incr("always") == 2


def test_poisoned_row_of_the_cache_counts_as_absent(table_cache: Any) -> None:
    table_cache.set("a", 1, 60)
    for text in (base64.b64encode(pickle.dumps(Bomb())).decode(), "no base64", ""):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_cache SET value = %s", [text])

        with capture_logs() as logs:
            assert table_cache.get("a", "absent") == "absent"

        assert [line["event"] for line in logs] == ["cache_entry_refused"]


def test_poisoned_key_of_redis_counts_as_none() -> None:
    serializer = plain_caches.PlainRedisSerializer()

    with capture_logs() as logs:
        assert serializer.loads(pickle.dumps(Bomb())) is None

    assert [line["event"] for line in logs] == ["cache_entry_refused"]
    assert serializer.loads(serializer.dumps(7)) == 7
    assert serializer.loads(serializer.dumps(["x"])) == ["x"]


def test_hook_is_never_called() -> None:
    now = timezone.now()

    Task.objects.create(id="1", name="n", func="f", started=now, stopped=now, success=True, hook=STRIKE)

    assert signals.call_hook not in [receiver() for _, receiver, *_ in signals.post_save.receivers]


def test_plain_pickles_import_what_they_are_allowed_only() -> None:
    identity = uuid.UUID(int=7)

    assert pickles.loads(pickle.dumps(identity), pickles.TIMES | {("uuid", "UUID")}) == identity
    with pytest.raises(pickle.UnpicklingError, match=r"it names uuid\.UUID"):
        pickles.loads(pickle.dumps(identity))


def test_statistics_of_a_real_cluster_are_read() -> None:
    sentinel = SimpleNamespace(
        parent_pid=1,
        pid=2,
        cluster_id=uuid.uuid4(),
        broker=get_broker(),
        tob=timezone.now(),
        reincarnations=0,
        status=lambda: Conf.IDLE,
        task_queue=SimpleNamespace(qsize=lambda: 3),
        result_queue=SimpleNamespace(qsize=lambda: 0),
        monitor=None,
        pusher=None,
        pool=[SimpleNamespace(pid=100)],
    )

    Stat(sentinel).save()

    assert queue.stuck_jobs(sentinel.cluster_id) == 3
    assert str(Stat.get(0, sentinel.cluster_id).status) == "Idle"
