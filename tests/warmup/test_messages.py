"""Messages that are not ours are dropped before anything in them can happen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django_q import core_signing
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from warmup import queue

pytestmark = pytest.mark.django_db


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


class NotPickle:
    @staticmethod
    def dumps(_: object) -> bytes:
        return b"\x80\x05no pickle"


def message(**changes: Any) -> str:
    task = {"id": "1", "name": "n", "func": queue.RUN_SLICE, "args": (1,), "kwargs": {}} | changes
    return str(SignedPackage.dumps(task))


def test_our_own_messages_pass(django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        queue.wake(7, slices=2)
    queue.send_beat()

    payloads = [row.payload for row in OrmQ.objects.order_by("pk")]

    assert [queue.refusal(payload) for payload in payloads] == ["", "", ""]
    assert [SignedPackage.loads(payload)["args"] for payload in payloads] == [(7,), (7,), ()]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"func": "os.system"}, "no entry point"),
        ({"func": "warmup.services.stop"}, "no entry point"),
        ({"args": ("1",)}, "not ids"),
        ({"args": (True,)}, "not ids"),
        ({"args": [1]}, "not ids"),
        ({"kwargs": {"x": 1}}, "keyword arguments"),
    ],
)
def test_message_that_asks_for_something_else_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert reason in queue.refusal(message(**changes))


def test_pickle_that_executes_is_refused_without_executing(tmp_path: Path) -> None:
    trace = tmp_path / "executed"

    reason = queue.refusal(message(hook=Bomb(trace)))

    assert "system" in reason
    assert not trace.exists()


@pytest.mark.parametrize("payload", ["", "x", b"\xff\x00", "a:b:c", message()[:-3] + "xxx"])
def test_message_with_a_wrong_signature_is_refused(payload: str | bytes) -> None:
    assert queue.refusal(payload)


@pytest.mark.parametrize("body", [[1], None, "text"])
def test_message_that_is_no_task_is_refused(body: object) -> None:
    assert "no entry point" in queue.refusal(SignedPackage.dumps(body))


def test_signed_message_that_is_no_pickle_is_refused() -> None:
    payload = core_signing.dumps({}, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=NotPickle)

    assert "Error" in queue.refusal(payload)


def test_database_broker_drops_what_is_not_ours_and_hands_out_the_rest() -> None:
    broker = queue.DatabaseBroker(list_key=Conf.CLUSTER_NAME)
    broker.enqueue(message(func="os.system"))
    assert broker.dequeue() is None
    assert not OrmQ.objects.exists()

    async_task(queue.RUN_SLICE, 3)

    ((_, payload),) = broker.dequeue()
    assert SignedPackage.loads(payload)["args"] == (3,)


def test_settings_use_the_checking_broker() -> None:
    from django_q.brokers import get_broker

    assert isinstance(get_broker(), queue.DatabaseBroker)
    assert queue.RedisBroker.fail(queue.RedisBroker.__new__(queue.RedisBroker), None) is None
