"""Polls: nothing new costs three queries and no body; whatever changes is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from warmup import services, store
from warmup.admin import polling
from warmup.models import LogLine, WarmupAccount, WarmupTask
from warmup.states import ParkReason
from warmup.types import LogEntry, Outcome

Change = Callable[[WarmupTask], object]


@pytest.fixture(autouse=True)
def long_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window ends within a test."""
    monkeypatch.setattr(polling, "STALE_SECONDS", 1e12)


def addresses(task: WarmupTask) -> dict[str, str]:
    run = task.runs.order_by("pk")[0]
    return {
        "board": f"{reverse('admin:warmup_warmuptask_board')}?ids={task.pk}",
        "task": reverse("admin:warmup_warmuptask_live", args=[task.pk]),
        "run": reverse("admin:warmup_warmupaccount_live", args=[run.pk]),
    }


@pytest.mark.parametrize("what", ["board", "task", "run"])
def test_nothing_new_costs_three_queries_and_no_body(
    boss: Client, what: str, django_assert_max_num_queries: Any
) -> None:
    address = addresses(factories.started_task(30))[what]
    first = boss.get(address)
    assert first.status_code == 200
    assert "no-store" not in first.headers["Cache-Control"]
    assert "no-cache" in first.headers["Cache-Control"]
    assert "private" in first.headers["Cache-Control"]

    with django_assert_max_num_queries(3):
        again = boss.get(address, headers={"If-None-Match": first.headers["ETag"]})

    assert again.status_code == 304
    assert again.content == b""


def claim(task: WarmupTask) -> object:
    return factories.claim(task)


def step(task: WarmupTask) -> object:
    (spec,) = factories.claim(task)
    return store.write_progress([], [LogEntry(spec.lease, timezone.now(), "DEBUG", "step_done", "0")])


def park(task: WarmupTask) -> object:
    return factories.end(task, Outcome("PARKED", reason=ParkReason.CHALLENGE))


def unpark(task: WarmupTask) -> object:
    return services.unpark(task.runs.get(status="PARKED"), by=None)


def stop(task: WarmupTask) -> object:
    return services.stop(task, by=None)


def pause(task: WarmupTask) -> object:
    return services.pause(task, by=None)


def restart(task: WarmupTask) -> object:
    return services.restart(task, which="all", by=None)


def lose_the_worker(task: WarmupTask) -> object:
    WarmupAccount.objects.active().update(lease_until=timezone.now())
    return services.reconcile()


CHANGES: list[tuple[str, list[Change], Change]] = [
    ("claimed", [], claim),
    ("step", [], step),
    ("completed", [], lambda task: factories.end(task, Outcome("COMPLETED"))),
    ("parked", [], park),
    ("paused", [], pause),
    ("stop", [claim], stop),
    ("unparked", [park], unpark),
    ("unparked while paused", [park, pause], unpark),
    ("restarted", [stop], restart),
    ("taken back", [claim], lose_the_worker),
]


@pytest.mark.parametrize("what", ["board", "task", "run"])
@pytest.mark.parametrize(("before", "change"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_every_change_is_sent(boss: Client, what: str, before: list[Change], change: Change) -> None:
    task = factories.started_task(2)
    for earlier in before:
        earlier(task)
    address = addresses(task)[what]
    first = boss.get(address)

    change(task)

    assert boss.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_tag_is_of_one_person_and_one_address(boss: Client, admin_client: Client) -> None:
    task = factories.started_task(1)
    address = addresses(task)["task"]
    tag = boss.get(address).headers["ETag"]

    assert admin_client.get(address, headers={"If-None-Match": tag}).status_code == 200
    assert boss.get(f"{address}?level=DEBUG", headers={"If-None-Match": tag}).status_code == 200


def test_tag_ends_with_its_window(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what changes with the time alone is shown, too."""
    address = addresses(factories.started_task(1))["task"]
    tag = boss.get(address).headers["ETag"]

    monkeypatch.setattr(polling, "STALE_SECONDS", 0.001)

    assert boss.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_task_that_is_gone_is_not_asked_for_again(boss: Client) -> None:
    task = factories.make_task(0)
    address = reverse("admin:warmup_warmuptask_live", args=[task.pk])
    tag = boss.get(address).headers["ETag"]
    LogLine.objects.all().delete()

    task.delete()

    assert boss.get(address, headers={"If-None-Match": tag}).status_code == 286
