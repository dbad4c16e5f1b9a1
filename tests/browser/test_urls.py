"""core.browser.urls and core.origins: what may be opened, and how a URL is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.browser.urls import check_url, retry_after, shown_url
from core.errors import ForbiddenUrl
from core.origins import host_allowed, origin_of

ALLOWED = ("example.com", "*.example.com", "127.0.0.1", "[::1]")
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com:8443/path?query#fragment",
        "HTTPS://EXAMPLE.COM/",
        "https://a.b.example.com/",
        "https://example.com./",
        "http://127.0.0.1:8000/",
        "http://[::1]:8000/",
    ],
)
def test_check_url_lets_an_allowed_host_through(url: str) -> None:
    check_url(url, ALLOWED)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/",
        "https://notexample.com/",
        "https://example.com.evil.test/",
        "https://example.com@evil.test/",
        "https://evil.test#@example.com",
        "https://evil.test\\@example.com/",
        "https://evil.test\t/",
        "http://127.0.0.2/",
        "http://2130706433/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "view-source:https://example.com/",
        "about:blank",
        "https:///example.com",
        "https://",
        "example.com",
        "https://example.com:99999/",
        "",
    ],
)
def test_check_url_refuses_everything_else(url: str) -> None:
    with pytest.raises(ForbiddenUrl):
        check_url(url, ALLOWED)


def test_check_url_with_no_allowed_host_refuses_all() -> None:
    with pytest.raises(ForbiddenUrl):
        check_url("https://example.com/", ())


@given(st.text(max_size=40))
def test_check_url_never_fails_otherwise(url: str) -> None:
    fault = ""
    try:
        check_url(url, ALLOWED)
    except ForbiddenUrl as error:
        fault = str(error)

    assert len(fault.splitlines()) <= 1


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("a.example.com", ("*.example.com",), True),
        ("A.Example.COM", ("*.example.com",), True),
        ("example.com", ("*.example.com",), False),
        ("badexample.com", ("*.example.com",), False),
        ("example.com", ("EXAMPLE.com",), True),
        ("example.com", ("*",), False),
    ],
)
def test_host_allowed_reads_wildcards(host: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert host_allowed(host, allowed) is expected


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.com/path", "https://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80/", "http://example.com"),
        ("http://example.com:8080/", "http://example.com:8080"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("http://user:pass@example.com/", "http://example.com"),
        ("file:///etc", None),
        ("about:blank", None),
        ("", None),
    ],
)
def test_origin_of_is_what_browsers_write(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:s3cret@example.com:8/path?token=s3cret#s3cret", "https://example.com:8/path?..."),
        ("https://example.com/path#s3cret", "https://example.com/path"),
        ("data:text/html,s3cret", "data:..."),
        ("blob:https://example.com/s3cret", "blob:..."),
        ("/path?s3cret", "/path"),
        ("https://[s3cret", "https://[s3cret"),
    ],
)
def test_shown_url_leaves_out_what_may_be_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("7", timedelta(seconds=7)),
        (" 0 ", timedelta()),
        ("99999999999999999999", timedelta(days=7)),
        ("Sun, 01 Mar 2026 12:01:30 GMT", timedelta(seconds=90)),
        ("Sun, 01 Mar 2026 12:01:30", timedelta(seconds=90)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", timedelta()),
        ("Mon, 01 Mar 2027 12:00:00 GMT", timedelta(days=7)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_reads_seconds_and_dates(value: str | None, pause: timedelta | None) -> None:
    assert retry_after(value, NOW) == pause


@given(st.text(max_size=40))
def test_retry_after_reads_anything(value: str) -> None:
    pause = retry_after(value, NOW)

    assert pause is None or timedelta() <= pause <= timedelta(days=7)
