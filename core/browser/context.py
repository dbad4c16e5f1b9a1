"""One account's browser context: made, watched and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from playwright import async_api as playwright

from core.browser.calls import Calls, is_closed
from core.browser.challenge import FirstChallenge
from core.browser.journal import Journal
from core.browser.listeners import Listeners
from core.browser.options import BrowserOptions
from core.browser.page import BrowserPage
from core.browser.state import divide
from core.errors import StateRejected
from core.scrubbing import secrets_of
from core.types import AccountSpec, ProxySpec, SiteSpec

Sleep = Callable[[float], Awaitable[object]]


class Context:
    """A context with one page for one account. Raises `StateRejected` for a state it cannot restore."""

    def __init__(
        self,
        options: BrowserOptions,
        site: SiteSpec,
        account: AccountSpec,
        *,
        sleep: Sleep,
        frozen: Callable[[], bool],
        lose: Callable[[str], None],
    ) -> None:
        self._options = options
        self._site = site
        self._proxy = account.proxy
        self._sleep = sleep
        self._state, self._scripted = divide(account.storage_state, site.base_url)
        self._journal = Journal(secrets_of(account))
        self._context: playwright.BrowserContext | None = None
        self._listeners: Listeners | None = None
        self._challenge: FirstChallenge | None = None
        self.calls = Calls(self._journal, frozen, lose)

    async def make(self, browser: playwright.Browser) -> BrowserPage:
        """The context's page. Raises `StateRejected`, `BrowserLost` or `PageTimeout`."""
        seconds = self._options.launch_timeout
        return await self.calls.run(lambda: self._make(browser), timeout=seconds, doing="making a context")

    async def _make(self, browser: playwright.Browser) -> BrowserPage:
        self._context = context = await self._new_context(browser)
        self._listeners = Listeners(context, self._journal, self.calls, self._options.max_pages)
        self._listeners.listen()
        if self._scripted is not None:
            script = await context.add_init_script(self._scripted.script)
            self._listeners.restore(self._scripted, script.close)
        page = await context.new_page()
        self._listeners.attach(page)
        if self._proxy is not None and self._proxy.username is not None:
            session = await context.new_cdp_session(page)
            self._challenge = FirstChallenge(session, self._proxy.username, self._proxy.password or "")
            await self._challenge.expect()
        return BrowserPage(
            page,
            self._site,
            calls=self.calls,
            journal=self._journal,
            listeners=self._listeners,
            scripted=self._scripted,
            sleep=self._sleep,
        )

    async def _new_context(self, browser: playwright.Browser) -> playwright.BrowserContext:
        width, height = self._options.viewport
        # Playwright's type for a state leaves out what else it restores.
        state: Any = self._state
        try:
            return await browser.new_context(
                accept_downloads=False,
                service_workers="block",
                # Granting none denies all, so no site ever waits for an answer to a prompt.
                permissions=[],
                locale=self._options.locale,
                viewport={"width": width, "height": height},
                proxy=_proxy_settings(self._proxy, self._options),
                storage_state=state,
            )
        except playwright.Error as error:
            if is_closed(error) or "Error setting storage state" not in error.message:
                raise
        # Out here, because Playwright's error, which quotes the state, must not be chained.
        raise StateRejected("the browser refused the saved state")

    async def close(self, seconds: float) -> bool:
        """Close with all its pages; False when that did not happen within `seconds`."""
        if self._context is None:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._context.close()
        except TimeoutError:
            return False
        except playwright.Error as error:
            # Closed already: it went with the browser.
            return is_closed(error)
        return True

    async def detach(self) -> None:
        """End the work that events began, when the context is closed or given up."""
        if self._listeners is not None:
            await self._listeners.detach()
        if self._challenge is not None:
            await self._challenge.end()


def _proxy_settings(proxy: ProxySpec | None, options: BrowserOptions) -> playwright.ProxySettings | None:
    """The account's own proxy; else, where the browser is not ours to start, the egress proxy.

    Without credentials: `FirstChallenge` gives them.
    """
    if proxy is not None:
        return {"server": proxy.server}
    if options.endpoint is not None and options.proxy_server is not None:
        return {"server": options.proxy_server}
    return None
