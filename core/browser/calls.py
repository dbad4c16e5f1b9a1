"""Deadlines around every Playwright call, and what its errors mean.

Playwright's own time-outs are not enough: some calls have none, and nothing ends when the driver is
frozen. So each call runs under an outer deadline, and all calls of a page end at once when the page,
the browser or the driver dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from playwright import async_api as playwright

from core.browser.journal import Journal
from core.errors import BrowserError, BrowserLost, NavigationFailed, PageCrashed, PageTimeout

T = TypeVar("T")

# Over Playwright's own time-out, so that its more telling error comes first.
GRACE_SECONDS = 0.5
# For an element call that timed out: does the page answer anything at all?
ANSWER_SECONDS = 0.4
# From a closed connection, or a navigation that broke off, to the event that says what died.
VERDICT_SECONDS = 0.5


class Calls:
    """The calls of one page.

    `frozen` tells whether the processes behind the page are stopped; `lose` declares the browser lost.
    """

    def __init__(self, journal: Journal, frozen: Callable[[], bool], lose: Callable[[str], None]) -> None:
        self._journal = journal
        self._frozen = frozen
        self._lose = lose
        self._ended = asyncio.Event()
        self._end: tuple[type[BrowserError], str] | None = None
        self._in_flight: set[asyncio.Timeout] = set()

    def end(self, kind: type[BrowserError], why: str) -> None:
        """Make every call, in flight or to come, raise `kind(why)`. The first reason stays."""
        if self._end is not None:
            return
        self._end = (kind, why)
        self._ended.set()
        now = asyncio.get_running_loop().time()
        for deadline in self._in_flight:
            if not deadline.expired():
                deadline.reschedule(now)

    async def run(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        timeout: float | None,
        doing: str,
        late: type[BrowserError] = PageTimeout,
        refused: type[BrowserError] = BrowserError,
        answers: Callable[[], Awaitable[object]] | None = None,
    ) -> T:
        """The result of `call()`, or a `BrowserError` at the latest a second after `timeout` seconds.

        Without a `timeout`, `call` is bounded by itself, and is only ended by `end`.
        `late` is what Playwright's own time-out means, unless `answers()` does not come back either,
        which makes it a `PageTimeout`; `refused` is what its other errors mean that have no class of
        their own. `doing` opens the error's text.
        """
        if self._end is not None:
            raise self._end[0](self._end[1])
        failure: playwright.Error | None = None
        try:
            async with asyncio.timeout(None if timeout is None else timeout + GRACE_SECONDS) as deadline:
                self._in_flight.add(deadline)
                try:
                    return await call()
                finally:
                    self._in_flight.discard(deadline)
        except TimeoutError:
            pass
        except playwright.Error as error:
            failure = error
        # Raised out here, so that Playwright's error, which may quote a typed password, is not chained.
        raise await self._explain(
            failure, timeout=timeout, doing=doing, late=late, refused=refused, answers=answers
        )

    async def _explain(
        self,
        failure: playwright.Error | None,
        *,
        timeout: float | None,
        doing: str,
        late: type[BrowserError],
        refused: type[BrowserError],
        answers: Callable[[], Awaitable[object]] | None,
    ) -> BrowserError:
        if failure is not None and (is_closed(failure) or _was_aborted(failure)):
            await self._wait_for_the_end()
        if self._end is None and (failure is None or isinstance(failure, playwright.TimeoutError)):
            if self._frozen():
                self._lose("the driver or the browser is frozen")
            elif failure is None or (answers is not None and not await self._answered(answers)):
                late = PageTimeout
        if self._end is not None:
            return self._end[0](self._end[1])
        if failure is None or isinstance(failure, playwright.TimeoutError):
            return late(self._journal.one_line(f"{doing}: not done after {timeout or 0:g} s"))
        return self._read(failure, doing, refused)

    def _read(self, failure: playwright.Error, doing: str, refused: type[BrowserError]) -> BrowserError:
        """The error that Playwright's own words stand for."""
        reason = reason_of(failure)
        if reason.startswith(("Target crashed", "Page crashed")):
            self.end(PageCrashed, "the page crashed")
            return PageCrashed("the page crashed")
        if is_closed(failure):
            self._lose("the connection to the browser closed")
            return BrowserLost("the connection to the browser closed")
        # A URL in the reason may carry a token; `doing` names the place already.
        text = self._journal.one_line(f"{doing}: {reason.partition(' at http')[0]}")
        if "net::ERR_" in reason or reason.startswith("Download is starting"):
            return NavigationFailed(text)
        return refused(text)

    async def _wait_for_the_end(self) -> None:
        """Give the event that tells what died the time to arrive."""
        try:
            async with asyncio.timeout(VERDICT_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            return

    async def _answered(self, answers: Callable[[], Awaitable[object]]) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await answers()
        except TimeoutError:
            return False
        except playwright.Error:
            # It answered, if with an error: a navigation under way, for instance.
            return True
        return True


def reason_of(failure: playwright.Error) -> str:
    """The first line of Playwright's message, without the name of its method and without its log."""
    line = failure.message.strip().partition("\n")[0]
    method, separator, reason = line.partition(": ")
    reason = reason if separator and method.replace(".", "").replace("_", "").isalnum() else line
    return reason.removeprefix("Error: ")


def is_closed(failure: playwright.Error) -> bool:
    # By class, which Playwright does not export: a page can put any text into its own errors.
    return type(failure).__name__ == "TargetClosedError"


def _was_aborted(failure: playwright.Error) -> bool:
    # So ends a navigation whose renderer crashed, a moment before the crash itself is told.
    return "net::ERR_ABORTED" in reason_of(failure)


async def unhurried(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs to its end even when the caller is cancelled meanwhile.

    The cancellation goes on afterwards. `work` must be bounded by itself.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it
    raise cancelled
