"""What `core.page.Page` promises, as one suite for the real page and for the tests' fake.

`test_page_fake.py` and `test_page_real.py` run it; each gives a `Harness`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

import pytest

from core.errors import (
    BrowserLost,
    ElementMissing,
    ForbiddenUrl,
    HttpError,
    NavigationFailed,
    PageCrashed,
    PageTimeout,
    RateLimited,
    StateRejected,
)
from core.page import Page
from core.types import AccountSpec, SiteSpec

# Enough for a busy machine; nothing waits that long unless it fails.
PATIENT = 20.0
# For what is expected not to happen.
SHORT = 0.6
SECRET = "hunter2&co"
ACCOUNT = AccountSpec(1, "anna", password=SECRET)


class Harness(Protocol):
    """One kind of page over `world()`."""

    site: SiteSpec

    def open_page(self, account: AccountSpec) -> AbstractAsyncContextManager[Page]: ...

    async def hang(self, page: Page) -> None:
        """Make the page answer nothing any more."""

    async def crash(self, page: Page) -> None:
        """Kill the page's renderer; need not wait until that is noticed."""

    async def lose(self, page: Page) -> None:
        """Kill the browser behind the page; need not wait until that is noticed."""


class PageContract:
    """The suite."""

    # ---- navigation ------------------------------------------------------------------------------

    async def test_a_new_page_is_blank(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            assert page.url == "about:blank"
            assert page.events == []

    async def test_goto_opens_the_url(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            before = page.navigations

            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            assert page.url == harness.site.url("/feed")
            assert page.navigations == before + 1
            assert await page.is_visible("h1", timeout=PATIENT)

    async def test_goto_follows_a_redirect(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/moved"), timeout=PATIENT)

            assert page.url == harness.site.url("/one")

    @pytest.mark.parametrize(
        "url",
        [
            "file:///etc/hostname",
            "chrome://version",
            "data:text/html,x",
            "about:blank",
            "javascript:1",
            "ftp://127.0.0.1/",
            "http://elsewhere.test/",
            "http://127.0.0.1.elsewhere.test/",
            "http://user@elsewhere.test/",
            "http://127.0.0.1\\@elsewhere.test/",
            "//127.0.0.1/",
            "/feed",
            "http://[::1/",
            "http://127.0.0.1:port/",
            "",
        ],
    )
    async def test_goto_a_forbidden_url_opens_nothing(self, harness: Harness, url: str) -> None:
        async with harness.open_page(ACCOUNT) as page:
            with pytest.raises(ForbiddenUrl):
                await page.goto(url, timeout=PATIENT)

            assert page.url == "about:blank"
            assert page.navigations == 0

    async def test_goto_that_ends_on_another_host_is_forbidden(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            with pytest.raises(ForbiddenUrl, match="localhost"):
                await page.goto(harness.site.url("/off-site"), timeout=PATIENT)

    @pytest.mark.parametrize(("path", "status"), [("/broken", 500), ("/missing", 404)])
    async def test_goto_an_error_status_raises_it(self, harness: Harness, path: str, status: int) -> None:
        async with harness.open_page(ACCOUNT) as page:
            with pytest.raises(HttpError) as caught:
                await page.goto(harness.site.url(f"{path}?token=t0ken"), timeout=PATIENT)

            assert caught.value.status == status
            assert type(caught.value) is HttpError
            assert "t0ken" not in str(caught.value)

    @pytest.mark.parametrize(
        ("path", "pause"), [("/slow-down", timedelta(seconds=7)), ("/slow-down-silently", None)]
    )
    async def test_goto_too_many_requests_gives_the_pause(
        self, harness: Harness, path: str, pause: timedelta | None
    ) -> None:
        async with harness.open_page(ACCOUNT) as page:
            with pytest.raises(RateLimited) as caught:
                await page.goto(harness.site.url(path), timeout=PATIENT)

            assert caught.value.retry_after == pause

    @pytest.mark.parametrize(
        ("path", "code"), [("/cut", "ERR_EMPTY_RESPONSE"), ("/loop", "ERR_TOO_MANY_REDIRECTS")]
    )
    async def test_goto_what_cannot_be_reached_names_the_reason(
        self, harness: Harness, path: str, code: str
    ) -> None:
        async with harness.open_page(ACCOUNT) as page:
            with pytest.raises(NavigationFailed, match=f"net::{code}"):
                await page.goto(harness.site.url(path), timeout=PATIENT)

    async def test_goto_what_never_answers_times_out(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            with pytest.raises(PageTimeout):
                await page.goto(harness.site.url("/hangs"), timeout=SHORT)

    async def test_back_returns_to_the_page_before(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)
            await page.goto(harness.site.url("/one"), timeout=PATIENT)

            await page.back(timeout=PATIENT)

            assert page.url == harness.site.url("/feed")
            assert await page.is_visible("h1", timeout=PATIENT)

    async def test_back_from_the_first_page_stays(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.back(timeout=PATIENT)

            assert page.url == harness.site.url("/feed")

    async def test_back_from_the_blank_page_stays(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.back(timeout=PATIENT)

            assert page.url == "about:blank"

    # ---- acting on elements ----------------------------------------------------------------------

    async def test_click_acts(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.click("#like", timeout=PATIENT)

            assert await page.is_visible(".liked", timeout=PATIENT)

    async def test_click_that_navigates_brings_the_next_page(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)
            before = page.navigations

            await page.click("#next", timeout=PATIENT)

            await page.wait_visible("#one", timeout=PATIENT)
            assert page.url == harness.site.url("/one")
            assert page.navigations == before + 1

    async def test_click_counts_visible_matches_only(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.click(".card", nth=1, timeout=PATIENT)
            with pytest.raises(ElementMissing):
                await page.click(".card", nth=2, timeout=SHORT)

    async def test_click_waits_for_its_element(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.click("#late", timeout=PATIENT)

    async def test_acting_on_nothing_is_a_missing_element(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            ends = await asyncio.gather(
                page.click("#nothing", timeout=SHORT),
                page.fill("#nothing", "text", timeout=SHORT),
                page.press("#nothing", "Enter", timeout=SHORT),
                page.wait_visible("#nothing", timeout=SHORT),
                return_exceptions=True,
            )

            assert [type(end) for end in ends] == [ElementMissing] * len(ends)
            assert all("#nothing" in str(end) for end in ends)

    async def test_fill_and_enter_submit(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.fill("#q", "tea", timeout=PATIENT)
            await page.press("#q", "Enter", timeout=PATIENT)

            await page.wait_visible(".hit", timeout=PATIENT)

    async def test_fill_a_secret_shows_it_in_no_error_and_no_event(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.fill("#secret", SECRET, secret=True, timeout=PATIENT)
            with pytest.raises(ElementMissing) as caught:
                await page.fill("#nothing", SECRET, secret=True, timeout=SHORT)

            assert SECRET not in f"{caught.value!r} {page.events}"

    async def test_wheel_turns(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.wheel(300, timeout=PATIENT)
            await page.wheel(-300, timeout=PATIENT)

    # ---- looking ---------------------------------------------------------------------------------

    async def test_is_visible_tells_what_is_there_now(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            assert await page.is_visible(".card", timeout=PATIENT)
            assert not await page.is_visible("#nothing", timeout=PATIENT)

    async def test_wait_visible_waits(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.wait_visible("#late", timeout=PATIENT)

            assert await page.is_visible("#late", timeout=PATIENT)

    @pytest.mark.parametrize(
        ("selector", "links"),
        [
            (".card", ["{site}/one", "{site}/hidden", "{site}/two?x=1#y"]),
            (".inner", ["https://elsewhere.test/three"]),
            (".mail", []),
            ("#nothing", []),
        ],
    )
    async def test_links_are_absolute_and_in_order(
        self, harness: Harness, selector: str, links: list[str]
    ) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            found = await page.links(selector, timeout=PATIENT)

            assert found == [link.format(site=harness.site.base_url) for link in links]

    async def test_links_are_given_once_each(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            found = await page.links(".card, .out", timeout=PATIENT)

            assert len(found) == len(set(found)) == 4

    async def test_screenshot_is_a_png(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            assert (await page.screenshot(timeout=PATIENT)).startswith(b"\x89PNG\r\n\x1a\n")

    async def test_html_is_the_page(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            html = await page.html(timeout=PATIENT)

            assert html.lower().startswith("<!doctype html>")
            assert "<h1>Feed</h1>" in html

    async def test_storage_state_has_cookies_and_origins(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            assert await page.storage_state(timeout=PATIENT) == {"cookies": [], "origins": []}

    async def test_a_saved_state_comes_back(self, harness: Harness) -> None:
        cookie = {
            "name": "session",
            "value": "s3ssion",
            "domain": "127.0.0.1",
            "path": "/",
            "expires": -1,
            "httpOnly": True,
            "secure": False,
            "sameSite": "Lax",
        }
        items = [{"name": "token", "value": "t0ken"}]
        state = {
            "cookies": [cookie],
            "origins": [{"origin": harness.site.base_url, "localStorage": items}],
        }
        account = AccountSpec(1, "anna", storage_state=state)

        async with harness.open_page(account) as page:
            unvisited = await page.storage_state(timeout=PATIENT)
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)
            visited = await page.storage_state(timeout=PATIENT)

        for found in (unvisited, visited):
            assert [(kept["name"], kept["value"]) for kept in found["cookies"]] == [("session", "s3ssion")]
            assert [(kept["origin"], kept["localStorage"]) for kept in found["origins"]] == [
                (harness.site.base_url, items)
            ]

    @pytest.mark.parametrize(
        "state",
        [
            {},
            {"cookies": "none"},
            {"cookies": [{"name": "a"}]},
            {"origins": [{"origin": "file:///"}]},
            {"cookies": [], "origins": [{"origin": f"http://{n}.test"} for n in range(51)]},
            {"origins": [{"origin": "http://a.test", "localStorage": [{"name": "a", "value": "x" * 2**20}]}]},
        ],
        ids=["empty", "no list", "half a cookie", "no origin", "too many origins", "too large"],
    )
    async def test_a_bad_state_opens_nothing(self, harness: Harness, state: dict[str, object]) -> None:
        with pytest.raises(StateRejected):
            async with harness.open_page(AccountSpec(1, "anna", storage_state=state)):
                pytest.fail("opened")

    # ---- the end ---------------------------------------------------------------------------------

    async def test_dwell_lets_time_pass(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

            await page.dwell(0.01)

    async def test_a_hanging_page_times_out_in_every_call(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/one"), timeout=PATIENT)
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)
            await harness.hang(page)

            looks = (call() for call in looks_and_acts(page, timeout=SHORT))
            ends = await asyncio.gather(*looks, return_exceptions=True)

            assert {type(end) for end in ends} == {PageTimeout}
            for navigate in navigations(page, harness.site, timeout=SHORT):
                with pytest.raises(PageTimeout):
                    await navigate()

    async def test_a_crashed_page_says_so_in_every_call(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)
            await harness.crash(page)

            await expect_in_every_call(page, harness.site, PageCrashed)

            assert [event.kind for event in page.events] == ["crash"]

    async def test_a_crash_ends_dwelling(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)
            dwelling = asyncio.ensure_future(page.dwell(3600))
            await harness.crash(page)

            with pytest.raises(PageCrashed):
                await dwelling

    async def test_a_lost_browser_says_so_in_every_call(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)
            await harness.lose(page)

            await expect_in_every_call(page, harness.site, BrowserLost)

    async def test_a_closed_page_is_of_no_use(self, harness: Harness) -> None:
        async with harness.open_page(ACCOUNT) as page:
            await page.goto(harness.site.url("/feed"), timeout=PATIENT)

        await expect_in_every_call(page, harness.site, PageCrashed)


Calls = list[Callable[[], Awaitable[object]]]


def looks_and_acts(page: Page, *, timeout: float) -> Calls:
    """Every method that has a deadline and does not navigate, ready to be called."""
    return [
        lambda: page.click("h1", timeout=timeout),
        lambda: page.fill("#q", "text", timeout=timeout),
        lambda: page.press("#q", "Enter", timeout=timeout),
        lambda: page.wheel(100, timeout=timeout),
        lambda: page.is_visible("h1", timeout=timeout),
        lambda: page.wait_visible("h1", timeout=timeout),
        lambda: page.links(".card", timeout=timeout),
        lambda: page.screenshot(timeout=timeout),
        lambda: page.html(timeout=timeout),
        lambda: page.storage_state(timeout=timeout),
    ]


def navigations(page: Page, site: SiteSpec, *, timeout: float) -> Calls:
    """Every method that navigates."""
    return [lambda: page.back(timeout=timeout), lambda: page.goto(site.url("/one"), timeout=timeout)]


async def expect_in_every_call(page: Page, site: SiteSpec, error: type[Exception]) -> None:
    """Dwell until the page has ended, then see that every method raises `error`."""
    calls = [*looks_and_acts(page, timeout=PATIENT), *navigations(page, site, timeout=PATIENT)]
    for call in (lambda: page.dwell(PATIENT), *calls):
        with pytest.raises(error):
            await call()
