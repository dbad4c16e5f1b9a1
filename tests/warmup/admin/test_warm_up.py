""" "Warm up...": from chosen accounts to a started task."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.models import Account
from tests import factories
from tests.warmup.admin.conftest import StaffClient, choose, confirmed, told
from warmup.models import AuditEntry, WarmupAccount, WarmupTask
from warmup.states import TaskStatus

LIST = reverse("admin:core_account_changelist")


def answers(**changes: object) -> dict[str, str]:
    """What the form posts."""
    values = {
        "playbook": factories.make_playbook().pk,
        "name": "evening",
        "concurrency": 3,
        "delay_min_seconds": 0.5,
        "delay_max_seconds": 2,
        "seed": 7,
        **changes,
    }
    return {f"task-{name}": str(value) for name, value in values.items()}


def accounts(number: int = 3, **fields: Any) -> list[Account]:
    fields.setdefault("site", factories.SiteFactory())
    return list(factories.AccountFactory.create_batch(number, **fields))


def test_warm_up_asks_first(boss: Client) -> None:
    people = accounts()
    factories.make_playbook()

    page = boss.post(LIST, choose("warm_up", *people)).content.decode()

    assert f"Warm up 3 accounts of {people[0].site}" in page
    assert 'name="task-playbook"' in page
    assert not WarmupTask.objects.exists()


def test_warm_up_makes_and_starts_a_task(boss: Client) -> None:
    people = accounts()

    response = boss.post(LIST, confirmed("warm_up", *people, **answers()), follow=True)

    task = WarmupTask.objects.get()
    assert (task.name, task.concurrency, task.seed) == ("evening", 3, 7)
    assert (task.delay_min_seconds, task.delay_max_seconds) == (0.5, 2)
    assert (task.status, task.created_by.username, task.site) == (TaskStatus.QUEUED, "boss", people[0].site)  # type: ignore[union-attr]
    assert set(task.runs.values_list("account", flat=True)) == {account.pk for account in people}
    (message,) = told(response)
    assert message.startswith("Warming up 3 accounts:")
    assert reverse("admin:warmup_warmuptask_change", args=[task.pk]) in message
    assert AuditEntry.objects.get().count == 3


def test_warm_up_of_the_whole_filtered_list(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmup.admin.accounts.AccountAdmin.list_per_page", 2)
    monkeypatch.setattr("warmup.creating.INSERT_BATCH", 2)
    people = accounts(7)
    accounts(2)
    factories.make_playbook()
    url = f"{LIST}?site__id__exact={people[0].site_id}"
    asked = boss.post(url, choose("warm_up", *people[:2], select_across="1")).content.decode()
    assert "Warm up 7 accounts" in asked
    assert asked.count('name="_selected_action"') == 1

    boss.post(url, confirmed("warm_up", people[0], select_across="1", **answers()))

    assert WarmupAccount.objects.count() == 7


def test_warm_up_leaves_disabled_accounts_out(boss: Client) -> None:
    site = factories.SiteFactory()
    people = [*accounts(2, site=site), *accounts(1, site=site, enabled=False)]
    factories.make_playbook()
    asked = boss.post(LIST, choose("warm_up", *people)).content.decode()
    assert "Warm up 2 accounts" in asked
    assert "1 chosen account is not enabled and left out." in asked

    response = boss.post(LIST, confirmed("warm_up", *people, **answers()), follow=True)

    assert told(response)[0].startswith("Warming up 2 accounts:")


def test_warm_up_of_several_sites_is_refused_by_name(boss: Client) -> None:
    people = [*accounts(1), *accounts(1)]
    factories.make_playbook()

    response = boss.post(LIST, choose("warm_up", *people), follow=True)

    (message,) = told(response)
    assert "accounts of one site" in message
    assert all(str(account.site) in message for account in people)


@pytest.mark.parametrize("enabled", [True, False])
def test_warm_up_with_nothing_to_do_says_so(boss: Client, enabled: bool) -> None:
    people = accounts(1, enabled=enabled)

    (message,) = told(boss.post(LIST, choose("warm_up", *people), follow=True))

    assert message.startswith(
        "There is no playbook yet" if enabled else "None of the chosen accounts is enabled"
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "a\u2028b"}, "name: must be one line without control characters"),
        ({"concurrency": 0}, "concurrency: must be at least 1"),
        ({"concurrency": 1001}, "concurrency: must be at most 1000"),
        ({"delay_min_seconds": 5}, "delay_seconds: min 5 is greater than max 2"),
        ({"delay_min_seconds": -1}, "delay_seconds.min: must be at least 0"),
        ({"delay_max_seconds": 4000}, "delay_seconds.max: must be at most 3600"),
        ({"seed": 2**63}, "less than or equal to"),
        ({"playbook": 4711}, "not one of the available choices"),
    ],
)
def test_warm_up_with_a_wrong_answer_asks_again(boss: Client, changes: dict[str, object], fault: str) -> None:
    people = accounts(2)

    response = boss.post(LIST, confirmed("warm_up", *people, **answers(**changes)))

    assert response.status_code == 200
    page = response.content.decode()
    assert fault in page
    assert page.count('name="_selected_action"') == 2
    assert not WarmupTask.objects.exists()


def test_warm_up_needs_a_playbook_that_fits_the_site(boss: Client) -> None:
    people = accounts(1)
    playbook = factories.make_playbook("other", [{"do": "open", "target": "nowhere"}])

    page = boss.post(LIST, confirmed("warm_up", *people, **answers(playbook=playbook.pk))).content.decode()

    assert "steps[0].target: site has no target &#x27;nowhere&#x27;" in page
    assert not WarmupTask.objects.exists()


def test_warm_up_under_a_name_that_is_taken_asks_again(boss: Client) -> None:
    people = accounts(1)
    factories.make_task(1, name="evening")

    page = boss.post(LIST, confirmed("warm_up", *people, **answers())).content.decode()

    assert "already exists" in page
    assert WarmupTask.objects.count() == 1


def test_warm_up_whose_name_is_taken_meanwhile_asks_again(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = accounts(1)
    posted = confirmed("warm_up", *people, **answers())
    factories.make_task(1, name="evening")
    monkeypatch.setattr("warmup.forms.task.WarmUpForm.validate_unique", lambda form: None)

    page = boss.post(LIST, posted).content.decode()

    assert "name: there is a task &#x27;evening&#x27; already" in page
    assert WarmupTask.objects.count() == 1


def test_warm_up_that_cannot_start_leaves_no_task(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    people = accounts(1)
    posted = confirmed("warm_up", *people, **answers())
    # Disabled between the question and the answer.
    monkeypatch.setattr("warmup.creating.choose", lambda task, chosen: Account.objects.update(enabled=False))

    page = boss.post(LIST, posted).content.decode()

    assert "it has no enabled account" in page
    assert not WarmupTask.objects.exists()


def test_warm_up_offers_the_newest_version_of_each_playbook(boss: Client) -> None:
    people = accounts(1)
    factories.make_playbook("one")
    factories.make_playbook("one", [{"do": "open", "target": "feed"}])
    factories.make_playbook("two")

    page = boss.post(LIST, choose("warm_up", *people)).content.decode()

    options = re.findall(r"<option[^>]*>\s*(\w+ v\d)", page)
    assert options == ["one v2", "two v1"]


def test_warm_up_needs_its_permission(staff: StaffClient) -> None:
    people = accounts(1)
    viewer = staff("core.view_account")
    assert 'value="warm_up"' not in viewer.get(LIST).content.decode()

    viewer.post(LIST, confirmed("warm_up", *people, **answers()))

    assert not WarmupTask.objects.exists()
    operator = staff("core.view_account", "warmup.add_warmuptask")
    assert 'value="warm_up"' in operator.get(LIST).content.decode()


def test_warm_up_without_csrf_token_is_refused(staff: StaffClient) -> None:
    people = accounts(1)
    client = staff("core.view_account", "warmup.add_warmuptask", csrf=True)

    assert client.post(LIST, confirmed("warm_up", *people, **answers())).status_code == 403
    assert not WarmupTask.objects.exists()


def test_warm_up_by_get_does_nothing(boss: Client) -> None:
    boss.get(LIST, confirmed("warm_up", *accounts(1), **answers()))

    assert not WarmupTask.objects.exists()
