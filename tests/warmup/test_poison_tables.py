"""Poison in django-q2's tables of jobs and in the caches: it is read as nothing, and nothing is executed."""

from __future__ import annotations

import base64
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from django_q import monitor as django_q_monitor
from django_q import signals
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import Failure, Success, Task
from django_q.status import Stat
from structlog.testing import capture_logs

from core import caches as plain_caches
from core import pickles
from tests.warmup.poison import STRIKE, Bomb, nothing_struck, signed, task
from warmup import queue

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_is_struck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with nothing_struck(tmp_path, monkeypatch):
        yield


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

    django_q_monitor.monitor(results, get_broker())

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
