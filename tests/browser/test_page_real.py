"""The real page keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest
import pytest_asyncio

from core.browser import Browser, BrowserOptions, launch
from core.page import Page
from core.types import AccountSpec, SiteSpec
from tests.browser import faults
from tests.browser.page_contract import PageContract
from tests.browser.site import serve
from tests.browser.world import world

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


class RealHarness:
    """Pages of one real browser; another one is started when a test has killed it."""

    def __init__(self, site: SiteSpec) -> None:
        self.site = site
        self.browsers = AsyncExitStack()
        self.browser: Browser | None = None

    async def ready(self) -> None:
        if self.browser is None or not self.browser.alive:
            self.browser = await self.browsers.enter_async_context(launch(BrowserOptions()))

    def open_page(self, account: AccountSpec) -> AbstractAsyncContextManager[Page]:
        assert self.browser is not None
        return self.browser.open_page(self.site, account)

    async def hang(self, page: Page) -> None:
        await faults.inner(page).evaluate("setTimeout(() => { for (;;) {} })")

    async def crash(self, page: Page) -> None:
        await faults.crash(page)

    async def lose(self, page: Page) -> None:
        assert self.browser is not None
        faults.chromium_of(self.browser).kill()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def real() -> AsyncIterator[RealHarness]:
    with serve({}) as site:
        site.screens = world(site.port)
        harness = RealHarness(SiteSpec("world", site.url, ("127.0.0.1",), {}))
        async with harness.browsers:
            yield harness


@pytest_asyncio.fixture(loop_scope="module")
async def harness(real: RealHarness) -> RealHarness:
    await real.ready()
    return real


class TestBrowserPage(PageContract):
    """The contract, kept by Chromium."""
