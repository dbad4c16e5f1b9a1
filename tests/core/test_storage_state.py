"""What a storage state may be, what is said of one, and its saved versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from core import secrets
from core.errors import StateRejected
from core.models import Account, SessionState
from core.storage_state import MAX_BYTES, NAMES_KEPT, check_own, check_state, own_part, summary_of
from tests import factories
from tests.factories import cookie, state

HOSTS = ("www.example.com", "*.cdn.example.com", "127.0.0.1", "[::1]")
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
BASE = "https://www.example.com:8443/app"


def origin(url: str) -> dict[str, Any]:
    return {"origin": url, "localStorage": []}


def in_days(days: float) -> float:
    return (NOW + timedelta(days=days)).timestamp()


# ---- what belongs to the site -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "domain",
    [
        "www.example.com",
        ".www.example.com",
        ".example.com",
        "WWW.Example.com",
        "a.cdn.example.com",
        ".cdn.example.com",
        "127.0.0.1",
        "[::1]",
    ],
)
def test_cookie_that_an_allowed_host_gets_is_the_sites_own(domain: str) -> None:
    own = state(cookie(domain=domain))

    check_own(own, HOSTS)
    assert own_part(own, HOSTS) == own


@pytest.mark.parametrize(
    "domain",
    ["evil.com", ".evil.com", "notexample.com", "other.example.com", "", ".", "www.example.com.evil"],
)
def test_cookie_of_another_site_is_refused_with_its_place(domain: str) -> None:
    foreign = state(cookie(domain="www.example.com"), cookie(value="s3cret", domain=domain))

    with pytest.raises(StateRejected, match=r"^cookies\[1\]\.domain: '.*' is none of the site's") as caught:
        check_own(foreign, HOSTS)

    assert "s3cret" not in str(caught.value)
    assert own_part(foreign, HOSTS) == state(cookie(domain="www.example.com"))


@pytest.mark.parametrize(
    "url", ["https://www.example.com", "http://a.cdn.example.com:8080", "http://127.0.0.1:1", "http://[::1]"]
)
def test_origin_of_an_allowed_host_is_the_sites_own(url: str) -> None:
    check_own(state(origins=[origin(url)]), HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com",
        "https://example.com",
        "https://www.example.com.evil.com",
        "https://www.example.com@evil.com",
        "https://evil.com\\@www.example.com",
        "https://www.example.com/",
        "https://WWW.example.com",
        "https://www.example.com:443",
        "file:///www.example.com",
    ],
)
def test_foreign_origin_or_one_in_another_spelling_is_refused(url: str) -> None:
    foreign = state(origins=[origin("https://www.example.com"), origin(url)])

    with pytest.raises(StateRejected, match=r"^origins\[1\]\.origin: "):
        check_own(foreign, HOSTS)

    assert own_part(foreign, HOSTS) == state(origins=[origin("https://www.example.com")])


# ---- what is said of one ------------------------------------------------------------------------------


def test_summary_has_numbers_and_names_and_no_value() -> None:
    summary = summary_of(
        state(
            cookie("sid", "s3cret", domain="www.example.com"),
            cookie("sid", "s3cret", domain=".example.com"),
            cookie("a\x00\ud800\nb", "s3cret", domain="www.example.com"),
            origins=[
                {**origin("https://www.example.com"), "localStorage": [{"name": "n4me", "value": "s3cret"}]}
            ],
        ),
        BASE,
        NOW,
    )

    assert (summary.cookies, summary.origins) == (3, 1)
    assert summary.cookie_names == [
        "sid (www.example.com)",
        "sid (.example.com)",
        "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} b (www.example.com)",
    ]
    assert summary.origin_names == ["https://www.example.com"]
    assert "s3cret" not in repr(summary)
    assert "n4me" not in repr(summary)


def test_summary_of_very_many_cookies_is_short() -> None:
    many = state(*(cookie(f"{n}{'x' * 500}", domain="www.example.com") for n in range(NAMES_KEPT + 5)))

    summary = summary_of(many, BASE, NOW)

    assert summary.cookies == NAMES_KEPT + 5
    assert len(summary.cookie_names) == NAMES_KEPT
    assert max(map(len, summary.cookie_names)) < 150


@pytest.mark.parametrize(
    ("cookies", "days"),
    [
        ([], (None, None)),
        ([{"expires": -1}, {}, {"expires": None}], (None, None)),
        ([{"expires": in_days(3)}, {"expires": in_days(9)}, {"expires": -1}], (3, 9)),
        # What a script can read is not what keeps an account logged in, where there is something else.
        ([{"expires": in_days(1)}, {"expires": in_days(30), "httpOnly": True}], (30, 30)),
        ([{"expires": in_days(1)}, {"expires": -1, "httpOnly": True}], (None, None)),
        # Cookies that the site's start page does not get.
        ([{"expires": in_days(1), "domain": "a.cdn.example.com"}, {"expires": in_days(2)}], (2, 2)),
        ([{"expires": in_days(5), "domain": ".example.com"}], (5, 5)),
        # Chromium keeps none for more than 400 days, whatever a file says.
        ([{"expires": 1e300}, {"expires": 0}], (None, 400)),
    ],
)
def test_forecast_is_of_the_cookies_that_keep_one_logged_in(
    cookies: list[dict[str, Any]], days: tuple[float | None, float | None]
) -> None:
    given = state(*(cookie(str(n), **{"domain": "www.example.com", **one}) for n, one in enumerate(cookies)))

    summary = summary_of(given, BASE, NOW)

    first, last = (NOW + timedelta(days=day) if day is not None else None for day in days)
    if {"expires": 0} in cookies:
        first = datetime(1970, 1, 1, tzinfo=UTC)
    assert (summary.expires_first, summary.expires_last) == (first, last)


ODD = st.text(st.characters(exclude_categories=()), max_size=8)
HOST = st.sampled_from(["www.example.com", ".example.com", "evil.com", "[::1]", ""]) | ODD
NUMBER = st.none() | st.booleans() | st.integers() | st.floats()


@given(
    cookies=st.none()
    | st.lists(st.builds(lambda n, d, e: cookie(n, domain=d, expires=e), ODD, HOST, NUMBER), max_size=4),
    origins=st.none() | st.lists(st.builds(lambda host: origin(f"https://{host}"), HOST), max_size=4),
)
def test_any_state_is_refused_with_one_line_or_can_be_kept(cookies: Any, origins: Any) -> None:
    given_state = {"cookies": cookies, "origins": origins}
    fault = ""
    try:
        check_state(given_state)
        check_own(own_part(given_state, HOSTS), HOSTS)
        summary = summary_of(given_state, BASE, NOW)
        check_own(given_state, HOSTS)
    except StateRejected as error:
        fault = str(error)
    else:
        # As databases take it: UTF-8 without NUL.
        names = "".join(summary.cookie_names + summary.origin_names).encode()
        assert b"\0" not in names

    assert len(fault.splitlines()) <= 1


# ---- versions -----------------------------------------------------------------------------------------


@pytest.fixture
def account(db: None) -> Account:
    account: Account = factories.AccountFactory()
    return account


@pytest.mark.django_db
def test_version_says_what_is_in_it(account: Account) -> None:
    soon = timezone.now() + timedelta(days=2)
    given = state(cookie("sid", "s3cret", expires=soon.timestamp()), origins=[origin("http://site.test")])

    SessionState.save_version(account.pk, given)

    version = account.states.get()
    assert version.open() == given
    assert (version.cookies, version.origins, version.size_bytes) == (1, 1, len(version.sealed))
    assert (version.cookie_names, version.origin_names) == (["sid (site.test)"], ["http://site.test"])
    assert version.expires_first == version.expires_last
    assert abs(version.expires_first - soon) < timedelta(seconds=1)
    assert abs(version.created_at - timezone.now()) < timedelta(minutes=1)


REFUSED = {
    "no object": [1],
    "neither": {"cookie": []},
    "corrupt": {"cookies": [{"name": "a"}], "origins": []},
    "oversized": state(cookie(value="x" * MAX_BYTES)),
    "foreign cookie": state(cookie(domain="evil.com")),
    "foreign origin": state(origins=[origin("https://evil.com")]),
}
REASONS = {
    "no object": "not an object",
    "neither": "not an object",
    "corrupt": r"cookies\[0\]\.value: missing",
    "oversized": "bytes; at most",
    "foreign cookie": "evil.com",
    "foreign origin": "evil.com",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_state_that_could_not_be_restored_is_not_saved(account: Account, kind: str) -> None:
    with pytest.raises(StateRejected, match=REASONS[kind]):
        SessionState.save_version(account.pk, REFUSED[kind])  # type: ignore[arg-type]

    assert not account.states.exists()


@pytest.mark.parametrize("kind", REFUSED)
def test_stored_state_that_cannot_be_restored_is_refused_and_kept(account: Account, kind: str) -> None:
    version = SessionState.save_version(account.pk, state())
    sealed = secrets.encrypt(json.dumps(REFUSED[kind]).encode(), secrets.place_of(version, "sealed"))
    SessionState.objects.update(sealed=sealed)

    with pytest.raises(StateRejected, match=REASONS[kind]) as caught:
        account.spec()

    assert str(caught.value).startswith(f"state {version.pk} of account {account.pk}: ")
    assert SessionState.objects.get().sealed == sealed


def test_state_is_foreign_once_its_host_is_not_allowed_any_more(account: Account) -> None:
    SessionState.save_version(account.pk, state(cookie()))
    account.site.allowed_hosts = ["elsewhere.test"]

    with pytest.raises(StateRejected, match="another version"):
        account.spec()
