"""Accounts and proxies: their pages, and their secrets, which are written and never shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from core.models import Account, AccountSecret, Proxy, ProxySecret, SessionState
from tests import factories
from tests.warmup.admin.conftest import StaffClient

ACCOUNTS = reverse("admin:core_account_changelist")
ADD_ACCOUNT = reverse("admin:core_account_add")
ADD_PROXY = reverse("admin:core_proxy_add")


def change(row: Account | Proxy) -> str:
    return reverse(f"admin:core_{row._meta.model_name}_change", args=[row.pk])


def password_of(account: Account) -> str:
    return AccountSecret.objects.get(account=account).open()


# ---- accounts -----------------------------------------------------------------------------------------


def test_list_never_loads_secrets_and_costs_the_same(
    boss: Client, django_assert_max_num_queries: Any
) -> None:
    site = factories.SiteFactory()
    factories.AccountFactory.create_batch(20, site=site)

    with django_assert_max_num_queries(8) as queries:
        page = boss.get(ACCOUNTS).content.decode()

    assert page.count('name="_selected_action"') == 20
    assert not any("secret" in query["sql"] or "sealed" in query["sql"] for query in queries.captured_queries)


def test_empty_list_says_what_to_do_first(boss: Client) -> None:
    page = boss.get(ACCOUNTS).content.decode()

    assert "No accounts yet" in page
    assert "Add account" in page


def test_password_is_sealed_and_never_shown(boss: Client) -> None:
    site = factories.SiteFactory()

    boss.post(ADD_ACCOUNT, {"site": site.pk, "username": "anna", "enabled": "on", "password": " s3cret "})

    account = Account.objects.get(username="anna")
    assert password_of(account) == " s3cret "
    page = boss.get(change(account)).content.decode()
    assert "Set. Leave it empty to keep it." in page
    assert "s3cret" not in page
    assert "s3cret" not in str(list(LogEntry.objects.values_list("change_message", flat=True)))


def test_password_field_says_when_there_is_none(boss: Client) -> None:
    site = factories.SiteFactory()
    account = Account.objects.create(site=site, username="anna")

    assert "Not set." in boss.get(change(account)).content.decode()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [({"password": ""}, "old"), ({"password": "new"}, "new"), ({"password": "new", "forget": "on"}, "new")],
)
def test_password_left_empty_is_kept(boss: Client, typed: dict[str, str], kept: str) -> None:
    account = factories.AccountFactory(password="old")

    boss.post(change(account), {"username": account.username, "enabled": "on", **typed})

    assert password_of(account) == kept


def test_password_can_be_forgotten(boss: Client) -> None:
    account = factories.AccountFactory(password="old")

    boss.post(change(account), {"username": account.username, "enabled": "on", "forget": "on"})

    assert not AccountSecret.objects.exists()


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ({"username": ""}, "This field is required."),
        ({"password": "x" * 1001}, "password: must be at most 1000 characters long"),
        ({"username": "a\u2028b"}, "username: must be one line without control characters"),
        ({"username": "a\u202eb"}, "username: must be one line without control characters"),
    ],
)
def test_account_is_checked_by_the_rules_of_the_load_file(
    boss: Client, typed: dict[str, str], fault: str
) -> None:
    data = {"site": factories.SiteFactory().pk, "username": "anna", **typed}

    page = boss.post(ADD_ACCOUNT, data).content.decode()

    assert fault in page
    assert "x" * 1001 not in page
    assert not Account.objects.exists()


def test_account_is_once_per_site(boss: Client) -> None:
    account = factories.AccountFactory()

    page = boss.post(ADD_ACCOUNT, {"site": account.site_id, "username": account.username}).content.decode()

    assert "already exists" in page
    assert Account.objects.count() == 1


def test_account_stays_on_its_site(boss: Client) -> None:
    account, other = factories.AccountFactory(), factories.SiteFactory()

    boss.post(change(account), {"site": other.pk, "username": "renamed", "enabled": "on"})

    account.refresh_from_db()
    assert account.username == "renamed"
    assert account.site != other


def test_viewer_sees_the_account_and_nothing_of_its_secret(staff: StaffClient) -> None:
    account = factories.AccountFactory(password="old")
    SessionState.save_version(account.pk, factories.state(factories.cookie(value="c00kie")))
    viewer = staff("core.view_account")

    page = viewer.get(change(account)).content.decode()

    assert account.username in page
    assert 'name="password"' not in page
    assert "c00kie" not in page
    assert viewer.post(change(account), {"username": "other"}).status_code == 403


def test_account_page_leads_to_its_runs(boss: Client) -> None:
    run = factories.run_in("COMPLETED")

    page = boss.get(change(run.account)).content.decode()

    assert f"?account__id__exact={run.account_id}" in page


def test_saved_states_show_sizes_and_stay_sealed(boss: Client, django_assert_max_num_queries: Any) -> None:
    account = factories.AccountFactory()
    for _ in range(4):
        state = SessionState.save_version(account.pk, factories.state(factories.cookie(value="c00kie")))

    with django_assert_max_num_queries(7) as queries:
        boss.get(reverse("admin:core_sessionstate_changelist"))
    page = boss.get(reverse("admin:core_sessionstate_change", args=[state.pk]))

    assert page.status_code == 200
    assert "c00kie" not in page.content.decode()
    assert not any('"sealed"' in query["sql"] for query in queries.captured_queries)


# ---- proxies ------------------------------------------------------------------------------------------


def credentials_of(proxy: Proxy) -> Any:
    return ProxySecret.objects.get(proxy=proxy).open()


def test_proxy_credentials_are_sealed_and_never_shown(boss: Client) -> None:
    server = {"name": "office", "server": "http://10.0.0.1:3128"}

    boss.post(ADD_PROXY, {**server, "username": "us3r", "password": "s3cret"})

    proxy = Proxy.objects.get()
    assert credentials_of(proxy) == {"username": "us3r", "password": "s3cret"}
    page = boss.get(change(proxy)).content.decode()
    assert "us3r" not in page
    assert "s3cret" not in page
    boss.post(change(proxy), {**server, "name": "home"})
    assert credentials_of(proxy) == {"username": "us3r", "password": "s3cret"}
    boss.post(change(proxy), {**server, "forget": "on"})
    assert not ProxySecret.objects.exists()


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ({"server": "office"}, "server: must be an absolute URL"),
        ({"server": "http://me:pw1@10.0.0.1:3128"}, "server: must not hold a username or password"),
        ({"password": "s3cret"}, "A new password needs its username with it."),
        ({"name": ""}, "This field is required."),
    ],
)
def test_proxy_is_checked_by_the_rules_of_the_load_file(
    boss: Client, typed: dict[str, str], fault: str
) -> None:
    page = boss.post(
        ADD_PROXY, {"name": "office", "server": "http://10.0.0.1:3128", **typed}
    ).content.decode()

    assert fault in page
    assert "s3cret" not in page
    assert not Proxy.objects.exists()


def test_proxy_list_counts_its_accounts(boss: Client) -> None:
    proxy = Proxy.objects.create(name="office", server="http://10.0.0.1:3128")
    factories.AccountFactory.create_batch(3, proxy=proxy)

    page = boss.get(reverse("admin:core_proxy_changelist")).content.decode()

    assert "office" in page
    assert ">3<" in page
