"""Which hosts a site allows: exact names, or `*.example.com` for everything below a domain."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"\A{_LABEL}(\.{_LABEL})*\Z")
_WILDCARD = re.compile(rf"\A\*(\.{_LABEL}){{2,}}\Z")
MAX_HOST = 253  # characters, RFC 1035


def host_of(url: str) -> str | None:
    """The host of an http(s) URL in lower case, without its port; None when it has none.

    None also for a URL in which a browser would see another host: it reads `\\` as `/`.
    """
    if any(character in url for character in "\\\t\r\n"):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in {"http", "https"} else None


def is_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Whether one of `allowed` is `host`, or a wildcard for a domain above it."""
    name = host.lower().rstrip(".")
    return any(
        name == entry.lower() or (entry.startswith("*.") and name.endswith(entry[1:].lower()))
        for entry in allowed
    )


def is_host(text: str) -> bool:
    """Whether `text` is a lower-case host name or an IP address, without a port."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.match(text))
    return True


def is_wildcard(text: str) -> bool:
    """Whether `text` is `*.` and a lower-case domain of at least two labels."""
    return bool(_WILDCARD.match(text))
