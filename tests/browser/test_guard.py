"""core.guard: real pages behind the egress proxy, as a slice opens them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest

from core.browser import Browser, BrowserOptions, launch
from core.egress import EgressProxy
from core.errors import BrowserError
from core.guard import guarded
from core.page import OpenPage
from core.types import AccountSpec, ProxySpec, SiteSpec
from tests.browser import faults
from tests.browser.site import Request, Site, serve

pytestmark = [pytest.mark.browser]

SECONDS = 10.0
ANNA = AccountSpec(1, "anna")


def answer(body: str, **headers: str) -> Callable[[Request], None]:
    return lambda request: request.answer(200, body.encode(), {"Content-Type": "text/html", **headers})


@contextmanager
def two_sites() -> Iterator[tuple[Site, Site]]:
    """One that is allowed as 127.0.0.1, and one that its pages name as localhost, which is not."""
    with serve({}) as allowed, serve({}) as other:
        image = f'<img src="http://localhost:{other.port}/pixel.png">'
        cached = answer("var known = 1", **{"Cache-Control": "max-age=600"})
        allowed.handlers = {
            "/": answer(f'<h1>allowed</h1>{image}<script src="/known.js"></script>'),
            "/again": answer('<h1>again</h1><script src="/known.js"></script>'),
            "/known.js": cached,
        }
        yield allowed, other


def spec_of(site: Site) -> SiteSpec:
    return SiteSpec("site", site.url, ("127.0.0.1",), {}, allow_private_addresses=True)


@asynccontextmanager
async def guarded_browser() -> AsyncIterator[tuple[Browser, OpenPage, EgressProxy]]:
    async with (
        EgressProxy() as proxy,
        launch(BrowserOptions(proxy_server=proxy.server)) as browser,
    ):
        yield browser, guarded(browser.open_page, proxy), proxy


async def test_page_reaches_its_site_and_what_it_is_refused_is_counted() -> None:
    with two_sites() as (allowed, other):
        async with guarded_browser() as (_, open_page, _), open_page(spec_of(allowed), ANNA) as page:
            assert page.refused == {}
            await page.goto(allowed.url + "/", timeout=SECONDS)
            await faults.inner(page).wait_for_load_state("load")

            assert "allowed" in await page.html(timeout=SECONDS)
            assert page.refused == {("localhost", other.port, "host"): 1}
        assert not other.hits


async def test_requests_are_not_intercepted_and_the_cache_works() -> None:
    with two_sites() as (allowed, _):
        async with guarded_browser() as (_, open_page, _), open_page(spec_of(allowed), ANNA) as page:
            await page.goto(allowed.url + "/", timeout=SECONDS)
            await faults.inner(page).wait_for_load_state("load")
            await page.goto(allowed.url + "/again", timeout=SECONDS)
            await faults.inner(page).wait_for_load_state("load")

        assert allowed.hits["/known.js"] == 1


async def test_each_context_has_a_grant_of_its_own() -> None:
    with two_sites() as (allowed, other), two_sites() as (second, _):
        elsewhere = replace(spec_of(second), allowed_hosts=("127.0.0.1", "localhost"))
        async with (
            guarded_browser() as (_, open_page, _),
            open_page(spec_of(allowed), ANNA) as page,
            open_page(elsewhere, AccountSpec(2, "ben")) as free,
        ):
            for one in (page, free):
                await one.goto(allowed.url + "/", timeout=SECONDS)
                await faults.inner(one).wait_for_load_state("load")

            assert page.refused == {("localhost", other.port, "host"): 1}
            assert free.refused == {}
        assert other.hits["/pixel.png"] == 1


async def test_account_goes_out_through_its_own_proxy() -> None:
    with two_sites() as (allowed, _), serve({}) as upstream:
        upstream.handlers = {f"{allowed.url}/": answer("by the account's proxy")}
        account = replace(ANNA, proxy=ProxySpec(upstream.url))
        async with guarded_browser() as (_, open_page, _), open_page(spec_of(allowed), account) as page:
            await page.goto(allowed.url + "/", timeout=SECONDS)

            assert "by the account's proxy" in await page.html(timeout=SECONDS)
        assert not allowed.hits


async def test_what_no_grant_asked_for_goes_nowhere() -> None:
    with two_sites() as (allowed, _):
        async with guarded_browser() as (browser, _, _), browser.open_page(spec_of(allowed), ANNA) as page:
            with pytest.raises(BrowserError):
                await page.goto(allowed.url + "/", timeout=SECONDS)
        assert not allowed.hits
