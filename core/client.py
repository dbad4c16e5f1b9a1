"""Where a request comes from.

No header is believed by default: the address is the connection's. Behind proxies,
`settings.TRUSTED_PROXIES` says how many of them add to X-Forwarded-For; what stands further left in
it was written by the client and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_current: ContextVar[str | None] = ContextVar("client_address", default=None)


def client_address(request: HttpRequest) -> str | None:
    """The client's address; None when nothing tells, as on a Unix socket without a proxy's header."""
    connection = _address(request.META.get("REMOTE_ADDR", ""))
    hops: int = settings.TRUSTED_PROXIES
    if not hops:
        return connection
    chain = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    # Each proxy adds the address that called it: the outermost trusted one's entry is `hops` from the end.
    forwarded = _address(chain[-hops]) if len(chain) >= hops else None
    return forwarded or connection


def current_address() -> str | None:
    """The client's address of the request that this code runs for; None outside requests."""
    return _current.get()


class ClientAddressMiddleware:
    """Keeps the client's address for `current_address` while a request is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _current.set(client_address(request))
        try:
            return self.get_response(request)
        finally:
            _current.reset(token)


def _address(text: str) -> str | None:
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
