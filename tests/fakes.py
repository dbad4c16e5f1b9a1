"""A page without a browser, for everything that works on `core.page.Page`.

`tests/browser/page_contract.py` holds it against real Chromium. A site is a dictionary from paths to
screens; time is a clock that moves when somebody waits, so nothing ever sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urljoin, urlsplit

from core.browser.journal import EVENTS_KEPT, Journal
from core.browser.state import divide
from core.browser.urls import check_url, shown_url
from core.errors import (
    BrowserError,
    BrowserLost,
    ElementMissing,
    HttpError,
    NavigationFailed,
    PageCrashed,
    PageTimeout,
    RateLimited,
)
from core.page import Page, PageEvent
from core.scrubbing import secrets_of
from core.types import AccountSpec, Attempt, SiteSpec, StorageState

PNG = b"\x89PNG\r\n\x1a\n"
ERROR_PAGE = "chrome-error://chromewebdata/"
REDIRECTS_MOST = 10


class FakeClock:
    """Seconds that pass only when somebody waits for them."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, and whatever else is ready run."""
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Screen:
    """What one URL shows.

    `visible`: selectors, or selectors with how many matches. `appears`: selectors with the seconds after
    which they become visible. `on_click` and `on_enter`: selectors with a path to go to, or a function
    of the page. `crashes_after`: seconds.
    """

    visible: Collection[str] | Mapping[str, int] = ()
    appears: Mapping[str, float] = field(default_factory=dict)
    links: Mapping[str, Iterable[str]] = field(default_factory=dict)
    on_click: Mapping[str, str | Callable[[FakePage], None]] = field(default_factory=dict)
    on_enter: Mapping[str, str | Callable[[FakePage], None]] = field(default_factory=dict)
    html: str = "<html></html>"
    status: int = 200
    retry_after: timedelta | None = None
    redirect: str | None = None
    error: str | None = None
    hangs: bool = False
    crashes_after: float | None = None

    def matches(self, selector: str) -> int:
        """How many elements `selector` finds when the screen comes up."""
        if isinstance(self.visible, Mapping):
            counts: Mapping[str, int] = self.visible
            return counts.get(selector, 0)
        return int(selector in self.visible)


Screens = Mapping[str, Screen | Callable[["FakePage"], Screen]]


class FakePage:
    """`core.page.Page` over `screens`: paths (with or without their query), or whole URLs, to screens.

    Every call is in `calls`, as its name and arguments; secret texts are in none. An unknown path
    answers 404. `shown` may be changed: how many matches a selector has now.
    """

    def __init__(
        self,
        site: SiteSpec,
        screens: Screens,
        *,
        account: AccountSpec | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.site = site
        self.screens = screens
        self.account = account
        self.clock = clock or FakeClock()
        self.calls: list[tuple[Any, ...]] = []
        self.filled: dict[str, str] = {}
        self.shown: dict[str, int] = {}
        saved = account.storage_state if account is not None else None
        self.state: StorageState = saved or {"cookies": [], "origins": []}
        self.journal = Journal(secrets_of(account) if account is not None else ())
        # While set, every call times out; while `stuck`, it never comes back at all.
        self.hanging = False
        self.stuck = False
        self._history = [("about:blank", Screen())]
        self._at = 0
        self._arrived = 0.0
        self._navigations = 0
        self._end: tuple[type[BrowserError], str] | None = None
        self._crash_at: float | None = None
        self._failures: list[tuple[str, BrowserError]] = []

    # ---- what a test does to it --------------------------------------------------------------------

    def crash(self, *, after: float = 0.0) -> None:
        """The renderer dies, `after` that many seconds."""
        self._crash_at = self.clock.now + after

    def lose(self) -> None:
        """The browser dies."""
        self._end = self._end or (BrowserLost, "the browser died")

    def close(self) -> None:
        """What the end of the context does."""
        self._end = self._end or (PageCrashed, "the page was closed")

    def fail(self, method: str, error: BrowserError, *, times: int = 1) -> None:
        """The next `times` calls of `method` raise `error`, instead of doing anything.

        What it says is scrubbed, as the real page does.
        """
        if isinstance(error, BrowserError):
            error.args = tuple(self.journal.scrub(str(text)) for text in error.args)
        self._failures.extend([(method, error)] * times)

    def record(self, kind: str, text: str) -> None:
        """Something that the page does by itself."""
        self.journal.record(kind, text)

    def show(self, selector: str, count: int = 1) -> None:
        """From now on `selector` has `count` visible matches."""
        self.shown[selector] = count

    # ---- core.page.Page ------------------------------------------------------------------------------

    refused: Mapping[Attempt, int] = MappingProxyType({})

    @property
    def url(self) -> str:
        return self._history[self._at][0]

    @property
    def navigations(self) -> int:
        return self._navigations

    @property
    def events(self) -> list[PageEvent]:
        return self.journal.events[-EVENTS_KEPT:]

    async def goto(self, url: str, *, timeout: float) -> None:
        check_url(url, self.site.allowed_hosts)
        await self._begin("goto", timeout, url)
        await self._open(url, timeout)

    async def back(self, *, timeout: float) -> None:
        await self._begin("back", timeout)
        if self._at <= 1:
            return
        self._at -= 1
        self._arrive()

    async def click(self, selector: str, *, nth: int = 0, timeout: float) -> None:
        await self._begin("click", timeout, selector, nth)
        await self._await_match(selector, nth, timeout, "clicking")
        self._follow(self._screen.on_click.get(selector))

    async def fill(self, selector: str, text: str, *, secret: bool = False, timeout: float) -> None:
        if secret:
            self.journal.hide(text)
        await self._begin("fill", timeout, selector, "[hidden]" if secret else text)
        await self._await_match(selector, 0, timeout, "filling")
        self.filled[selector] = text

    async def press(self, selector: str, key: str, *, timeout: float) -> None:
        await self._begin("press", timeout, selector, key)
        await self._await_match(selector, 0, timeout, f"pressing {key} in")
        if key == "Enter":
            self._follow(self._screen.on_enter.get(selector))

    async def wheel(self, pixels: int, *, timeout: float) -> None:
        await self._begin("wheel", timeout, pixels)

    async def is_visible(self, selector: str, *, timeout: float) -> bool:
        await self._begin("is_visible", timeout, selector)
        return self._count(selector) > 0

    async def wait_visible(self, selector: str, *, timeout: float) -> None:
        await self._begin("wait_visible", timeout, selector)
        await self._await_match(selector, 0, timeout, "waiting for")

    async def links(self, selector: str, *, timeout: float) -> list[str]:
        await self._begin("links", timeout, selector)
        found = (urljoin(self.url, link) for link in self._screen.links.get(selector, ()))
        return list(dict.fromkeys(link for link in found if link.startswith(("http://", "https://"))))

    async def dwell(self, seconds: float) -> None:
        await self._begin("dwell", None, seconds)
        await self._pass(seconds)

    async def screenshot(self, *, timeout: float) -> bytes:
        await self._begin("screenshot", timeout)
        return PNG

    async def html(self, *, timeout: float) -> str:
        await self._begin("html", timeout)
        return self.journal.scrub(self._screen.html)

    async def storage_state(self, *, timeout: float) -> StorageState:
        await self._begin("storage_state", timeout)
        return self.state

    # ---- how -----------------------------------------------------------------------------------------

    @property
    def _screen(self) -> Screen:
        return self._history[self._at][1]

    async def _begin(self, method: str, timeout: float | None, *arguments: Any) -> None:
        """Record the call, and raise what stands in its way."""
        self.calls.append((method, *arguments))
        self._raise_the_end()
        for number, (failing, error) in enumerate(self._failures):
            if failing == method:
                del self._failures[number]
                raise error
        if self.stuck:
            await asyncio.Event().wait()
        if self.hanging and timeout is not None:
            await self._pass(timeout)
            raise PageTimeout(f"{method}: not done after {timeout:g} s")
        await asyncio.sleep(0)

    def _raise_the_end(self) -> None:
        if self._end is None and self._crash_at is not None and self.clock.now >= self._crash_at:
            self._end = (PageCrashed, "the page crashed")
            self.record("crash", "the page crashed")
        if self._end is not None:
            raise self._end[0](self._end[1])

    async def _pass(self, seconds: float) -> None:
        """Let time pass, but not beyond a crash."""
        until_crash = float("inf") if self._crash_at is None else self._crash_at - self.clock.now
        await self.clock.sleep(min(seconds, max(until_crash, 0.0)))
        self._raise_the_end()

    async def _open(self, url: str, timeout: float) -> None:
        for _ in range(REDIRECTS_MOST):
            screen = self._find(url)
            if screen.hangs:
                await self._pass(timeout)
                raise PageTimeout(f"opening {shown_url(url)}: not done after {timeout:g} s")
            if screen.error is not None:
                self._commit(ERROR_PAGE, Screen())
                raise NavigationFailed(f"opening {shown_url(url)}: {screen.error}")
            if screen.redirect is None:
                break
            url = urljoin(url, screen.redirect)
        else:
            self._commit(ERROR_PAGE, Screen())
            raise NavigationFailed(f"opening {shown_url(url)}: net::ERR_TOO_MANY_REDIRECTS")
        self._commit(url, screen)
        check_url(url, self.site.allowed_hosts)
        if screen.status == 429:
            raise RateLimited(shown_url(url), screen.retry_after)
        if screen.status >= 400:
            raise HttpError(screen.status, shown_url(url))

    def _find(self, url: str) -> Screen:
        parts = urlsplit(url)
        for key in (url, f"{parts.path}?{parts.query}", parts.path):
            if key in self.screens:
                found = self.screens[key]
                return found if isinstance(found, Screen) else found(self)
        return Screen(status=404)

    def _commit(self, url: str, screen: Screen) -> None:
        del self._history[self._at + 1 :]
        self._history.append((url, screen))
        self._at += 1
        self._arrive()

    def _arrive(self) -> None:
        self._navigations += 1
        self._arrived = self.clock.now
        self.shown = {}
        self.filled = {}
        if self._screen.crashes_after is not None:
            self._crash_at = self.clock.now + self._screen.crashes_after

    def _follow(self, effect: str | Callable[[FakePage], None] | None) -> None:
        if isinstance(effect, str):
            url = urljoin(self.url, effect)
            self._commit(url, self._find(url))
        elif effect is not None:
            effect(self)

    def _count(self, selector: str) -> int:
        if selector in self.shown:
            return self.shown[selector]
        appears = self._screen.appears.get(selector)
        late = appears is not None and self.clock.now >= self._arrived + appears
        return self._screen.matches(selector) or int(late)

    async def _await_match(self, selector: str, nth: int, timeout: float, doing: str) -> None:
        """Wait until `selector` has more than `nth` matches, else `ElementMissing`."""
        if self._count(selector) > nth:
            return
        wait = timeout
        if nth == 0 and selector in self._screen.appears:
            wait = min(timeout, max(self._arrived + self._screen.appears[selector] - self.clock.now, 0.0))
        await self._pass(wait)
        if self._count(selector) <= nth:
            raise ElementMissing(self.journal.one_line(f"{doing} {selector}: not done after {timeout:g} s"))


class FakeOpener:
    """An `OpenPage` whose pages are fakes; `pages` are those opened so far, `open` those not closed yet."""

    def __init__(self, screens: Screens, *, clock: FakeClock | None = None) -> None:
        self.screens = screens
        self.clock = clock or FakeClock()
        self.pages: list[FakePage] = []
        self.open = 0
        # Raised instead of opening, first to last.
        self.refusals: list[BrowserError] = []
        # Called with each new page: a test's chance to change it before the run sees it.
        self.prepare: Callable[[FakePage], None] = lambda page: None

    @asynccontextmanager
    async def __call__(self, site: SiteSpec, account: AccountSpec) -> AsyncIterator[Page]:
        divide(account.storage_state, site.base_url)
        if self.refusals:
            raise self.refusals.pop(0)
        page = FakePage(site, self.screens, account=account, clock=self.clock)
        self.prepare(page)
        self.pages.append(page)
        self.open += 1
        try:
            yield page
        finally:
            self.open -= 1
            page.close()


def fake_open_page(screens: Screens, *, clock: FakeClock | None = None) -> FakeOpener:
    """What `core.browser.Browser.open_page` is to a run, without a browser."""
    return FakeOpener(screens, clock=clock)
