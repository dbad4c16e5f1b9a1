from __future__ import annotations

import pytest

from warmup.playbooks.hosts import host_of, is_allowed, is_host, is_wildcard


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Reel.test:81/x", "reel.test"),
        ("https://[::1]/", "::1"),
        ("ftp://reel.test/", None),
        ("/path", None),
        ("http:///x", None),
        ("http://[half", None),
        ("javascript:alert(1)", None),
        ("http://evil.test\\@reel.test/", None),
        ("http://re\nel.test/", None),
    ],
)
def test_host_of(url: str, host: str | None) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("reel.test", ["reel.test"], True),
        ("REEL.test.", ["Reel.Test"], True),
        ("www.reel.test", ["reel.test"], False),
        ("reel.test", ["*.reel.test"], False),
        ("a.reel.test", ["*.reel.test"], True),
        ("a.b.reel.test", ["x.test", "*.REEL.test"], True),
        ("evilreel.test", ["*.reel.test"], False),
        ("", ["reel.test"], False),
        ("reel.test", [], False),
    ],
)
def test_is_allowed(host: str, allowed: list[str], expected: bool) -> None:
    assert is_allowed(host, allowed) is expected


@pytest.mark.parametrize(
    "text", ["localhost", "127.0.0.1", "::1", "a-b.example.com", "a_b.test", "xn--bcher-kva.de"]
)
def test_is_host_accepts(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize(
    "text", ["", "h:80", "[::1]", "a..b", "-a", "a-", "a b", "H", "*.a.b", "a/b", "x" * 64, "a\n"]
)
def test_is_host_refuses(text: str) -> None:
    assert not is_host(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*.example.com", True),
        ("*.a.b.c", True),
        ("*.com", False),
        ("*", False),
        ("a.*.com", False),
        ("*.a..b", False),
    ],
)
def test_is_wildcard(text: str, expected: bool) -> None:
    assert is_wildcard(text) is expected
