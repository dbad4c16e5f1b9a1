"""The page of one account: `core.page.Page` on top of Playwright."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from playwright import async_api as playwright

from core.browser.calls import Calls
from core.browser.journal import Journal
from core.browser.listeners import Listeners
from core.browser.state import ScriptedOrigin, fit
from core.browser.urls import check_url, retry_after, shown_url
from core.errors import BrowserError, ElementMissing, HttpError, NavigationFailed, RateLimited
from core.origins import SCHEMES
from core.page import PageEvent
from core.text import clean
from core.types import Attempt, SiteSpec, StorageState

T = TypeVar("T")

HTML_BYTES = 2 * 1024 * 1024
LINKS_MOST = 1000
LINK_CHARACTERS = 2048
_TOO_MANY_REQUESTS = 429

_HTML = """limit => {
  const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) + '\\n' : '';
  const root = document.documentElement;
  return (type + (root ? root.outerHTML : '')).slice(0, limit);
}"""

_LINKS = """elements => elements.flatMap(element => {
  const around = element.closest('a[href], area[href]');
  return around ? [around.href] : Array.from(element.querySelectorAll('a[href], area[href]'), a => a.href);
})"""


class BrowserPage:
    """Works on the first page of its context; windows that the site opens do not become it.

    All errors are those of `core.page.Page`; an error of Playwright that has no name there is a plain
    `BrowserError`.
    """

    def __init__(
        self,
        page: playwright.Page,
        site: SiteSpec,
        *,
        calls: Calls,
        journal: Journal,
        listeners: Listeners,
        scripted: ScriptedOrigin | None,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._page = page
        self._site = site
        self._calls = calls
        self._journal = journal
        self._listeners = listeners
        self._scripted = scripted
        self._sleep = sleep
        self._mouse_is_placed = False
        self.refused: Mapping[Attempt, int] = {}

    @property
    def url(self) -> str:
        return clean(self._page.url, limit=LINK_CHARACTERS)

    @property
    def navigations(self) -> int:
        # Counted when the DOM is there: Playwright does not tell a commit from a change of the fragment.
        return self._listeners.documents

    @property
    def events(self) -> list[PageEvent]:
        return self._journal.events

    # ---- navigation ----------------------------------------------------------------------------

    async def goto(self, url: str, *, timeout: float) -> None:
        check_url(url, self._site.allowed_hosts)
        response = await self._calls.run(
            lambda: self._page.goto(url, wait_until="domcontentloaded", timeout=timeout * 1000),
            timeout=timeout,
            doing=f"opening {shown_url(url)}",
            refused=NavigationFailed,
        )
        self._check_arrival(response)

    async def back(self, *, timeout: float) -> None:
        async def go_back() -> playwright.Response | None:
            # The blank page that every context starts with is no place to go back to.
            session = await self._page.context.new_cdp_session(self._page)
            history: Any = await session.send("Page.getNavigationHistory")
            await session.detach()
            index = history["currentIndex"]
            if index == 0 or history["entries"][index - 1]["url"] == "about:blank":
                return None
            return await self._page.go_back(wait_until="domcontentloaded", timeout=timeout * 1000)

        response = await self._calls.run(
            go_back, timeout=timeout, doing="going back", refused=NavigationFailed
        )
        if response is not None:
            self._check_arrival(response)

    def _check_arrival(self, response: playwright.Response | None) -> None:
        """Raise if a navigation, its redirects included, ended where or as it must not."""
        check_url(self._page.url, self._site.allowed_hosts)
        if response is None or response.status < 400:
            return
        shown = shown_url(response.url)
        if response.status == _TOO_MANY_REQUESTS:
            raise RateLimited(shown, retry_after(response.headers.get("retry-after")))
        raise HttpError(response.status, shown)

    # ---- acting on elements ----------------------------------------------------------------------

    async def click(self, selector: str, *, nth: int = 0, timeout: float) -> None:
        target = self._visible(selector).nth(nth)
        place = f"{selector} [{nth}]" if nth else selector
        async with self._arrivals_checked():
            await self._act(lambda: target.click(timeout=timeout * 1000), timeout, f"clicking {place}")

    async def fill(self, selector: str, text: str, *, secret: bool = False, timeout: float) -> None:
        if secret:
            self._journal.hide(text)
        target = self._visible(selector).first
        doing = f"filling {selector}"
        try:
            await self._act(lambda: target.fill(text, timeout=timeout * 1000), timeout, doing)
            return
        except BrowserError as error:
            refused = error
        # Playwright quotes the value in some refusals. The error goes without it, and without the chain.
        raise type(refused)(f"{doing}: refused") if text and text in str(refused) else refused

    async def press(self, selector: str, key: str, *, timeout: float) -> None:
        target = self._visible(selector).first
        doing = f"pressing {key} in {selector}"
        async with self._arrivals_checked():
            await self._act(lambda: target.press(key, timeout=timeout * 1000), timeout, doing)

    async def wheel(self, pixels: int, *, timeout: float) -> None:
        async def turn() -> None:
            if not self._mouse_is_placed:
                size = self._page.viewport_size or {"width": 0, "height": 0}
                await self._page.mouse.move(size["width"] / 2, size["height"] / 2)
                self._mouse_is_placed = True
            await self._page.mouse.wheel(0, pixels)

        await self._calls.run(turn, timeout=timeout, doing="turning the wheel")

    # ---- looking ---------------------------------------------------------------------------------

    async def is_visible(self, selector: str, *, timeout: float) -> bool:
        first = self._visible(selector).first
        return await self._look(first.is_visible, timeout, f"looking for {selector}", refused=ElementMissing)

    async def wait_visible(self, selector: str, *, timeout: float) -> None:
        first = self._visible(selector).first
        doing = f"waiting for {selector}"
        await self._act(lambda: first.wait_for(state="visible", timeout=timeout * 1000), timeout, doing)

    async def links(self, selector: str, *, timeout: float) -> list[str]:
        every = self._page.locator(selector)
        doing = f"reading the links of {selector}"
        found = await self._look(lambda: every.evaluate_all(_LINKS), timeout, doing, refused=ElementMissing)
        # The page may have replaced what the script relies on, so nothing is taken for granted.
        texts = [link for link in found if isinstance(link, str)] if isinstance(found, list) else []
        usable = (clean(link, limit=LINK_CHARACTERS) for link in texts if len(link) <= LINK_CHARACTERS)
        kept = (link for link in usable if link.partition(":")[0].lower() in SCHEMES)
        return list(dict.fromkeys(kept))[:LINKS_MOST]

    async def dwell(self, seconds: float) -> None:
        await self._calls.run(lambda: self._sleep(seconds), timeout=None, doing="dwelling")

    async def screenshot(self, *, timeout: float) -> bytes:
        return await self._calls.run(
            lambda: self._page.screenshot(type="png", animations="disabled", timeout=timeout * 1000),
            timeout=timeout,
            doing="taking a screenshot",
        )

    async def html(self, *, timeout: float) -> str:
        found = await self._look(lambda: self._page.evaluate(_HTML, HTML_BYTES), timeout, "reading the page")
        text = clean(self._journal.scrub(found), limit=HTML_BYTES) if isinstance(found, str) else ""
        return text.encode()[:HTML_BYTES].decode(errors="ignore")

    async def storage_state(self, *, timeout: float) -> StorageState:
        """The state as it is, not cleaned: it must come back unchanged.

        Its texts may hold NUL and lone surrogates, which `json.dumps` escapes unless told otherwise.
        What `core.browser.state` could not restore is left out, or is a `StateRejected`.
        """
        found = await self._calls.run(
            lambda: self._page.context.storage_state(indexed_db=True),
            timeout=timeout,
            doing="reading the state",
        )
        state: StorageState = {"cookies": found.get("cookies", []), "origins": found.get("origins", [])}
        if self._scripted is not None:
            state = self._scripted.unvisited(state)
        return fit(state, self._site.base_url, self._site.allowed_hosts)

    # ---- how -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _arrivals_checked(self) -> AsyncIterator[None]:
        """Where an act brings another document, check that as `goto` does.

        Responses are listened to during the act only: each is a message from the driver.
        """
        arrived: list[playwright.Response] = []

        def see(response: playwright.Response) -> None:
            request = response.request
            if request.is_navigation_request() and request.frame == self._page.main_frame:
                arrived.append(response)

        self._page.on("response", see)
        try:
            yield
        finally:
            self._page.remove_listener("response", see)
        if arrived:
            self._check_arrival(arrived[-1])

    def _visible(self, selector: str) -> playwright.Locator:
        return self._page.locator(selector).filter(visible=True)

    async def _act(self, call: Callable[[], Awaitable[T]], timeout: float, doing: str) -> T:
        """A call on an element, for which Playwright waits by itself."""
        return await self._calls.run(
            call,
            timeout=timeout,
            doing=doing,
            late=ElementMissing,
            refused=ElementMissing,
            answers=lambda: self._page.evaluate("0"),
        )

    async def _look(
        self,
        call: Callable[[], Awaitable[T]],
        timeout: float,
        doing: str,
        refused: type[BrowserError] = NavigationFailed,
    ) -> T:
        """A call that looks at the document as it is, again when a navigation took it away."""

        async def look() -> T:
            while True:
                try:
                    return await call()
                except playwright.Error as error:
                    if "Execution context was destroyed" not in error.message:
                        raise
                await self._page.wait_for_load_state("domcontentloaded")

        return await self._calls.run(look, timeout=timeout, doing=doing, refused=refused)
