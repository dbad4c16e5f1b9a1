"""What we do about things that a page does by itself: dialogs, windows, downloads, noise."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from playwright import async_api as playwright

from core.browser.calls import Calls
from core.browser.journal import Journal
from core.browser.state import ScriptedOrigin
from core.browser.urls import shown_url
from core.errors import PageCrashed

# A dialog stops its page until it is answered. After so many the page stays stopped: an alert loop
# then costs nothing, and ends by the deadlines.
DIALOGS_ANSWERED = 50
# After so many the page is given up: each new window costs a process.
WINDOWS_CLOSED = 30
# Each console message and each failed request is a message from the driver: then we unsubscribe.
NOISE_HEARD = 500
# From a page's own close to calling it one: the browser may be dying with it.
CLOSE_SECONDS = 0.3


class Listeners:
    """The event handlers of one context.

    They never raise: Playwright would raise it again in the next call that anybody makes.
    """

    def __init__(
        self, context: playwright.BrowserContext, journal: Journal, calls: Calls, max_pages: int
    ) -> None:
        self._context = context
        self._journal = journal
        self._calls = calls
        self._max_pages = max_pages
        self._scripted: ScriptedOrigin | None = None
        self._remove_script: Callable[[], Awaitable[object]] | None = None
        self._seen: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.TimerHandle | None = None
        # Documents that the page has shown, counted when their DOM is there.
        self.documents = 0

    def listen(self) -> None:
        """Attach to the context, before it has a page."""
        self._context.on("dialog", self._on_dialog)
        self._context.on("console", self._on_console)
        self._context.on("weberror", self._on_page_error)
        self._context.on("requestfailed", self._on_request_failed)
        self._context.on("download", self._on_download)

    def restore(self, scripted: ScriptedOrigin, remove_script: Callable[[], Awaitable[object]]) -> None:
        """Answer the question of the script that restores localStorage, then remove the script."""
        self._scripted = scripted
        self._remove_script = remove_script

    def attach(self, page: playwright.Page) -> None:
        """Attach to the page that the calls are for; every further page is a window that it opened."""
        page.on("crash", self._on_crash)
        page.on("close", self._on_close)
        page.on("domcontentloaded", self._on_document)
        self._context.on("page", self._on_window)

    async def detach(self) -> None:
        """End what the handlers began; the context is closed by now, or never will be."""
        if self._closing is not None:
            self._closing.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_dialog(self, dialog: playwright.Dialog) -> None:
        if self._scripted is not None and dialog.type == "prompt" and dialog.message == self._scripted.nonce:
            self._spawn(self._hand_over(dialog, self._scripted.take()))
            return
        self._seen["dialog"] += 1
        if self._seen["dialog"] > DIALOGS_ANSWERED:
            return
        self._journal.record("dialog", f"{dialog.type}: {dialog.message}")
        # Dismissing "leave this page?" means staying, and every navigation would fail.
        self._spawn(dialog.accept() if dialog.type == "beforeunload" else dialog.dismiss())

    async def _hand_over(self, dialog: playwright.Dialog, items: str | None) -> None:
        if items is None:
            await dialog.dismiss()
            return
        await dialog.accept(items)
        if self._remove_script is not None:
            await self._remove_script()

    def _on_console(self, message: playwright.ConsoleMessage) -> None:
        if self._heard("console", self._on_console) and message.type == "error":
            self._journal.record("console", message.text)

    def _on_page_error(self, error: playwright.WebError) -> None:
        if self._heard("weberror", self._on_page_error):
            self._journal.record("console", str(error.error).partition("\n")[0])

    def _on_request_failed(self, request: playwright.Request) -> None:
        # Aborted: the page or a navigation took it back, which is no failure.
        if self._heard("requestfailed", self._on_request_failed) and request.failure != "net::ERR_ABORTED":
            self._journal.record(
                "request_failed", f"{request.resource_type} {shown_url(request.url)}: {request.failure}"
            )

    def _heard(self, event: str, handler: Callable[[Any], None]) -> bool:
        self._seen[event] += 1
        if self._seen[event] == NOISE_HEARD:
            self._context.remove_listener(event, handler)
        return self._seen[event] <= NOISE_HEARD

    def _on_download(self, download: playwright.Download) -> None:
        # The browser refuses it by itself: the context does not accept downloads.
        self._journal.record("download_refused", shown_url(download.url))

    def _on_window(self, window: playwright.Page) -> None:
        if len(self._context.pages) <= self._max_pages:
            return
        self._seen["window"] += 1
        if self._seen["window"] > WINDOWS_CLOSED:
            self._calls.end(PageCrashed, f"given up: the page opened {WINDOWS_CLOSED} windows too many")
        self._journal.record("popup_closed", shown_url(window.url))
        self._spawn(window.close())

    def _on_document(self, _page: playwright.Page) -> None:
        self.documents += 1

    def _on_crash(self, _page: playwright.Page) -> None:
        self._journal.record("crash", "the page crashed")
        self._calls.end(PageCrashed, "the page crashed")

    def _on_close(self, _page: playwright.Page) -> None:
        loop = asyncio.get_running_loop()
        self._closing = loop.call_later(CLOSE_SECONDS, self._calls.end, PageCrashed, "the page closed itself")

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Coroutine[Any, Any, object]) -> None:
        # The page, the window or the dialog may be gone by now, which is what was wanted.
        with contextlib.suppress(playwright.Error):
            await work
