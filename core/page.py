"""What a run may do with a browser page: the contract between the runner and `core.browser`.

Two things stand behind it: the real page (`core.browser`) and the tests' fake; one shared suite
(`tests/browser/page_contract.py`) holds the fake against real Chromium.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from core.types import AccountSpec, Attempt, SiteSpec, StorageState


@dataclass(frozen=True, slots=True)
class PageEvent:
    """Something that the page did by itself, for the run's log.

    `kind` is one of `dialog`, `console`, `request_failed`, `popup_closed`, `download_refused`, `crash`.
    `text` is cleaned and at most 500 characters.
    """

    kind: str
    text: str


class Page(Protocol):
    """The page of one account's own browser context.

    `timeout` is in seconds everywhere. Every method ends within its deadline (plus a second to give
    up in) or raises a `core.errors.BrowserError`: `PageTimeout`, `PageCrashed`, `BrowserLost`,
    `NavigationFailed`, `ForbiddenUrl`, `ElementMissing`, `HttpError` (status >= 400), `RateLimited`.
    Text that comes back is clean: no NUL, no lone surrogate.
    """

    # What the egress guard refused to the page so far: what to how often. `core.guard` puts
    # its own count here; without a guard it stays empty.
    refused: Mapping[Attempt, int]

    @property
    def url(self) -> str:
        """The URL that the page shows now; `about:blank` at first. Never blocks."""

    @property
    def navigations(self) -> int:
        """How many documents the main frame has loaded (their DOM) so far. Never blocks."""

    @property
    def events(self) -> list[PageEvent]:
        """What happened so far, oldest first, at most the last 200."""

    async def goto(self, url: str, *, timeout: float) -> None:
        """Open `url` and wait for its DOM. Refuses what the site does not allow before opening it."""

    async def back(self, *, timeout: float) -> None:
        """Go one entry back in the history; stays where it is when there is none."""

    async def click(self, selector: str, *, nth: int = 0, timeout: float) -> None:
        """Click the `nth` (0-based) visible match, when it is ready to be clicked."""

    async def fill(self, selector: str, text: str, *, secret: bool = False, timeout: float) -> None:
        """Replace the text of a field. With `secret`, `text` appears in no error and no event."""

    async def press(self, selector: str, key: str, *, timeout: float) -> None:
        """Press a key (`Enter`) in a field."""

    async def wheel(self, pixels: int, *, timeout: float) -> None:
        """Turn the mouse wheel by `pixels` (negative: up)."""

    async def is_visible(self, selector: str, *, timeout: float) -> bool:
        """Whether a match is visible at this moment; does not wait for one."""

    async def wait_visible(self, selector: str, *, timeout: float) -> None:
        """Wait until a match is visible, else `ElementMissing`."""

    async def links(self, selector: str, *, timeout: float) -> list[str]:
        """The absolute http(s) `href`s of the matches (or of links in or around them), in order."""

    async def dwell(self, seconds: float) -> None:
        """Let the page live for `seconds`. Raises at once when it crashes meanwhile."""

    async def screenshot(self, *, timeout: float) -> bytes:
        """A PNG of what is to be seen."""

    async def html(self, *, timeout: float) -> str:
        """The page's HTML as it is now, cleaned and without the account's secrets, at most 2 MiB."""

    async def storage_state(self, *, timeout: float) -> StorageState:
        """Cookies, localStorage and IndexedDB of the context."""


# Opens a context of its own for the account and closes it, within a bound, whatever happened.
OpenPage = Callable[[SiteSpec, AccountSpec], AbstractAsyncContextManager[Page]]
