"""Deleting: refused with the reason, or with all that belongs to it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core import artifacts
from core.models import Account, Site
from tests import factories
from tests.warmup.admin.conftest import StaffClient, choose, told
from warmup import store
from warmup.admin import deletion
from warmup.models import Artifact, AuditEntry, DailyCount, Playbook, WarmupAccount, WarmupTask
from warmup.states import TASK_FINAL, TaskStatus
from warmup.types import Evidence

LIST = reverse("admin:warmup_warmuptask_changelist")


def delete_url(task: WarmupTask) -> str:
    return reverse("admin:warmup_warmuptask_delete", args=[task.pk])


def bulk(*tasks: WarmupTask, sure: bool) -> dict[str, object]:
    posted = choose("delete_selected", *tasks)
    if sure:
        del posted["index"]
        posted["post"] = "yes"
    return posted


@pytest.mark.parametrize("status", TaskStatus.values)
def test_delete_is_refused_exactly_while_a_task_goes_on(boss: Client, status: str) -> None:
    task = factories.task_in(status)
    allowed = status == TaskStatus.PENDING or status in TASK_FINAL

    asked = boss.get(delete_url(task)).content.decode()
    response = boss.post(delete_url(task), {"post": "yes"})

    assert WarmupTask.objects.filter(pk=task.pk).exists() is not allowed
    assert (f"is {status}: stop it and wait until it has ended" in asked) is not allowed
    assert response.status_code == (302 if allowed else 200)
    if not allowed:
        assert "stop it and wait" in response.content.decode()


def test_delete_goes_with_runs_and_files_and_leaves_an_audit_entry(
    boss: Client, django_capture_on_commit_callbacks: Any
) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    assert store.save_evidence(Evidence(spec.lease, 1, 0, "screenshot", "end", b"png"))
    assert store.finish(spec.lease, factories.Outcome("COMPLETED"))
    name = Artifact.objects.get().pk

    with django_capture_on_commit_callbacks(execute=True):
        boss.post(delete_url(task), {"post": "yes"})

    assert not WarmupAccount.objects.exists()
    assert not artifacts.path_of(name).exists()
    assert Account.objects.count() == 1
    entry = AuditEntry.objects.first()
    assert entry
    assert (entry.actor_name, entry.verb, entry.object, entry.count) == ("boss", "delete", task.name, 1)


def test_question_counts_what_goes_with_the_task(boss: Client) -> None:
    task = factories.task_in(TaskStatus.COMPLETED)

    page = boss.get(delete_url(task)).content.decode()

    assert "Account runs: 2" in page
    assert task.name in page


def test_bulk_delete_is_refused_as_a_whole_with_each_reason(boss: Client) -> None:
    done, live = factories.task_in(TaskStatus.COMPLETED), factories.task_in(TaskStatus.RUNNING)

    for sure in (False, True):
        page = boss.post(LIST, bulk(done, live, sure=sure)).content.decode()
        assert f"Task “{live.name}” is RUNNING" in page
        assert WarmupTask.objects.count() == 2


def test_bulk_delete_of_ended_tasks(boss: Client) -> None:
    tasks = [factories.task_in(TaskStatus.COMPLETED), factories.task_in(TaskStatus.PENDING)]
    asked = boss.post(LIST, bulk(*tasks, sure=False)).content.decode()
    assert tasks[0].name in asked
    assert WarmupTask.objects.count() == 2

    boss.post(LIST, bulk(*tasks, sure=True))

    assert not WarmupTask.objects.exists()


def _starts_meanwhile(monkeypatch: pytest.MonkeyPatch, task: WarmupTask) -> None:
    """The page is asked about an ended task, and the row is one that runs by the time it is deleted."""
    look = deletion.refusal
    seen: list[WarmupTask] = []

    def first_all_right(row: WarmupTask) -> str | None:
        seen.append(row)
        return None if len(seen) == 1 else look(row)

    monkeypatch.setattr(deletion, "refusal", first_all_right)


def test_delete_of_a_task_that_was_started_meanwhile_is_refused(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = factories.task_in(TaskStatus.QUEUED)
    _starts_meanwhile(monkeypatch, task)

    response = boss.post(delete_url(task), {"post": "yes"}, follow=True)

    assert WarmupTask.objects.filter(pk=task.pk).exists()
    assert any("is QUEUED" in message for message in told(response))


def test_bulk_delete_of_a_task_that_was_started_meanwhile_is_refused(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = factories.task_in(TaskStatus.QUEUED)
    _starts_meanwhile(monkeypatch, task)

    response = boss.post(LIST, bulk(task, sure=True), follow=True)

    assert WarmupTask.objects.filter(pk=task.pk).exists()
    assert any("is QUEUED" in message for message in told(response))


def test_get_of_the_delete_page_deletes_nothing(boss: Client) -> None:
    task = factories.make_task(1)

    boss.get(delete_url(task), {"post": "yes"})

    assert WarmupTask.objects.filter(pk=task.pk).exists()


def test_delete_needs_its_permission(staff: StaffClient) -> None:
    task = factories.make_task(1)
    operator = staff("warmup.change_warmuptask", "warmup.view_warmuptask")

    assert operator.post(delete_url(task), {"post": "yes"}).status_code == 403
    operator.post(LIST, bulk(task, sure=True))

    assert WarmupTask.objects.filter(pk=task.pk).exists()


def test_delete_with_only_its_permission_is_enough(staff: StaffClient) -> None:
    task = factories.task_in(TaskStatus.COMPLETED)

    staff("warmup.delete_warmuptask", "warmup.view_warmuptask").post(delete_url(task), {"post": "yes"})

    assert not WarmupTask.objects.filter(pk=task.pk).exists()


@pytest.mark.parametrize("what", ["account", "site", "playbook"])
def test_delete_of_what_is_in_use_shows_what_uses_it(boss: Client, what: str) -> None:
    run = factories.run_in("COMPLETED")
    row: Account | Site | Playbook = {
        "account": run.account,
        "site": run.task.site,
        "playbook": run.task.playbook,
    }[what]
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])

    page = boss.post(url, {"post": "yes"}).content.decode()

    assert "protected related objects" in page
    assert type(row).objects.filter(pk=row.pk).exists()


def test_unused_account_goes_with_what_the_machine_keeps_of_it(staff: StaffClient) -> None:
    account = factories.AccountFactory()
    account.states.model.save_version(account.pk, {"cookies": [], "origins": []})
    DailyCount.objects.create(account=account, day="2030-01-01", name="like", used=1)
    client = staff("core.delete_account", "core.view_account")

    client.post(reverse("admin:core_account_delete", args=[account.pk]), {"post": "yes"})

    assert not Account.objects.exists()


def test_file_that_is_gone_does_not_matter() -> None:
    deletion._delete_files([uuid.uuid4()])
