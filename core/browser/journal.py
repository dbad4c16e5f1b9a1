"""What a page did by itself, and the scrubbing of secrets from everything that is said about it."""

from __future__ import annotations

import json
from collections import deque
from urllib.parse import quote, quote_plus

from core.page import PageEvent
from core.text import clean, one_line

EVENTS_KEPT = 200
EVENT_CHARACTERS = 500
ERROR_CHARACTERS = 300
HIDDEN = "[hidden]"


class Journal:
    """The last events of one page, and the secrets that must appear in none of them."""

    def __init__(self) -> None:
        self._events: deque[PageEvent] = deque(maxlen=EVENTS_KEPT)
        self._secrets: dict[str, None] = {}

    @property
    def events(self) -> list[PageEvent]:
        """Oldest first."""
        return list(self._events)

    def hide(self, secret: str | None) -> None:
        """Never let `secret` through, be it plain, in a URL, or in JSON."""
        if secret:
            in_urls = (quote(secret), quote(secret, safe=""), quote_plus(secret))
            self._secrets.update(dict.fromkeys((secret, json.dumps(secret)[1:-1], *in_urls)))

    def record(self, kind: str, text: str) -> None:
        """Keep an event; `kind` is one of those of `PageEvent`."""
        self._events.append(PageEvent(kind, clean(self._scrubbed(text), limit=EVENT_CHARACTERS)))

    def one_line(self, text: str) -> str:
        """`text` as an error may say it: one line, clean, without secrets."""
        return one_line(self._scrubbed(text), ERROR_CHARACTERS)

    def _scrubbed(self, text: str) -> str:
        # The longest first: one secret may be part of another.
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text
