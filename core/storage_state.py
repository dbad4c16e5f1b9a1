"""What a storage state may be, and what can be said of one without telling any value in it.

The same rules hold when a state is loaded, saved, opened and restored. Nothing here needs a browser or
a database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import StateRejected
from core.origins import host_allowed, origin_of, split_url
from core.text import one_line
from core.types import StorageState

MAX_BYTES = 1024 * 1024
MAX_ORIGINS = 50
NAMES_KEPT = 100  # of cookies; the names of all origins are kept
NAME_CHARACTERS = 100

COOKIE_TEXTS = ("name", "value", "domain", "path")
COOKIE_OTHERS: Mapping[str, type | tuple[type, ...]] = {
    "expires": (int, float),
    "httpOnly": bool,
    "secure": bool,
    "sameSite": str,
    "partitionKey": str,
}
_SAME_SITE = ("Strict", "Lax", "None")
# What only Playwright's own restoring can bring back.
DATABASES = ("indexedDB", "opfs")
# Chromium keeps no cookie longer (RFC 6265bis, 5.5).
_COOKIE_LIFE = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Summary:
    """Numbers and names of a state. `expires_*`: when the first and the last of its log-in cookies end.

    Those are the cookies that go to the site's base URL; where some of them are hidden from scripts
    (HttpOnly), as log-in cookies are, only these. None: no such cookie has a date.
    """

    cookies: int
    origins: int
    cookie_names: list[str]  # `name (domain)`
    origin_names: list[str]
    expires_first: datetime | None
    expires_last: datetime | None


def check_state(state: object) -> None:
    """Raise `StateRejected` when a state is damaged or too large; the text quotes no value."""
    if not isinstance(state, dict) or not state.keys() & {"cookies", "origins"}:
        raise StateRejected("the saved state is not an object with cookies or origins")
    origins = _objects(state, "origins", "the saved state")
    if len(origins) > MAX_ORIGINS:
        raise StateRejected(f"the saved state has {len(origins)} origins; at most {MAX_ORIGINS} are restored")
    size = size_of(state)
    if size > MAX_BYTES:
        raise StateRejected(f"the saved state has {size} bytes; at most {MAX_BYTES} are restored")
    for number, cookie in enumerate(_objects(state, "cookies", "the saved state")):
        _check_cookie(cookie, f"cookies[{number}]")
    for number, origin in enumerate(origins):
        _check_origin(origin, f"origins[{number}]")


def check_own(state: StorageState, allowed_hosts: Sequence[str]) -> None:
    """Raise `StateRejected` when a state, whose form is right, holds what belongs to another site."""
    for number, origin in enumerate(state.get("origins") or []):
        if not _is_own_origin(origin["origin"], allowed_hosts):
            shown = one_line(origin["origin"], NAME_CHARACTERS)
            raise StateRejected(
                f"origins[{number}].origin: '{shown}' is no origin of the site's allowed hosts"
                " (as a browser writes it): leave it out, or allow its host"
            )
    for number, cookie in enumerate(state.get("cookies") or []):
        if not _is_own_cookie(cookie["domain"], allowed_hosts):
            shown = one_line(cookie["domain"], NAME_CHARACTERS)
            raise StateRejected(
                f"cookies[{number}].domain: '{shown}' is none of the site's allowed hosts:"
                " leave the cookie out, or allow its host"
            )


def own_part(state: StorageState, allowed_hosts: Sequence[str]) -> StorageState:
    """`state` without what belongs to other sites."""
    return {
        "cookies": [c for c in state.get("cookies") or [] if _is_own_cookie(c["domain"], allowed_hosts)],
        "origins": [o for o in state.get("origins") or [] if _is_own_origin(o["origin"], allowed_hosts)],
    }


def summary_of(state: StorageState, base_url: str, now: datetime) -> Summary:
    """What can be told of a state whose form is right, saved `now`."""
    cookies, origins = state.get("cookies") or [], state.get("origins") or []
    names = dict.fromkeys(
        f"{one_line(cookie['name'], NAME_CHARACTERS)} ({one_line(cookie['domain'], NAME_CHARACTERS)})"
        for cookie in cookies
    )
    ends = _expiries(cookies, base_url, now)
    return Summary(
        cookies=len(cookies),
        origins=len(origins),
        cookie_names=list(names)[:NAMES_KEPT],
        origin_names=[one_line(origin["origin"], NAME_CHARACTERS) for origin in origins],
        expires_first=min(ends, default=None),
        expires_last=max(ends, default=None),
    )


def size_of(value: object) -> int:
    """The size as JSON, in bytes; raises `StateRejected` for what is none."""
    try:
        return len(json.dumps(value, separators=(",", ":"), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise StateRejected("the saved state is no JSON") from None


def _expiries(cookies: Sequence[Mapping[str, Any]], base_url: str, now: datetime) -> list[datetime]:
    parts = split_url(base_url)
    host = (parts.hostname if parts else None) or ""
    sent = [cookie for cookie in cookies if _is_same_or_below(host, _bare(cookie["domain"]))]
    hidden = [cookie for cookie in sent if cookie.get("httpOnly")]
    latest = now + _COOKIE_LIFE
    dates = [cookie.get("expires") for cookie in hidden or sent]
    return [
        datetime.fromtimestamp(min(date, latest.timestamp()), UTC)
        for date in dates
        if date is not None and date >= 0
    ]


def _is_own_origin(url: str, allowed_hosts: Sequence[str]) -> bool:
    parts = split_url(url)
    # As browsers write it: in another spelling they may see another host than we do.
    return parts is not None and url == origin_of(url) and host_allowed(parts.hostname or "", allowed_hosts)


def _is_own_cookie(domain: str, allowed_hosts: Sequence[str]) -> bool:
    """Whether an allowed host gets the cookie: it is set for one, or for a domain above one."""
    bare = _bare(domain)
    above = (_is_same_or_below(_bare(host.removeprefix("*.")), bare) for host in allowed_hosts)
    return bare != "" and (host_allowed(bare, allowed_hosts) or any(above))


def _is_same_or_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _bare(domain: str) -> str:
    return domain.lower().strip("[].")


def _check_cookie(cookie: Mapping[str, Any], place: str) -> None:
    for name in COOKIE_TEXTS:
        if not isinstance(cookie.get(name), str):
            raise StateRejected(f"{place}.{name}: missing, or not a text")
    for name, kind in COOKIE_OTHERS.items():
        value = cookie.get(name)
        # A bool is an int to Python, but no time to a browser.
        if value is not None and (not isinstance(value, kind) or (name == "expires" and value is True)):
            raise StateRejected(f"{place}.{name}: of the wrong type")
    if cookie.get("sameSite", "Lax") not in _SAME_SITE:
        raise StateRejected(f"{place}.sameSite: not one of {', '.join(_SAME_SITE)}")


def _check_origin(origin: Mapping[str, Any], place: str) -> None:
    url = origin.get("origin")
    if not isinstance(url, str) or origin_of(url) is None:
        raise StateRejected(f"{place}.origin: not an http(s) origin")
    for number, item in enumerate(_objects(origin, "localStorage", place)):
        if not isinstance(item.get("name"), str) or not isinstance(item.get("value"), str):
            raise StateRejected(f"{place}.localStorage[{number}]: not a name and a value")
    for name in DATABASES:
        _objects(origin, name, place)


def _objects(holder: Mapping[str, Any], name: str, place: str) -> Sequence[Mapping[str, Any]]:
    """The list of objects `name` of `holder`; an absent one is empty."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise StateRejected(f"{place}.{name}: not a list of objects")
    return value
