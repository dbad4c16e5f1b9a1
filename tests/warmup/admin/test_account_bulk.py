"""What is done to chosen accounts, and to all that a filter leaves, at ten thousand of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.models import Account, AccountSecret, Proxy, SessionState, Site
from tests import factories
from tests.warmup.admin.conftest import StaffClient, choose, confirmed, told
from warmup.models import AuditEntry, DailyCount, WarmupAccount, WarmupTask

LIST = reverse("admin:core_account_changelist")
MANY = 10_000


@pytest.fixture
def office(db: None) -> Proxy:
    return Proxy.objects.create(name="office", server="http://10.0.0.1:3128")


def many(number: int = MANY, **fields: Any) -> tuple[str, Account]:
    """A filtered list's address with `number` accounts, and the first of them; others are outside."""
    site: Site = factories.SiteFactory()
    Account.objects.bulk_create(
        Account(site=site, username=f"user{index:05d}", **fields) for index in range(number)
    )
    factories.AccountFactory.create_batch(2)
    return f"{LIST}?site__id__exact={site.pk}", Account.objects.get(site=site, username="user00000")


# ---- assign a proxy -------------------------------------------------------------------------------------


def test_assign_proxy_asks_first(boss: Client, office: Proxy) -> None:
    people = factories.AccountFactory.create_batch(3)

    page = boss.post(LIST, choose("assign_proxy", *people[:2])).content.decode()

    assert "Assign a proxy to 2 accounts" in page
    assert page.count('name="_selected_action"') == 2
    assert not Account.objects.exclude(proxy=None).exists()


def test_assign_proxy_to_chosen_accounts_leaves_one_audit_entry(boss: Client, office: Proxy) -> None:
    people = factories.AccountFactory.create_batch(3)

    response = boss.post(LIST, confirmed("assign_proxy", *people[:2], proxy=str(office.pk)), follow=True)

    assert told(response) == ["Assigned; this changed 2 accounts."]
    assert set(Account.objects.filter(proxy=office)) == set(people[:2])
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.object, entry.count) == ("assign proxy", "office", 2)


def test_assign_no_proxy_takes_it_away(boss: Client, office: Proxy) -> None:
    people = [factories.AccountFactory(proxy=office), factories.AccountFactory()]

    response = boss.post(LIST, confirmed("assign_proxy", *people, proxy="none"), follow=True)

    assert told(response) == ["Assigned; this changed 1 account."]
    assert not Account.objects.exclude(proxy=None).exists()


@pytest.mark.parametrize("choice", ["", "4711"])
def test_assign_proxy_without_an_answer_asks_again(boss: Client, office: Proxy, choice: str) -> None:
    account = factories.AccountFactory(proxy=office)

    page = boss.post(LIST, confirmed("assign_proxy", account, proxy=choice)).content.decode()

    assert "Assign a proxy to 1 account" in page
    account.refresh_from_db()
    assert account.proxy == office


def test_assign_proxy_to_the_whole_filter(
    boss: Client, office: Proxy, django_assert_max_num_queries: Any
) -> None:
    url, first = many()
    asked = boss.post(url, choose("assign_proxy", first, select_across="1")).content.decode()
    assert "Assign a proxy to 10000 accounts" in asked
    assert asked.count('name="_selected_action"') == 1

    with django_assert_max_num_queries(20):
        boss.post(url, confirmed("assign_proxy", first, select_across="1", proxy=str(office.pk)))

    assert Account.objects.filter(proxy=office).count() == MANY
    assert AuditEntry.objects.get().count == MANY


def test_assign_proxy_needs_change(staff: StaffClient, office: Proxy) -> None:
    account = factories.AccountFactory()

    staff("core.view_account").post(LIST, confirmed("assign_proxy", account, proxy=str(office.pk)))

    account.refresh_from_db()
    assert account.proxy is None


# ---- delete ---------------------------------------------------------------------------------------------


def test_delete_asks_first(boss: Client) -> None:
    people = factories.AccountFactory.create_batch(2)

    page = boss.post(LIST, choose("delete_chosen", *people)).content.decode()

    assert "Delete 2 accounts?" in page
    assert Account.objects.count() == 2


def test_delete_takes_along_what_belongs_to_accounts(boss: Client) -> None:
    gone, kept = factories.AccountFactory.create_batch(2)
    for account in (gone, kept):
        SessionState.save_version(account.pk, factories.state())
        DailyCount.objects.create(account=account, day="2030-01-01", name="like", used=1)

    response = boss.post(LIST, confirmed("delete_chosen", gone), follow=True)

    assert told(response) == ["Deleted 1 account."]
    for model in (AccountSecret, SessionState, DailyCount):
        assert model.objects.get().account == kept  # type: ignore[attr-defined]
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.object, entry.count, entry.reason) == (
        "delete",
        gone.username,
        1,
        gone.username,
    )


@pytest.mark.parametrize("status", ["RUNNING", "COMPLETED"])
def test_delete_is_refused_as_a_whole_while_one_has_runs(boss: Client, status: str) -> None:
    run = factories.run_in(status)
    free = factories.AccountFactory()

    for posted in (choose("delete_chosen", run.account, free), confirmed("delete_chosen", run.account, free)):
        page = boss.post(LIST, posted).content.decode()
        assert "These cannot be deleted now" in page
        assert run.account.username in page
        assert ("1 account is running now" in page) == (status == "RUNNING")
        assert Account.objects.filter(pk=free.pk).exists()
    assert not AuditEntry.objects.filter(verb="delete").exists()


def test_delete_of_an_account_that_gets_a_run_meanwhile_is_refused(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = factories.run_in("PENDING")
    monkeypatch.setattr("warmup.accounts.in_use", lambda _: ())

    response = boss.post(LIST, confirmed("delete_chosen", run.account))

    assert response.status_code == 200
    assert Account.objects.filter(pk=run.account_id).exists()


def test_delete_of_the_whole_filter(boss: Client, django_assert_max_num_queries: Any) -> None:
    url, first = many()
    asked = boss.post(url, choose("delete_chosen", first, select_across="1")).content.decode()
    assert "Delete 10000 accounts?" in asked

    with django_assert_max_num_queries(260):  # about 20 for each thousand
        response = boss.post(url, confirmed("delete_chosen", first, select_across="1"), follow=True)

    assert told(response) == ["Deleted 10000 accounts."]
    assert Account.objects.count() == 2
    assert AuditEntry.objects.get().count == MANY


def test_delete_needs_its_permission(staff: StaffClient) -> None:
    account = factories.AccountFactory()

    staff("core.view_account", "core.change_account").post(LIST, confirmed("delete_chosen", account))

    assert Account.objects.exists()


def test_actions_that_list_every_account_are_not_offered(boss: Client) -> None:
    factories.AccountFactory()

    page = boss.get(LIST).content.decode()

    assert 'value="delete_chosen"' in page
    assert 'value="delete_selected"' not in page


# ---- warm up --------------------------------------------------------------------------------------------


def test_warm_up_of_the_whole_filter(boss: Client, django_assert_max_num_queries: Any) -> None:
    url, first = many()
    answers = {
        "task-playbook": str(factories.make_playbook().pk),
        "task-name": "all of them",
        "task-concurrency": "3",
        "task-delay_min_seconds": "0",
        "task-delay_max_seconds": "0",
        "task-seed": "7",
    }
    with django_assert_max_num_queries(25):
        asked = boss.post(url, choose("warm_up", first, select_across="1")).content.decode()
    assert "Warm up 10000 accounts" in asked

    with django_assert_max_num_queries(400):  # SQLite takes 55 runs in a statement, PostgreSQL 1000
        boss.post(url, confirmed("warm_up", first, select_across="1", **answers))

    task = WarmupTask.objects.get()
    assert WarmupAccount.objects.filter(task=task).count() == MANY
    assert AuditEntry.objects.get(verb="start").count == MANY
