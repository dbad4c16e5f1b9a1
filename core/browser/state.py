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

from core.errors import StateRejected
from core.origins import origin_of
from core.storage_state import (
    COOKIE_OTHERS,
    COOKIE_TEXTS,
    DATABASES,
    MAX_BYTES,
    MAX_ORIGINS,
    check_state,
    own_part,
    size_of,
)
from core.types import StorageState

# Others, such as a browser extension's export adds, are left out.
_COOKIE_KEYS = {*COOKIE_TEXTS, *COOKIE_OTHERS, "_crHasCrossSiteAncestor"}

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
    check_state(state)
    base = origin_of(base_url)
    scripted = None
    others = []
    for origin in state.get("origins") or []:
        if origin_of(origin["origin"]) == base and base and not any(origin.get(name) for name in DATABASES):
            items = [(item["name"], item["value"]) for item in origin.get("localStorage") or []]
            scripted = ScriptedOrigin(base, items) if items else None
        else:
            others.append(origin)
    cookies = [
        {name: value for name, value in cookie.items() if name in _COOKIE_KEYS and value is not None}
        for cookie in state.get("cookies") or []
    ]
    return {"cookies": cookies, "origins": others}, scripted


def fit(state: StorageState, base_url: str, allowed_hosts: Sequence[str]) -> StorageState:
    """`state` as it can be restored later: the site's own origin, then others, the smallest first.

    What is of no allowed host is left out. An origin that does not fit loses its databases, or else is
    left out too. Raises `StateRejected` when the site's own cookies and localStorage alone are too large.
    """
    base = origin_of(base_url)
    state = own_part(state, allowed_hosts)
    cookies = state["cookies"]
    left = MAX_BYTES - size_of({"cookies": cookies, "origins": []})
    kept: list[Mapping[str, Any]] = []
    for origin in sorted(state["origins"], key=lambda entry: (entry["origin"] != base, size_of(entry))):
        slim = {name: value for name, value in origin.items() if name not in DATABASES}
        chosen = next((form for form in (origin, slim) if size_of(form) < left), None)
        if chosen is not None and len(kept) < MAX_ORIGINS:
            kept.append(chosen)
            left -= size_of(chosen) + 1
        elif origin["origin"] == base:
            left = -1
    if left < 0:
        raise StateRejected(f"the site keeps more than the {MAX_BYTES} bytes of state that can be restored")
    return {"cookies": cookies, "origins": kept}
