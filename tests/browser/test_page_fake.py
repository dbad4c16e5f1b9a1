"""The tests' fake page keeps the contract, and does what only a fake can."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from core.errors import BrowserLost, ElementMissing, NavigationFailed, PageCrashed
from core.page import Page
from core.types import AccountSpec, SiteSpec
from tests.browser.page_contract import ACCOUNT, PageContract
from tests.browser.world import world
from tests.fakes import FakeClock, FakePage, Screen, fake_open_page

SITE = SiteSpec("world", "http://127.0.0.1:8000", ("127.0.0.1",), {})


class FakeHarness:
    """Fake pages over the contract's world."""

    site = SITE

    def __init__(self) -> None:
        self.open = fake_open_page(world(8000))

    def open_page(self, account: AccountSpec) -> AbstractAsyncContextManager[Page]:
        return self.open(SITE, account)

    async def hang(self, page: Page) -> None:
        _fake(page).hanging = True

    async def crash(self, page: Page) -> None:
        _fake(page).crash()

    async def lose(self, page: Page) -> None:
        _fake(page).lose()


def _fake(page: Page) -> FakePage:
    assert isinstance(page, FakePage)
    return page


@pytest.fixture
def harness() -> FakeHarness:
    return FakeHarness()


class TestFakePage(PageContract):
    """The contract, kept by the fake."""


async def test_dwelling_takes_time_of_the_clock_only() -> None:
    clock = FakeClock()
    page = FakePage(SITE, world(8000), clock=clock)

    await page.dwell(3600)

    assert clock.now == 3600


async def test_waiting_takes_until_the_element_appears() -> None:
    clock = FakeClock()
    page = FakePage(SITE, {"/": Screen(appears={"#late": 2.5})}, clock=clock)
    await page.goto(SITE.url("/"), timeout=5)

    await page.wait_visible("#late", timeout=5)

    assert clock.now == 2.5


async def test_a_crash_comes_at_its_time() -> None:
    clock = FakeClock()
    page = FakePage(SITE, {"/": Screen(crashes_after=10)}, clock=clock)
    await page.goto(SITE.url("/"), timeout=5)
    await page.dwell(9)

    with pytest.raises(PageCrashed):
        await page.dwell(9)

    assert clock.now == 10


async def test_a_failure_is_raised_as_often_as_asked() -> None:
    page = FakePage(SITE, {"/": Screen()})
    page.fail("goto", NavigationFailed("no"), times=2)

    for _ in range(2):
        with pytest.raises(NavigationFailed):
            await page.goto(SITE.url("/"), timeout=5)
    await page.goto(SITE.url("/"), timeout=5)


async def test_a_stuck_page_can_only_be_cancelled() -> None:
    page = FakePage(SITE, {"/": Screen()})
    page.stuck = True

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await page.goto(SITE.url("/"), timeout=0.001)


async def test_calls_are_recorded_without_secrets() -> None:
    page = FakePage(SITE, {"/": Screen(visible=["#user", "#password"])})
    await page.goto(SITE.url("/"), timeout=5)

    await page.fill("#user", "anna", timeout=5)
    await page.fill("#password", "hunter2", secret=True, timeout=5)
    page.record("console", "typed hunter2")

    assert page.calls == [
        ("goto", SITE.url("/")),
        ("fill", "#user", "anna"),
        ("fill", "#password", "[hidden]"),
    ]
    assert page.filled == {"#user": "anna", "#password": "hunter2"}
    assert page.events[0].text == "typed [hidden]"


async def test_a_screen_may_depend_on_the_page() -> None:
    def feed(page: FakePage) -> Screen:
        return Screen(visible=[".card" if page.state["cookies"] else "#log-in"])

    page = FakePage(SITE, {"/feed": feed})
    await page.goto(SITE.url("/feed"), timeout=5)
    page.state = {"cookies": [{}], "origins": []}
    await page.goto(SITE.url("/feed?again"), timeout=5)

    assert await page.is_visible(".card", timeout=5)


async def test_the_opener_counts_what_is_open() -> None:
    opener = fake_open_page({"/": Screen()})
    opener.refusals.append(BrowserLost("gone"))
    opener.prepare = lambda page: page.fail("goto", ElementMissing("prepared"))

    with pytest.raises(BrowserLost):
        async with opener(SITE, ACCOUNT):
            pytest.fail("opened")
    async with opener(SITE, ACCOUNT) as page:
        assert opener.open == 1
        with pytest.raises(ElementMissing, match="prepared"):
            await page.goto(SITE.url("/"), timeout=5)

    assert opener.open == 0
    assert len(opener.pages) == 1
