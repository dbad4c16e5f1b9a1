"""The health of accounts: columns, order and filters of the list, and the history on an account's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core.models import Account, SessionState
from tests import factories
from tests.warmup.admin.conftest import StaffClient

LIST = reverse("admin:core_account_changelist")


def saved(account: Account, *, days: float, expires: float | None = None) -> None:
    """A state of the account, saved `days` ago, whose log-in ends in `expires` days."""
    state = SessionState.save_version(account.pk, factories.state())
    now = timezone.now()
    SessionState.objects.filter(pk=state.pk).update(
        created_at=now - timedelta(days=days),
        expires_last=None if expires is None else now + timedelta(days=expires),
    )


@pytest.fixture
def people(db: None) -> dict[str, Account]:
    """`fresh`, `old` and `never`, by what the machine knows of them."""
    now = timezone.now()
    site = factories.SiteFactory()
    fresh = factories.AccountFactory(
        site=site,
        username="fresh",
        last_warmup_at=now - timedelta(hours=2),
        last_login_at=now - timedelta(days=2),
    )
    old = factories.AccountFactory(
        site=site,
        username="old",
        last_warmup_at=now - timedelta(days=9),
        last_login_at=now - timedelta(days=9),
        failures_in_a_row=3,
    )
    never = factories.AccountFactory(site=site, username="never", failures_in_a_row=1)
    saved(fresh, days=30, expires=-1)
    saved(fresh, days=0.1, expires=5)
    saved(old, days=10, expires=-1)
    return {"fresh": fresh, "old": old, "never": never}


def names(client: Client, query: str) -> list[str]:
    return [account.username for account in client.get(f"{LIST}?{query}").context["cl"].result_list]


def test_list_shows_health_at_a_glance(boss: Client, people: dict[str, Account]) -> None:
    page = boss.get(LIST).content.decode()

    assert "none yet" in page
    assert page.count("log-in expired") == 1
    assert "2\xa0hours ago" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("warmed_up=day", ["fresh"]),
        ("warmed_up=old", ["old"]),
        ("warmed_up=never", ["never"]),
        ("failures=0", ["fresh"]),
        ("failures=1", ["never", "old"]),
        ("failures=3", ["old"]),
        ("state=none", ["never"]),
        ("state=old", ["old"]),
        ("state=expired", ["old"]),
        ("state=nonsense", ["fresh", "never", "old"]),
    ],
)
def test_filters(boss: Client, people: dict[str, Account], query: str, found: list[str]) -> None:
    assert names(boss, query) == found


@pytest.mark.parametrize(
    ("column", "first_needs_a_look"),
    [
        ("warmed_up", ["never", "old", "fresh"]),
        ("logged_in", ["never", "old", "fresh"]),
        ("state_age", ["never", "old", "fresh"]),
        ("failures", ["fresh", "never", "old"]),
    ],
)
def test_columns_are_ordered_and_unknown_comes_first(
    boss: Client, people: dict[str, Account], column: str, first_needs_a_look: list[str]
) -> None:
    columns = boss.get(LIST).context["cl"].list_display
    number = list(columns).index(column)

    assert names(boss, f"o={number}") == first_needs_a_look
    assert names(boss, f"o=-{number}")[-1] == first_needs_a_look[0]


def test_list_costs_the_same_however_many_there_are(boss: Client, django_assert_max_num_queries: Any) -> None:
    site = factories.SiteFactory()
    for _ in range(30):
        saved(factories.AccountFactory(site=site), days=1)

    with django_assert_max_num_queries(8) as queries:
        boss.get(LIST)

    assert not any('"sealed"' in query["sql"] for query in queries.captured_queries)


def test_account_page_shows_its_runs_with_links(boss: Client) -> None:
    run = factories.run_in("FAILED")
    other = factories.run_in("COMPLETED")

    page = boss.get(reverse("admin:core_account_change", args=[run.account_id])).content.decode()

    assert f'href="{reverse("admin:warmup_warmupaccount_change", args=[run.pk])}"' in page
    assert run.task.name in page
    assert "because" in page
    assert reverse("admin:warmup_warmupaccount_change", args=[other.pk]) not in page


def test_history_costs_the_same_however_long_it_is(boss: Client) -> None:
    account = factories.AccountFactory()
    url = reverse("admin:core_account_change", args=[account.pk])
    boss.get(url)  # looks content types up once
    with CaptureQueriesContext(connection) as empty:
        boss.get(url)
    for number in range(5):
        task = factories.make_task(0, site=account.site, name=f"task {number}")
        task.runs.create(account=account, seed=1)

    with CaptureQueriesContext(connection) as full:
        boss.get(url)

    assert len(full) == len(empty)


def test_account_without_runs_says_so(boss: Client) -> None:
    account = factories.AccountFactory()

    page = boss.get(reverse("admin:core_account_change", args=[account.pk])).content.decode()

    assert "No runs yet: they are made when a task with this account is started." in page


def test_history_is_for_those_who_may_see_runs(staff: StaffClient) -> None:
    run = factories.run_in("COMPLETED")
    url = reverse("admin:core_account_change", args=[run.account_id])

    assert run.task.name not in staff("core.view_account").get(url).content.decode()
    assert run.task.name in staff("core.view_account", "warmup.view_warmupaccount").get(url).content.decode()


def test_page_for_a_new_account_has_no_history(boss: Client) -> None:
    assert "account-history" not in boss.get(reverse("admin:core_account_add")).content.decode()
