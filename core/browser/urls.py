"""Which URLs a site allows, and how a URL may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from core.errors import ForbiddenUrl
from core.text import one_line

SCHEMES = ("http", "https")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A longer pause than this is no answer to a run.
_RETRY_AFTER_MOST = timedelta(days=7)


def check_url(url: str, allowed_hosts: Sequence[str]) -> None:
    """Raise `ForbiddenUrl` unless `url` is http(s) and its host is allowed.

    Ports are not compared; `*.example.com` allows every host below `example.com`, not itself.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        raise ForbiddenUrl(f"not an http(s) URL: {shown_url(url)}")
    # A browser reads these as other separators than Python does, and so sees another host.
    if any(character in url for character in "\\\t\r\n"):
        raise ForbiddenUrl(f"not a plain URL: {shown_url(url)}")
    if not host_allowed(parts.hostname, allowed_hosts):
        raise ForbiddenUrl(f"host not allowed: {shown_url(url)}")


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
    parts = _split(url)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def shown_url(url: str) -> str:
    """`url` for messages and logs: without user, query and fragment, which may hold secrets."""
    parts = _split(url)
    if parts is None or not parts.scheme:
        return one_line(url.partition("?")[0].partition("#")[0], 200)
    if parts.scheme not in SCHEMES:
        return f"{parts.scheme}:..."
    host = parts.netloc.rpartition("@")[2]
    return one_line(f"{parts.scheme}://{host}{parts.path}{'?...' if parts.query else ''}", 200)


def retry_after(value: str | None, now: datetime | None = None) -> timedelta | None:
    """A `Retry-After` header, in seconds or as a date, at most a week; None when it says nothing."""
    value = (value or "").strip()
    if value.isdecimal():
        return timedelta(seconds=min(int(value[:9]), _RETRY_AFTER_MOST.total_seconds()))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    pause = moment - (now or datetime.now(UTC))
    return min(max(pause, timedelta()), _RETRY_AFTER_MOST)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError:
        return None
    return parts
