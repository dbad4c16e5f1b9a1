"""django-q2's tables: seen, never touched, never unpickled."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.warmup.admin.conftest import StaffClient, confirmed
from warmup.admin import queue_pages

loaded: list[str] = []


def loads(what: str) -> str:
    """What the poisoned pickles call."""
    loaded.append(what)
    return what


def poison(what: str) -> str:
    """A pickle that calls `loads` when it is opened, as the column stores it."""
    module = loads.__module__
    content = f"c{module}\nloads\n(V{what}\ntR.".encode()
    return base64.b64encode(content).decode()


@pytest.fixture(autouse=True)
def nothing_loaded() -> Any:
    loaded.clear()
    yield
    loaded.clear()


@pytest.fixture
def jobs(db: None) -> None:
    model = apps.get_model("django_q", "Task")
    for name, success in (("good", True), ("bad", False)):
        model.objects.create(
            id=name,
            name=name,
            func="warmup.jobs.run_slice",
            started=timezone.now(),
            stopped=timezone.now(),
            success=success,
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE django_q_task SET args = %s, kwargs = %s, result = %s",
            [poison("args"), poison("kwargs"), poison("result")],
        )
    apps.get_model("django_q", "OrmQ").objects.create(
        key="warmup", payload="not a package", lock=timezone.now()
    )
    apps.get_model("django_q", "Schedule").objects.create(
        name="reconcile", func="warmup.jobs.reconcile", args="('sched_args',)"
    )


def rows() -> list[Any]:
    return [apps.get_model("django_q", name).objects.only("pk").get() for name in queue_pages.PAGES]


def address(row: Any, page: str) -> str:
    name = f"admin:django_q_{row._meta.model_name}_{page}"
    return reverse(name, args=[] if page in {"changelist", "add"} else [row.pk])


def test_poison_would_be_noticed() -> None:
    pickle.loads(base64.b64decode(poison("args")))

    assert loaded == ["args"]


def test_rows_are_loaded_without_unpickling(jobs: None) -> None:
    apps.get_model("django_q", "Success").objects.get()

    assert loaded == []


def test_pages_show_without_unpickling(boss: Client, jobs: None) -> None:
    for row in rows():
        for page in ("changelist", "change", "history"):
            response = boss.get(address(row, page))
            assert response.status_code == 200
            assert b"sched_args" not in response.content
        assert boss.get(address(row, "changelist"), {"q": "o"}).status_code == 200

    assert loaded == []


def test_pages_show_name_and_function(boss: Client, jobs: None) -> None:
    success, failure, _, schedule = rows()

    assert "good" in boss.get(address(success, "changelist")).content.decode()
    assert "bad" in boss.get(address(failure, "change")).content.decode()
    assert "warmup.jobs.reconcile" in boss.get(address(schedule, "changelist")).content.decode()


def test_pages_are_read_only_also_for_a_superuser(boss: Client, jobs: None) -> None:
    for row in rows():
        assert boss.get(address(row, "add")).status_code == 403
        assert boss.post(address(row, "change"), {"func": "os.system"}).status_code == 403
        assert boss.post(address(row, "delete"), {"post": "yes"}).status_code == 403
        for action in ("delete_selected", "resubmit_task"):
            boss.post(address(row, "changelist"), confirmed(action, row, post="yes"))

    assert len(rows()) == 4
    assert loaded == []


def test_pages_are_not_for_strangers(staff: StaffClient, jobs: None) -> None:
    for row in rows():
        assert staff("core.view_site").get(address(row, "changelist")).status_code == 403


def test_all_pages_of_django_q_are_ours() -> None:
    theirs = [page for model, page in admin.site._registry.items() if model._meta.app_label == "django_q"]

    assert len(theirs) == 4
    assert all(isinstance(page, queue_pages.QueueAdmin) for page in theirs)


def test_page_that_django_q_does_not_have_is_not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Redis as the broker there is no table of messages."""
    model = apps.get_model("django_q", "OrmQ")
    page = type(admin.site._registry[model])
    admin.site.unregister(model)
    try:
        queue_pages.take_over()
        assert not admin.site.is_registered(model)
    finally:
        admin.site.register(model, page)
