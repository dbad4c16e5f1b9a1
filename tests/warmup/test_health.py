"""`healthcheck`: each thing that can be wrong is named."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError

from core.errors import BrowserUnavailable
from tests import factories
from warmup import health, queue, store
from warmup.models import ClusterPulse, WarmupTask

pytestmark = pytest.mark.django_db


async def working_probe(options: Any) -> None:
    """A browser that starts and answers."""


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "live_workers", lambda: 2)
    monkeypatch.setattr(queue, "broker_problem", lambda: "")
    monkeypatch.setattr(health.browser, "probe", working_probe)


def healthcheck(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("healthcheck", *arguments, stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_all_is_well() -> None:
    assert healthcheck() == (0, "all is well\n", "")
    assert json.loads(healthcheck("--json")[1]) == {"ok": True, "problems": {}}


def test_database_that_does_not_answer_is_named_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def cursor(self) -> Any:
            raise OperationalError("connection refused")

    monkeypatch.setattr(health, "connection", Away())

    assert healthcheck() == (1, "", "database: does not answer: connection refused\n")


def test_broker_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "broker_problem", lambda: "does not answer: refused")

    assert healthcheck("--json")[0] == 1
    assert health.problems() == {"broker": "does not answer: refused"}


def test_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "live_workers", lambda: 0)

    assert "none is alive" in health.problems()["workers"]


def test_browser_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(options: Any) -> None:
        raise BrowserUnavailable("no browser was found: run `make setup`")

    monkeypatch.setattr(health.browser, "probe", broken)

    assert health.problems() == {"browser": "no browser was found: run `make setup`"}
    assert healthcheck("--no-browser")[0] == 0


def test_browser_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hanging(options: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(health.browser, "probe", hanging)

    assert "did not start" in health.problems()["browser"]


@pytest.mark.parametrize(
    ("moved", "beat", "stuck"),
    [
        (10, None, False),
        (health.STALLED_SECONDS + 5, None, True),
        (health.STALLED_SECONDS + 5, 5, False),  # the workers are busy with other tasks
        (health.STALLED_SECONDS + 5, health.STALLED_SECONDS, True),
        (3600, 5, True),
    ],
)
def test_work_that_does_not_move(moved: int, beat: int | None, stuck: bool) -> None:
    factories.started_task(1, name="morning")
    now = store.database_now()
    WarmupTask.objects.update(moved_at=now - timedelta(seconds=moved))
    if beat is not None:
        ClusterPulse.objects.create(name="main:1:1", beat_at=now - timedelta(seconds=beat))

    found = health.problems()

    assert bool(found) == stuck
    if stuck:
        assert found["work"].startswith("task 'morning' could go on, and has not for")


def test_task_whose_slots_are_taken_is_not_stuck() -> None:
    task = factories.started_task(2, concurrency=1)
    factories.claim(task)
    WarmupTask.objects.update(moved_at=store.database_now() - timedelta(hours=1))

    assert health.problems() == {}
