"""Which URLs a site allows, and how a URL may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from core.errors import ForbiddenUrl
from core.origins import SCHEMES, host_allowed, split_url
from core.text import one_line

# A longer pause than this is no answer to a run.
_RETRY_AFTER_MOST = timedelta(days=7)


def check_url(url: str, allowed_hosts: Sequence[str]) -> None:
    """Raise `ForbiddenUrl` unless `url` is http(s) and its host is allowed.

    Ports are not compared; `*.example.com` allows every host below `example.com`, not itself.
    """
    parts = split_url(url)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        raise ForbiddenUrl(f"not an http(s) URL: {shown_url(url)}")
    # A browser reads these as other separators than Python does, and so sees another host.
    if any(character in url for character in "\\\t\r\n"):
        raise ForbiddenUrl(f"not a plain URL: {shown_url(url)}")
    if not host_allowed(parts.hostname, allowed_hosts):
        raise ForbiddenUrl(f"host not allowed: {shown_url(url)}")


def shown_url(url: str) -> str:
    """`url` for messages and logs: without user, query and fragment, which may hold secrets."""
    parts = split_url(url)
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
