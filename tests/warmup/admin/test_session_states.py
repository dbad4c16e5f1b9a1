"""Saved states: their pages, and the way back to an older one."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse

from core.models import Account, SessionState
from tests import factories
from tests.warmup.admin.conftest import StaffClient, told
from warmup.models import AuditEntry

LIST = reverse("admin:core_sessionstate_changelist")
VIEW, SECRETS = "core.view_sessionstate", "core.use_account_secrets"


def page_of(state: SessionState) -> str:
    return reverse("admin:core_sessionstate_change", args=[state.pk])


def back_to(state: SessionState) -> str:
    return reverse("admin:core_sessionstate_roll_back", args=[state.pk])


@pytest.fixture
def states(db: None) -> list[SessionState]:
    """Three versions of one account, the oldest first."""
    account = factories.AccountFactory()
    return [
        SessionState.save_version(
            account.pk,
            factories.state(
                factories.cookie("s1d", f"c00kie{n}", expires=4102444800, httpOnly=True),
                origins=[
                    {"origin": "http://site.test", "localStorage": [{"name": "k3y", "value": "s3cret"}]}
                ],
            ),
        )
        for n in range(3)
    ]


def test_version_shows_names_and_no_value(boss: Client, states: list[SessionState]) -> None:
    page = boss.get(page_of(states[0])).content.decode()

    for shown in ("s1d (site.test)", "http://site.test", "in 1"):
        assert shown in page
    for hidden in ("c00kie", "s3cret", "k3y"):
        assert hidden not in page


def test_account_page_leads_to_each_version(boss: Client, states: list[SessionState]) -> None:
    account = Account.objects.get()

    page = boss.get(reverse("admin:core_account_change", args=[account.pk])).content.decode()

    places = [page.index(f'href="{page_of(state)}"') for state in states]
    assert places == sorted(places, reverse=True)
    assert "1 cookie, 1 origin<" in page


def test_names_are_escaped_and_cut(boss: Client, db: None) -> None:
    cookies = [factories.cookie(f"<script>alert({n})</script>") for n in range(150)]
    state = SessionState.save_version(factories.AccountFactory().pk, factories.state(*cookies))

    page = boss.get(page_of(state)).content.decode()

    assert "<script>alert" not in page
    assert "<div>...</div>" in page


def test_list_costs_the_same_and_loads_nothing_sealed(
    boss: Client, states: list[SessionState], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(7) as queries:
        page = boss.get(LIST).content.decode()

    assert page.count("c00kie") == 0
    assert not any('"sealed"' in query["sql"] for query in queries.captured_queries)


def test_way_back_leads_through_a_question(boss: Client, states: list[SessionState]) -> None:
    oldest, _middle, newest = states
    account = Account.objects.get()

    assert back_to(oldest) in boss.get(page_of(oldest)).content.decode()
    assert back_to(newest) not in boss.get(page_of(newest)).content.decode()
    question = boss.get(back_to(oldest))
    assert question.status_code == 200
    assert f"Go back to this state of {account}?" in question.content.decode()
    assert account.states.count() == 3

    response = boss.post(back_to(oldest))

    restored = account.current_state()
    assert restored is not None
    assert restored.open() == oldest.open()
    assert response["Location"] == page_of(restored)
    assert told(response)[0].startswith(f"The next run of {account} begins with the state that was saved ")
    assert AuditEntry.objects.get(verb="roll back state").actor_name == "boss"


@pytest.mark.parametrize("permissions", [(), (VIEW,), (SECRETS,), (VIEW, "core.change_sessionstate")])
def test_way_back_needs_both_permissions(
    staff: StaffClient, states: list[SessionState], permissions: tuple[str, ...]
) -> None:
    client = staff(*permissions)

    assert client.get(back_to(states[0])).status_code == 403
    assert client.post(back_to(states[0])).status_code == 403

    assert SessionState.objects.count() == 3
    if VIEW in permissions:
        assert back_to(states[0]) not in client.get(page_of(states[0])).content.decode()


def test_way_back_with_both_permissions_and_a_token_only(
    staff: StaffClient, client: Client, states: list[SessionState]
) -> None:
    assert client.post(back_to(states[0])).status_code == 302  # to the log-in
    assert staff(VIEW, SECRETS, csrf=True).post(back_to(states[0])).status_code == 403
    assert SessionState.objects.count() == 3

    assert staff(VIEW, SECRETS).post(back_to(states[0])).status_code == 302
    assert SessionState.objects.count() == 4


def test_refusal_says_why_and_changes_nothing(
    boss: Client, states: list[SessionState], settings: Any
) -> None:
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]

    response = boss.post(back_to(states[0]))

    assert response["Location"] == LIST
    assert "does not open with any key of FIELD_KEYS" in told(response)[0]
    assert SessionState.objects.count() == 3
    assert boss.get(page_of(states[0])).status_code == 200


@pytest.mark.parametrize("number", [999, 10**17, 10**30])
def test_state_that_is_gone_says_so(boss: Client, db: None, number: int) -> None:
    url = reverse("admin:core_sessionstate_roll_back", args=[number])

    for response in (boss.get(url), boss.post(url)):
        assert response.status_code == 302
        assert "exist" in told(response)[0]
