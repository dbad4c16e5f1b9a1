"""What a page did by itself, and the scrubbing of secrets from everything that is said about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from core.page import PageEvent
from core.scrubbing import Scrubber
from core.text import clean, one_line

EVENTS_KEPT = 200
EVENT_CHARACTERS = 500
ERROR_CHARACTERS = 300


class Journal:
    """The last events of one page, and the secrets that must appear in none of them."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        self._events: deque[PageEvent] = deque(maxlen=EVENTS_KEPT)
        self.scrub = Scrubber(secrets)

    @property
    def events(self) -> list[PageEvent]:
        """Oldest first."""
        return list(self._events)

    def hide(self, secret: str | None) -> None:
        """Never let `secret` through, be it plain, in a URL, or in JSON."""
        self.scrub.hide(secret)

    def record(self, kind: str, text: str) -> None:
        """Keep an event; `kind` is one of those of `PageEvent`."""
        self._events.append(PageEvent(kind, clean(self.scrub(text), limit=EVENT_CHARACTERS)))

    def one_line(self, text: str) -> str:
        """`text` as an error may say it: one line, clean, without secrets."""
        return one_line(self.scrub(text), ERROR_CHARACTERS)
