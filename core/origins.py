"""Origins and hosts of URLs, and whether a site allows them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

SCHEMES = ("http", "https")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def host_allowed(host: str, allowed_hosts: Sequence[str]) -> bool:
    """Whether one of `allowed_hosts` names `host`, in any case, with or without a trailing dot."""
    host = host.lower().rstrip(".")
    for allowed in allowed_hosts:
        allowed = allowed.lower().rstrip(".").strip("[]")
        if host == allowed or (
            allowed.startswith("*.") and host.endswith(allowed[1:]) and host != allowed[2:]
        ):
            return True
    return False


def origin_of(url: str) -> str | None:
    """`scheme://host[:port]` as browsers write it; None when `url` is not http(s)."""
    parts = split_url(url)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def split_url(url: str) -> SplitResult | None:
    """The parts of `url`; None when it is no URL."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError:
        return None
    return parts
