"""core.browser.calls: deadlines, and what Playwright's errors mean, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from playwright import async_api as playwright
from playwright._impl._errors import TargetClosedError

from core.browser import calls as module
from core.browser.calls import Calls, reason_of, unhurried
from core.browser.journal import Journal
from core.errors import (
    BrowserError,
    BrowserLost,
    ElementMissing,
    NavigationFailed,
    PageCrashed,
    PageTimeout,
)


class Behind:
    """What stands behind the calls."""

    def __init__(self) -> None:
        self.frozen = False
        self.lost: list[str] = []
        self.calls = Calls(Journal(), lambda: self.frozen, self.lose)

    def lose(self, why: str) -> None:
        self.lost.append(why)
        self.calls.end(BrowserLost, why)


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Behind:
    for name in ("GRACE_SECONDS", "ANSWER_SECONDS", "VERDICT_SECONDS"):
        monkeypatch.setattr(module, name, 0.01)
    return Behind()


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        raise error

    return call


async def never() -> None:
    await asyncio.Event().wait()


async def test_run_returns_the_result(behind: Behind) -> None:
    async def call() -> int:
        return 7

    assert await behind.calls.run(call, timeout=1, doing="counting") == 7


CLOSED_TEXT = "Target page, context or browser has been closed"


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (playwright.Error("Page.x: Target crashed \nCall log:\n"), PageCrashed, "the page crashed"),
        (playwright.Error("Page.x: Page crashed"), PageCrashed, "the page crashed"),
        (TargetClosedError(), BrowserLost, "the connection to the browser closed"),
        # A page's own text says nothing about the browser.
        (playwright.Error(CLOSED_TEXT), BrowserError, f"doing: {CLOSED_TEXT}"),
        (playwright.Error("Page.goto: net::ERR_X at http://a/?t0ken"), NavigationFailed, "doing: net::ERR_X"),
        (playwright.Error("Download is starting"), NavigationFailed, "doing: Download is starting"),
        (playwright.Error("Page.x: else\nCall log:\n  - fill('s3cret')"), BrowserError, "doing: else"),
        (playwright.TimeoutError("Timeout 1ms exceeded."), PageTimeout, "doing: not done after 1 s"),
    ],
)
async def test_run_reads_playwrights_error(
    behind: Behind, error: playwright.Error, kind: type[BrowserError], text: str
) -> None:
    with pytest.raises(BrowserError) as caught:
        await behind.calls.run(raising(error), timeout=1, doing="doing")

    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert behind.lost == ([text] if kind is BrowserLost else [])


async def test_run_leaves_other_errors_alone(behind: Behind) -> None:
    with pytest.raises(ZeroDivisionError):
        await behind.calls.run(raising(ZeroDivisionError()), timeout=1, doing="doing")


async def test_run_has_its_own_deadline(behind: Behind) -> None:
    with pytest.raises(PageTimeout, match=r"waiting: not done after 0\.01 s"):
        await behind.calls.run(never, timeout=0.01, doing="waiting")


async def test_run_that_times_out_on_frozen_processes_is_a_lost_browser(behind: Behind) -> None:
    behind.frozen = True

    with pytest.raises(BrowserLost, match="frozen"):
        await behind.calls.run(never, timeout=0.01, doing="waiting")


async def _an_error() -> None:
    raise playwright.Error("Execution context was destroyed")


async def _at_once() -> None:
    return None


@pytest.mark.parametrize(
    ("answers", "kind"), [(_at_once, ElementMissing), (_an_error, ElementMissing), (never, PageTimeout)]
)
async def test_run_late_means_what_it_should_if_the_page_answers(
    behind: Behind, answers: Callable[[], Awaitable[None]], kind: type[BrowserError]
) -> None:
    late = raising(playwright.TimeoutError("Timeout"))

    with pytest.raises(BrowserError) as caught:
        await behind.calls.run(late, timeout=1, doing="clicking", late=ElementMissing, answers=answers)

    assert type(caught.value) is kind


ABORTED = playwright.Error("Page.goto: net::ERR_ABORTED; maybe frame was detached?")


@pytest.mark.parametrize("error", [TargetClosedError(), ABORTED])
async def test_run_a_closed_connection_waits_for_what_died(behind: Behind, error: playwright.Error) -> None:
    async def call() -> None:
        asyncio.get_running_loop().call_soon(behind.calls.end, PageCrashed, "the page closed itself")
        raise error

    with pytest.raises(PageCrashed, match="closed itself"):
        await behind.calls.run(call, timeout=1, doing="doing")

    assert behind.lost == []


async def test_end_ends_what_is_in_flight_and_what_comes(behind: Behind) -> None:
    waiting = [
        asyncio.ensure_future(behind.calls.run(never, timeout=seconds, doing="waiting"))
        for seconds in (None, 3600.0)
    ]
    await asyncio.sleep(0)

    behind.calls.end(PageCrashed, "first")
    behind.calls.end(BrowserLost, "second")

    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [(type(end), str(end)) for end in ends] == [(PageCrashed, "first")] * 2
    with pytest.raises(PageCrashed, match="first"):
        await behind.calls.run(never, timeout=3600, doing="waiting")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Page.goto: net::ERR_X at http://a\nCall log:\n", "net::ERR_X at http://a"),
        ("Locator.fill: Error: Element is not an <input>", "Element is not an <input>"),
        ("Browser.new_context: x: y", "x: y"),
        ("no method: here", "no method: here"),
        ("", ""),
    ],
)
def test_reason_of_is_one_line_without_the_method(message: str, reason: str) -> None:
    assert reason_of(playwright.Error(message)) == reason


# ---- unhurried -------------------------------------------------------------------------------------


async def test_unhurried_gives_the_result_and_the_error() -> None:
    async def seven() -> int:
        return 7

    assert await unhurried(seven()) == 7
    with pytest.raises(ElementMissing):
        await unhurried(_fails())


async def _fails() -> None:
    raise ElementMissing("no")


@pytest.mark.parametrize("fails", [False, True])
async def test_unhurried_goes_on_when_cancelled_and_is_cancelled_then(fails: bool) -> None:
    go, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go.wait()
        done.set()
        if fails:
            raise ElementMissing("no")

    task = asyncio.ensure_future(unhurried(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()

    go.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()
