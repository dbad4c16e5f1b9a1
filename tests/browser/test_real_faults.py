"""Renderers, browsers and drivers that die or freeze: what the pages say, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright import async_api as playwright

from core.browser import Browser, BrowserOptions, launch
from core.errors import BrowserLost, PageCrashed
from core.page import Page
from core.types import AccountSpec, SiteSpec
from tests.browser import faults
from tests.browser.page_contract import PATIENT
from tests.browser.site import Site, serve
from tests.fakes import Screen

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ACCOUNT = AccountSpec(1, "anna")
# Short, so that what hangs is given up soon.
OPTIONS = BrowserOptions(close_timeout=1.0)
PAGES = 3
SCREENS = {
    "/": Screen(html="<!doctype html><h1>plain</h1>"),
    "/busy": Screen(html="<!doctype html><script>setTimeout(() => { for (;;) {} }, 50)</script>"),
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve(SCREENS) as running:
        yield running


@pytest.fixture
def spec(site: Site) -> SiteSpec:
    return SiteSpec("real", site.url, ("127.0.0.1",), {})


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is left for asyncio to complain of: no error that nobody retrieved, no pending task."""
    yield
    gc.collect()
    complaints = [record for record in caplog.records if record.name in ("asyncio", "playwright")]
    assert [record.getMessage() for record in complaints if record.levelno >= logging.WARNING] == []


@dataclass
class Opened:
    """A browser of its own with some pages open, and what was running behind it."""

    browser: Browser
    pages: list[Page]
    processes: list[psutil.Process]
    directory: Path


@asynccontextmanager
async def opened(
    spec: SiteSpec, *, options: BrowserOptions = OPTIONS, count: int = PAGES
) -> AsyncIterator[Opened]:
    async with launch(options) as browser, AsyncExitStack() as contexts:
        pages = [await contexts.enter_async_context(browser.open_page(spec, ACCOUNT)) for _ in range(count)]
        for page in pages:
            await page.goto(spec.url("/"), timeout=PATIENT)
        yield Opened(browser, pages, faults.everything_of(browser), browser._directory)


async def expect_nothing_left(world: Opened) -> None:
    await faults.until(lambda: faults.still_running(world.processes) == [])
    assert not world.directory.exists()


async def kill_chromium(browser: Browser) -> None:
    faults.chromium_of(browser).kill()


async def kill_driver(browser: Browser) -> None:
    faults.driver_of(browser).kill()


async def freeze_driver(browser: Browser) -> None:
    faults.driver_of(browser).suspend()


async def freeze_chromium(browser: Browser) -> None:
    faults.stop_group(faults.chromium_of(browser))


Harm = Callable[[Browser], Awaitable[None]]


@pytest.mark.parametrize("harm", [kill_chromium, kill_driver])
async def test_a_death_ends_every_page_at_once(spec: SiteSpec, harm: Harm) -> None:
    async with opened(spec) as world:
        dwelling = [asyncio.ensure_future(page.dwell(3600)) for page in world.pages]
        # A call that the dead side will never answer.
        waiting = asyncio.ensure_future(world.pages[0].wait_visible("#never", timeout=3600))
        await asyncio.sleep(0)

        await harm(world.browser)

        async with asyncio.timeout(PATIENT):
            ends = await asyncio.gather(*dwelling, waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [BrowserLost] * (PAGES + 1)
        assert not world.browser.alive
        with pytest.raises(BrowserLost):
            async with world.browser.open_page(spec, ACCOUNT):
                pytest.fail("opened")
    await expect_nothing_left(world)


@pytest.mark.parametrize("harm", [freeze_driver, freeze_chromium])
async def test_a_freeze_is_noticed_by_the_first_call_that_gets_no_answer(spec: SiteSpec, harm: Harm) -> None:
    async with opened(spec) as world:
        dwelling = [asyncio.ensure_future(page.dwell(3600)) for page in world.pages[1:]]
        await asyncio.sleep(0)

        await harm(world.browser)

        with pytest.raises(BrowserLost):
            await world.pages[0].click("h1", timeout=0.2)
        ends = await asyncio.gather(*dwelling, return_exceptions=True)
        assert [type(end) for end in ends] == [BrowserLost] * (PAGES - 1)
        assert not world.browser.alive
    await expect_nothing_left(world)


@pytest.mark.parametrize("harm", [freeze_driver, freeze_chromium])
async def test_closing_a_frozen_browser_is_bounded(spec: SiteSpec, harm: Harm) -> None:
    async with opened(spec, options=BrowserOptions(close_timeout=2.0), count=6) as world:
        await harm(world.browser)
        began = time.monotonic()

    # The first context that misses its deadline gives the browser up, so that no other waits for its own.
    assert time.monotonic() - began < 10
    assert not world.browser.alive
    await expect_nothing_left(world)


async def test_a_context_that_does_not_close_gives_the_browser_up(spec: SiteSpec) -> None:
    async with launch(OPTIONS) as browser, browser.open_page(spec, ACCOUNT) as other:
        async with browser.open_page(spec, ACCOUNT):
            await freeze_driver(browser)

        assert not browser.alive
        with pytest.raises(BrowserLost, match="did not close"):
            await other.html(timeout=PATIENT)


async def test_a_renderer_crash_leaves_the_other_contexts_alone(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page, browser.open_page(spec, ACCOUNT) as other:
        await page.goto(spec.url("/"), timeout=PATIENT)
        await other.goto(spec.url("/"), timeout=PATIENT)
        await faults.crash(page)

        with pytest.raises(PageCrashed):
            await page.html(timeout=PATIENT)
        await other.goto(spec.url("/?again"), timeout=PATIENT)
        async with browser.open_page(spec, ACCOUNT) as another:
            await another.goto(spec.url("/"), timeout=PATIENT)
    assert browser.alive


async def test_a_page_that_closes_itself_is_not_a_lost_browser(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await faults.inner(page).close()

        with pytest.raises(PageCrashed, match="closed itself"):
            await page.html(timeout=PATIENT)
    assert browser.alive


async def test_a_busy_page_closes_at_once(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/busy"), timeout=PATIENT)

    assert browser.alive


async def test_cancelling_a_page_closes_its_context(browser: Browser, spec: SiteSpec) -> None:
    began = asyncio.Event()

    async def visit() -> None:
        async with browser.open_page(spec, ACCOUNT) as page:
            began.set()
            await page.dwell(3600)

    visiting = asyncio.ensure_future(visit())
    await began.wait()
    visiting.cancel()
    # Once more, while the context is being closed.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    visiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await visiting
    assert browser.connection.contexts == []
    assert browser.alive


@pytest.mark.parametrize(
    "reached",
    [
        lambda contexts: True,
        lambda contexts: len(contexts) > 0,
        lambda contexts: len(contexts) > 0 and len(contexts[0].pages) > 0,
    ],
    ids=["asked for", "made", "with a page"],
)
async def test_cancelling_while_a_context_is_made_leaves_none(
    browser: Browser, spec: SiteSpec, reached: Callable[[list[playwright.BrowserContext]], bool]
) -> None:
    async def visit() -> None:
        async with browser.open_page(spec, ACCOUNT):
            pytest.fail("opened")

    visiting = asyncio.ensure_future(visit())
    await asyncio.sleep(0)
    while not reached(browser.connection.contexts):  # noqa: ASYNC110 - each turn of the loop counts
        await asyncio.sleep(0)
    visiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await visiting
    assert browser.connection.contexts == []
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/"), timeout=PATIENT)


async def test_cancelling_a_launch_leaves_nothing(spec: SiteSpec) -> None:
    began: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        async with opened(spec) as world:
            began.set_result(world)
            await world.pages[0].dwell(3600)

    working = asyncio.ensure_future(work())
    world = await began
    working.cancel()
    # A second time, while everything is being closed.
    asyncio.get_running_loop().call_later(0.01, working.cancel)

    with pytest.raises(asyncio.CancelledError):
        await working
    await expect_nothing_left(world)
