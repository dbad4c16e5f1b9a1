"""How long a log-in holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from core.sessions import BEGAN

INDEX = reverse("admin:index")
START = datetime(2030, 5, 6, 8, tzinfo=timezone.utc)  # noqa: UP017
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def later(clock: Any, **span: float) -> None:
    clock.shift(timedelta(**span))


def is_in(client: Client, **headers: str) -> bool:
    return client.get(INDEX, headers=headers).status_code == 200


def test_idle_session_ends(clock: Any, boss: Client) -> None:
    later(clock, minutes=61)

    response = boss.get(INDEX)

    assert response["Location"].startswith(reverse("admin:login"))
    assert not is_in(boss)


def test_person_at_work_stays_in(clock: Any, boss: Client) -> None:
    for _ in range(8):
        later(clock, minutes=59)
        assert is_in(boss)


def test_longest_session_ends_also_at_work(clock: Any, boss: Client) -> None:
    for _ in range(12):
        later(clock, minutes=59)
        assert is_in(boss)

    later(clock, minutes=20)

    assert not is_in(boss)


def test_page_that_polls_does_not_count_as_work(clock: Any, boss: Client) -> None:
    for _ in range(61):
        later(clock, minutes=1)
        response = boss.get(INDEX, headers=HTMX)

    assert response["HX-Refresh"] == "true"
    assert not is_in(boss)


def test_click_in_a_page_that_polls_counts_as_work(clock: Any, boss: Client) -> None:
    for _ in range(3):
        later(clock, minutes=59)
        assert boss.post(INDEX, headers=HTMX).status_code == 200


def test_session_without_a_beginning_is_over(boss: Client) -> None:
    session = boss.session
    del session[BEGAN]
    session.save()

    assert not is_in(boss)


def test_request_writes_the_session_once_a_minute_at_most(
    clock: Any, boss: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(9) as queries:
        assert is_in(boss)
        later(clock, seconds=59)
        assert is_in(boss)

    assert not any("UPDATE" in query["sql"] for query in queries.captured_queries)


def test_cookie_ends_with_the_browser_and_is_hidden_from_scripts(clock: Any, boss: Client) -> None:
    later(clock, minutes=2)

    cookie = boss.get(INDEX).cookies["sessionid"]

    assert (cookie["max-age"], cookie["expires"]) == ("", "")
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"
