"""Whose word is taken for where a request comes from."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from core.client import ClientAddressMiddleware, client_address, current_address

PROXY = "10.0.0.1"


def address(forwarded: str | None, remote: str = PROXY) -> str | None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers))


def test_header_is_not_believed_by_default() -> None:
    assert address("203.0.113.9") == PROXY


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # what is left of it the client wrote
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", PROXY),  # did not come through both
        (1, None, PROXY),
        (1, "", PROXY),
        (1, "nonsense", PROXY),
        (1, "203.0.113.9, ", PROXY),
        (1, " 2001:DB8::1 ", "2001:db8::1"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_behind_proxies_the_entry_of_the_outermost_counts(
    settings: Any, hops: int, forwarded: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXIES = hops

    assert address(forwarded) == expected


def test_unix_socket_has_no_address() -> None:
    assert address(None, remote="") is None
    assert client_address(HttpRequest()) is None


def test_address_is_known_while_the_request_is_answered_and_no_longer() -> None:
    seen: list[str | None] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(current_address())
        return HttpResponse()

    ClientAddressMiddleware(view)(RequestFactory().get("/", REMOTE_ADDR="203.0.113.9"))

    assert seen == ["203.0.113.9"]
    assert current_address() is None
