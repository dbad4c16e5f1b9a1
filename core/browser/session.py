"""A browser from its start to its end, and the pages in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from playwright import async_api as playwright

from core.browser.calls import Calls, unhurried
from core.browser.context import Context, Sleep
from core.browser.driver import start_browser, start_driver
from core.browser.options import BrowserOptions
from core.browser.processes import OWNER_VARIABLE, Processes, make_directory
from core.errors import BrowserLost, BrowserUnavailable, PageCrashed
from core.page import Page
from core.text import one_line
from core.types import AccountSpec, SiteSpec

# From SIGKILL until the kernel has taken the processes away.
_KILLED_SECONDS = 2.0


@asynccontextmanager
async def launch(options: BrowserOptions, *, sleep: Sleep = asyncio.sleep) -> AsyncIterator[Browser]:
    """A running browser, or a connection to one; ended, whatever happened, on the way out.

    Raises `BrowserUnavailable` when there is none. Ending takes at most about twice
    `options.close_timeout` seconds, goes on when the caller is cancelled, and leaves no process and no
    file behind. `sleep` is what `Page.dwell` waits with.
    """
    try:
        browser = Browser(options, sleep)
    except OSError as error:
        raise BrowserUnavailable(
            f"no temporary directory could be made: {one_line(str(error), 200)}"
        ) from None
    try:
        await browser.start()
        yield browser
    finally:
        await unhurried(browser.stop())


class Browser:
    """One driver and one browser; made, started and stopped by `launch`."""

    def __init__(self, options: BrowserOptions, sleep: Sleep) -> None:
        self._options = options
        self._sleep = sleep
        self._directory = make_directory(options.marker)
        self._processes = Processes(self._directory, self.lose)
        self._driver: playwright.Playwright | None = None
        self._browser: playwright.Browser | None = None
        self._lost: str | None = None
        self._pages: set[Calls] = set()

    @property
    def alive(self) -> bool:
        """Whether another page may be opened: neither dead nor frozen, as far as anybody noticed."""
        return self._lost is None and self._browser is not None and self._browser.is_connected()

    @property
    def connection(self) -> playwright.Browser:
        """Playwright's browser, for this package only. Raises `BrowserLost` when there is none."""
        if self._browser is None or not self.alive:
            raise BrowserLost(self._lost or "the browser is not running")
        return self._browser

    def open_page(self, site: SiteSpec, account: AccountSpec) -> AbstractAsyncContextManager[Page]:
        """A page in a context of its own, which is closed, within a bound, on the way out.

        Raises `StateRejected` for a saved state that cannot be restored, `BrowserLost` when the browser
        is not alive, and `PageTimeout` when no context was made within `launch_timeout` seconds. When a
        context does not close within `close_timeout` seconds, the browser counts as lost.
        """
        return self._open_page(site, account)

    @asynccontextmanager
    async def _open_page(self, site: SiteSpec, account: AccountSpec) -> AsyncIterator[Page]:
        connection = self.connection
        frozen = self._processes.frozen
        context = Context(self._options, site, account, sleep=self._sleep, frozen=frozen, lose=self.lose)
        self._pages.add(context.calls)
        try:
            # Not to be cut short: a context that nobody knows of would stay as long as the browser.
            yield await unhurried(context.make(connection))
        finally:
            await unhurried(self._close(context))

    async def _close(self, context: Context) -> None:
        context.calls.end(PageCrashed, "the page was closed")
        try:
            if self._lost is None and not await context.close(self._options.close_timeout):
                self.lose(f"a context did not close within {self._options.close_timeout:g} s")
        finally:
            await context.detach()
            self._pages.discard(context.calls)

    def lose(self, why: str) -> None:
        """Declare the browser dead or frozen: whatever waits for it ends with `BrowserLost`."""
        if self._lost is not None:
            return
        self._lost = why
        for calls in tuple(self._pages):
            calls.end(BrowserLost, why)

    async def start(self) -> None:
        """Start the driver and the browser. Raises `BrowserUnavailable`."""
        environment = {"TMPDIR": str(self._directory), OWNER_VARIABLE: self._options.marker}
        seconds = self._options.launch_timeout
        try:
            async with asyncio.timeout(seconds):
                self._driver = await start_driver(environment)
                self._browser = await start_browser(self._driver, self._options, environment)
        except TimeoutError:
            raise BrowserUnavailable(f"the browser did not start within {seconds:g} s") from None
        self._browser.on("disconnected", lambda _: self.lose("the browser disconnected"))
        self._processes.track()

    async def stop(self) -> None:
        """Close politely, each step within `close_timeout` seconds; then kill what is left."""
        seconds = self._options.close_timeout if self._lost is None else 0
        self.lose("the browser was closed")
        ending: list[asyncio.Task[None]] = []
        try:
            if self._browser is not None:
                ending.append(asyncio.ensure_future(self._browser.close()))
                await asyncio.wait(ending, timeout=seconds)
            if self._driver is not None:
                ending.append(asyncio.ensure_future(self._driver.stop()))
                await asyncio.wait(ending, timeout=seconds)
        finally:
            # Nothing here waits for anybody, so it also happens when even this is cancelled.
            self._processes.forget()
            self._processes.kill()
            self._processes.remove_directory()
        await self._processes.gone(_KILLED_SECONDS)
        if ending:
            # The other side is gone, so what still waited for it ends now.
            await asyncio.wait(ending, timeout=_KILLED_SECONDS)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self._processes.remove_directory()
