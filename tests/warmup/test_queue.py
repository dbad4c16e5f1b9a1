"""The queue carries wake-up calls: a dotted name and a task's id, sent on commit."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.brokers import get_broker
from django_q.models import OrmQ, Schedule
from django_q.signing import SignedPackage
from django_q.status import Stat
from django_q.tasks import async_task

from warmup import jobs, queue

pytestmark = pytest.mark.django_db


def messages() -> list[dict[str, Any]]:
    return [SignedPackage.loads(row.payload) for row in OrmQ.objects.order_by("pk")]


# ---- sending ----------------------------------------------------------------------------------------


def test_wake_enqueues_nothing_before_the_transaction_commits(
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        queue.wake(7)
        assert not OrmQ.objects.exists()

    assert len(callbacks) == 1
    assert OrmQ.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_wake_in_a_transaction_that_is_rolled_back_enqueues_nothing() -> None:
    with transaction.atomic():
        queue.wake(7)
        transaction.set_rollback(True)

    assert not OrmQ.objects.exists()


@pytest.mark.parametrize("slices", [0, 1, 3])
def test_wake_enqueues_as_many_slices_as_asked(slices: int, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        queue.wake(7, slices=slices)

    assert [message["args"] for message in messages()] == [(7,)] * slices


def test_wake_sends_the_dotted_name_and_the_id_and_nothing_else(
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        queue.wake(7)

    (message,) = messages()
    # The rest is django-q2's own: a name of its making, when it was sent, and what becomes of the result.
    assert message.keys() == {
        "id",
        "name",
        "func",
        "args",
        "kwargs",
        "group",
        "save",
        "ack_failure",
        "started",
    }
    assert (message["func"], message["args"], message["kwargs"]) == ("warmup.jobs.run_slice", (7,), {})
    assert message["group"] == "task-7"
    assert message["save"] is False
    assert isinstance(message["started"], datetime)


def test_send_beat_names_its_job_alone() -> None:
    queue.send_beat()

    (message,) = messages()
    assert (message["func"], message["args"], message["kwargs"]) == ("warmup.jobs.beat", (), {})


def test_entry_points_are_the_jobs() -> None:
    found = {import_string(name) for name in queue.ENTRY_POINTS}

    assert found == {jobs.run_slice, jobs.beat, jobs.reconcile}


def test_ensure_schedule_makes_one_and_only_one() -> None:
    queue.ensure_schedule()
    queue.ensure_schedule()

    schedule = Schedule.objects.get()
    assert (schedule.func, schedule.schedule_type, schedule.minutes) == (queue.RECONCILE, Schedule.MINUTES, 1)
    assert schedule.repeats == -1
    assert not schedule.args
    assert not schedule.kwargs


def test_ensure_schedule_puts_a_changed_one_right() -> None:
    queue.ensure_schedule()
    Schedule.objects.update(func="os.system", minutes=600, repeats=0)

    queue.ensure_schedule()

    schedule = Schedule.objects.get()
    assert (schedule.func, schedule.minutes, schedule.repeats) == (queue.RECONCILE, 1, -1)


# ---- looking ----------------------------------------------------------------------------------------


@pytest.fixture
def empty_cache() -> Iterator[None]:
    """The statistics of clusters live in the cache."""
    cache.clear()
    yield
    cache.clear()


def report_stat(workers: int, *, seconds_ago: float = 0, waiting: int = 0) -> uuid.UUID:
    """What the sentinel of a cluster does now and then; returns the cluster's id."""
    cluster_id = uuid.uuid4()
    sentinel = SimpleNamespace(
        parent_pid=1,
        pid=2,
        cluster_id=cluster_id,
        broker=get_broker(),
        tob=timezone.now(),
        reincarnations=0,
        status=lambda: "Idle",
        task_queue=SimpleNamespace(qsize=lambda: waiting),
        result_queue=SimpleNamespace(qsize=lambda: 0),
        monitor=None,
        pusher=None,
        pool=[SimpleNamespace(pid=100 + number) for number in range(workers)],
    )
    stat = Stat(sentinel)
    stat.timestamp -= timedelta(seconds=seconds_ago)
    stat.save()
    return cluster_id


@pytest.mark.usefixtures("empty_cache")
def test_live_workers_without_a_cluster_are_none() -> None:
    assert queue.live_workers() == 0


@pytest.mark.usefixtures("empty_cache")
def test_live_workers_are_those_of_all_clusters_that_reported_lately() -> None:
    report_stat(2)
    report_stat(3, seconds_ago=50)
    report_stat(4, seconds_ago=70)

    assert queue.live_workers() == 5


@pytest.mark.usefixtures("empty_cache")
def test_stuck_jobs_are_those_of_the_cluster_itself() -> None:
    mine = report_stat(2, waiting=1)
    report_stat(2, waiting=5)

    assert queue.stuck_jobs(mine) == 1
    assert queue.stuck_jobs(uuid.uuid4()) == 0


def test_broker_that_answers_has_no_problem() -> None:
    assert queue.broker_problem() == ""


def test_broker_that_does_not_answer_is_a_problem_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise ConnectionError("connection refused")

    monkeypatch.setattr(queue, "get_broker", refuse)

    assert queue.broker_problem() == "does not answer: connection refused"


# ---- receiving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(queue.ENTRY_POINTS))
def test_messages_of_all_entry_points_are_handed_out(name: str) -> None:
    async_task(name)
    broker = queue.DatabaseBroker(list_key=get_broker().list_key)

    ((_, payload),) = broker.dequeue() or []

    assert SignedPackage.loads(payload)["func"] == name


def test_message_of_another_make_is_dropped_and_the_next_one_handed_out() -> None:
    broker = queue.DatabaseBroker(list_key=get_broker().list_key)
    broker.enqueue(SignedPackage.dumps({"func": "os.system", "args": ("true",)}))

    assert broker.dequeue() is None
    async_task(queue.RUN_SLICE, 3)
    ((_, payload),) = broker.dequeue() or []

    assert SignedPackage.loads(payload)["args"] == (3,)
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("text", "it names no entry point of ours"),
        ({"func": "os.system", "args": ()}, "it names no entry point of ours"),
        ({"func": queue.RUN_SLICE, "args": ("7",)}, "its arguments are not ids"),
        ({"func": queue.RUN_SLICE}, "its arguments are not ids"),
        ({"func": queue.RUN_SLICE, "args": (7,), "kwargs": {"force": 1}}, "it has keyword arguments"),
        ({"func": queue.RUN_SLICE, "args": (7,), "kwargs": {}}, ""),
    ],
)
def test_refusal_says_what_is_wrong_with_a_message(task: object, reason: str) -> None:
    assert queue.refusal(SignedPackage.dumps(task)) == reason


def test_refusal_of_a_message_that_imports_something_names_it() -> None:
    assert (
        queue.refusal(SignedPackage.dumps({"hook": uuid.UUID(int=1)}))
        == "UnpicklingError: it names uuid.UUID"
    )


def test_redis_broker_asks_redis_for_nothing_when_it_drops_a_message() -> None:
    unconnected = queue.RedisBroker.__new__(queue.RedisBroker)

    unconnected.fail("1")
