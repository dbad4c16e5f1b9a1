"""Saved browser state: checked before a context is made, and restored the cheap way.

Cookies go through Playwright's `storage_state`. So do origins with IndexedDB; each of those costs a
hidden page and a navigation. The localStorage of the site's own origin, which nearly every run visits,
is restored by a script instead (0.74 of the CPU of four small pages).

That script has to answer a question at once, before any script of the page runs: was this origin
restored before? A mark in the page's own storage would not do: a site that clears its storage at
log-out would get its old token back. So the script asks us, through the only synchronous way out of a
page, `prompt()`, with a nonce for a text. We answer with the items the first time, refuse from then
on, and take the script away. The site sees none of it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.browser.urls import origin_of
from core.errors import StateRejected
from core.types import StorageState

MAX_BYTES = 1024 * 1024
MAX_ORIGINS = 50

_COOKIE_TEXTS = ("name", "value", "domain", "path")
_COOKIE_OTHERS: Mapping[str, type | tuple[type, ...]] = {
    "expires": (int, float),
    "httpOnly": bool,
    "secure": bool,
    "sameSite": str,
    "partitionKey": str,
}
# Others, such as a browser extension's export adds, are left out.
_COOKIE_KEYS = {*_COOKIE_TEXTS, *_COOKIE_OTHERS, "_crHasCrossSiteAncestor"}
_SAME_SITE = ("Strict", "Lax", "None")
# What only Playwright's own restoring can bring back.
_DATABASES = ("indexedDB", "opfs")

_SCRIPT = """(() => {
  if (window !== window.top || location.origin !== %(origin)s) return;
  const items = window.prompt(%(nonce)s);
  if (items === null) return;
  for (const [name, value] of JSON.parse(items)) {
    try { localStorage.setItem(name, value); } catch { /* full: the rest may still fit */ }
  }
})()"""


@dataclass
class ScriptedOrigin:
    """The localStorage that a script restores, once per context."""

    origin: str
    items: list[tuple[str, str]] = field(repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    taken: bool = False

    @property
    def script(self) -> str:
        """The script to run before those of every page; it holds no item."""
        return _SCRIPT % {"origin": json.dumps(self.origin), "nonce": json.dumps(self.nonce)}

    def take(self) -> str | None:
        """The items as JSON the first time, None from then on."""
        if self.taken:
            return None
        self.taken = True
        return json.dumps(self.items)

    def unvisited(self, state: StorageState) -> StorageState:
        """`state` with these items, if the context never came to their origin: it has none of them."""
        if self.taken or any(kept["origin"] == self.origin for kept in state["origins"]):
            return state
        items = [{"name": name, "value": value} for name, value in self.items]
        return {**state, "origins": [*state["origins"], {"origin": self.origin, "localStorage": items}]}


def divide(state: StorageState | None, base_url: str) -> tuple[StorageState | None, ScriptedOrigin | None]:
    """What Playwright restores, and what the script does.

    Raises `StateRejected` when the state is damaged or too large; the text quotes no value.
    """
    if state is None:
        return None, None
    _check(state)
    base = origin_of(base_url)
    scripted = None
    others = []
    for origin in state.get("origins") or []:
        if origin_of(origin["origin"]) == base and base and not any(origin.get(name) for name in _DATABASES):
            items = [(item["name"], item["value"]) for item in origin.get("localStorage") or []]
            scripted = ScriptedOrigin(base, items) if items else None
        else:
            others.append(origin)
    cookies = [
        {name: value for name, value in cookie.items() if name in _COOKIE_KEYS and value is not None}
        for cookie in state.get("cookies") or []
    ]
    return {"cookies": cookies, "origins": others}, scripted


def fit(state: StorageState, base_url: str) -> StorageState:
    """`state` small enough to be restored later: the site's own origin, then others, the smallest first.

    An origin that does not fit loses its databases, or else is left out. Raises `StateRejected` when
    the site's own cookies and localStorage alone are too large.
    """
    base = origin_of(base_url)
    cookies = state.get("cookies", [])
    left = MAX_BYTES - _size({"cookies": cookies, "origins": []})
    kept: list[Mapping[str, Any]] = []
    for origin in sorted(state.get("origins", []), key=lambda entry: (entry["origin"] != base, _size(entry))):
        slim = {name: value for name, value in origin.items() if name not in _DATABASES}
        chosen = next((form for form in (origin, slim) if _size(form) < left), None)
        if chosen is not None and len(kept) < MAX_ORIGINS:
            kept.append(chosen)
            left -= _size(chosen) + 1
        elif origin["origin"] == base:
            left = -1
    if left < 0:
        raise StateRejected(f"the site keeps more than the {MAX_BYTES} bytes of state that can be restored")
    return {"cookies": cookies, "origins": kept}


def _check(state: object) -> None:
    if not isinstance(state, dict) or not state.keys() & {"cookies", "origins"}:
        raise StateRejected("the saved state is not an object with cookies or origins")
    origins = _objects(state, "origins", "the saved state")
    if len(origins) > MAX_ORIGINS:
        raise StateRejected(f"the saved state has {len(origins)} origins; at most {MAX_ORIGINS} are restored")
    size = _size(state)
    if size > MAX_BYTES:
        raise StateRejected(f"the saved state has {size} bytes; at most {MAX_BYTES} are restored")
    for number, cookie in enumerate(_objects(state, "cookies", "the saved state")):
        _check_cookie(cookie, f"cookies[{number}]")
    for number, origin in enumerate(origins):
        _check_origin(origin, f"origins[{number}]")


def _check_cookie(cookie: Mapping[str, Any], place: str) -> None:
    for name in _COOKIE_TEXTS:
        if not isinstance(cookie.get(name), str):
            raise StateRejected(f"{place}.{name}: missing, or not a text")
    for name, kind in _COOKIE_OTHERS.items():
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
    for name in _DATABASES:
        _objects(origin, name, place)


def _objects(holder: Mapping[str, Any], name: str, place: str) -> Sequence[Mapping[str, Any]]:
    """The list of objects `name` of `holder`; an absent one is empty."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise StateRejected(f"{place}.{name}: not a list of objects")
    return value


def _size(value: object) -> int:
    """The size as JSON, in bytes."""
    try:
        return len(json.dumps(value, separators=(",", ":"), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise StateRejected("the saved state is no JSON") from None
