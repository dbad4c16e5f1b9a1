"""Every way out of a page, against servers that it must not reach, in a real browser behind core.egress.

`egress_ways.js` is the list. Each way has a host name of its own, so that the proxy's count of refusals
tells that a way was really tried; the same page without the proxy shows which ways work at all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright

from core.browser.challenge import FirstChallenge
from core.browser_finder import find_browser
from core.egress import EgressProxy, Grant
from core.types import Attempt, SiteSpec
from tests.browser.egress_servers import Datagrams, Watched
from tests.core.egress_net import self_signed

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SECONDS = 15.0
WEBRTC = [
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
]
# Only loopback traffic, also from a page that gets past the proxy; and then it does reach a server.
LOOPBACK = ["--host-resolver-rules=MAP *.test 127.0.0.1", "--autoplay-policy=no-user-gesture-required"]
# `localhost` is a secure context, which service workers, worklets and WebTransport ask for.
SITE = "site.localhost"
SPELLED = {
    "ipv4": "127.0.0.1",
    "short": "127.1",
    "decimal": "2130706433",
    "hex": "0x7f000001",
    "octal": "0177.0.0.1",
    "localhost": "localhost",
    "below-localhost": "other.localhost",
    "dot": "evil.test.",
    "mapped": "[::ffff:127.0.0.1]",
}


@dataclass
class World:
    """Servers: `site` is allowed, everything else is not."""

    site: Watched = field(default_factory=Watched)
    evil: Watched = field(default_factory=Watched)
    evil6: Watched = field(default_factory=Watched)
    udp: Datagrams = field(default_factory=Datagrams)
    # Ways that were tried; hosts that the proxy refused.
    ways: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    @property
    def base(self) -> str:
        return f"http://{SITE}:{self.site.port}"

    def spec(self) -> SiteSpec:
        return SiteSpec("site", self.base, (SITE, f"*.{SITE}"), {}, allow_private_addresses=True)

    def forbidden(self) -> dict[str, Any]:
        """What to try, against the servers that are not allowed."""
        spellings = {place: f"http://{host}:{self.evil.port}" for place, host in SPELLED.items()}
        spellings["ipv6"] = f"http://[::1]:{self.evil6.port}"
        peers = {"host": "127.0.0.1", "udp": self.udp.port, "tcp": self.evil.port}
        return {"suffix": "evil.test", "port": self.evil.port, "spellings": spellings, "peers": peers}

    def allowed(self) -> dict[str, Any]:
        """The same against the one that is."""
        return {"suffix": SITE, "port": self.site.port, "spellings": {}, "peers": None}


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    world = World()
    async with (
        world.site.running(),
        world.evil.running(),
        world.evil6.running("::1"),
        world.udp.running(),
    ):
        yield world


@asynccontextmanager
async def open_browser(*switches: str) -> AsyncIterator[Browser]:
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_browser(), args=[*LOOPBACK, *switches, *root]
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def open_page(browser: Browser, grant: Grant | None) -> AsyncIterator[Page]:
    """A page as `core.browser` should make it."""
    if grant is None:
        context = await browser.new_context()
        yield await context.new_page()
    else:
        context = await browser.new_context(proxy={"server": grant.server}, ignore_https_errors=True)
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        challenge = FirstChallenge(session, grant.username, grant.password)
        await challenge.expect()
        yield page
        await challenge.end()
    await context.close()


async def attack(page: Page, world: World, attempts: dict[str, Any]) -> None:
    """Try everything; returns when all attempts have settled and a later request has been answered."""
    await page.goto(world.base)
    world.ways = set(await page.evaluate("attempts => run(attempts)", attempts))
    assert await page.evaluate("fetch('/hit/fence').then(answer => answer.status)") == 200
    assert_no_local_page(page.context)


def assert_no_local_page(context: BrowserContext) -> None:
    for page in context.pages:
        for frame in page.frames:
            assert frame.url.startswith(("http://", "about:", "chrome-error:", "blob:")) or not frame.url


async def until(happened: Callable[[], object]) -> None:
    """Wait for a state, a bounded time; what is asserted then tells what is missing."""
    end = asyncio.get_running_loop().time() + SECONDS
    while not happened() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - another party's state
        await asyncio.sleep(0.05)


async def loopback(_: str) -> Sequence[str]:
    return ["127.0.0.1"]


# ---- the list -------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def unguarded() -> AsyncIterator[World]:
    """What happens without the proxy and without the switches."""
    async with open_world() as world, open_browser() as browser, open_page(browser, None) as page:
        await attack(page, world, world.forbidden())
        await until(lambda: len(world.evil.hits) > 110 and world.evil6.hits and world.udp.count)
        yield world


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def guarded(unguarded: World) -> AsyncIterator[World]:
    """What happens behind the proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.egress.grants.MAX_DISTINCT", 1000)
        async with (
            open_world() as world,
            EgressProxy(resolve=loopback) as proxy,
            open_browser(*WEBRTC) as browser,
        ):
            with proxy.admit(world.spec()) as grant:
                async with open_page(browser, grant) as page:
                    await attack(page, world, world.forbidden())
                    working = unguarded.ways & unguarded.evil.hits
                    await until(lambda: working <= {way_of(attempt) for attempt in grant.refused})
                    world.refused = {attempt.host for attempt in grant.refused}
            yield world


def way_of(attempt: Attempt) -> str:
    return attempt.host.removesuffix(".evil.test")


async def test_without_the_proxy_more_than_a_hundred_ways_lead_out(unguarded: World) -> None:
    assert len(unguarded.ways & unguarded.evil.hits) >= 80
    assert len(unguarded.evil.hits) > 100
    assert unguarded.evil6.hits == {"ipv6-fetch", "ipv6-img", "ipv6-socket"}
    assert unguarded.udp.count > 0


async def test_behind_the_proxy_no_way_leads_out(guarded: World) -> None:
    assert guarded.evil.hits == set()
    assert guarded.evil6.hits == set()
    # Nor a connection without a request, such as a preconnect or TURN over TCP.
    assert guarded.evil.connections == 0
    assert guarded.evil6.connections == 0
    assert guarded.udp.count == 0


async def test_every_way_that_works_was_tried_and_refused(unguarded: World, guarded: World) -> None:
    working = unguarded.ways & unguarded.evil.hits

    assert {f"{way}.evil.test" for way in working} - guarded.refused == set()
    spelled = {"127.0.0.1", "::1", "::ffff:7f00:1", "localhost", "other.localhost", "evil.test"}
    assert spelled - guarded.refused == set()


async def test_the_same_ways_reach_an_allowed_host(unguarded: World) -> None:
    working = unguarded.ways & unguarded.evil.hits
    async with (
        open_world() as world,
        EgressProxy(resolve=loopback) as proxy,
        open_browser(*WEBRTC) as browser,
    ):
        with proxy.admit(world.spec()) as grant:
            async with open_page(browser, grant) as page:
                await attack(page, world, world.allowed())
                await until(lambda: working <= world.site.hits)

    assert working - world.site.hits == set()
    assert not grant.refused
    assert not grant.failed


# ---- contexts and grants --------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser(*WEBRTC) as running:
        yield running


async def test_contexts_of_one_browser_reach_their_own_sites_only(browser: Browser) -> None:
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(open_world()) for _ in range(2)]
        proxy = await stack.enter_async_context(EgressProxy(resolve=loopback))
        base = f"http://other.test:{two.site.port}"
        other = SiteSpec("other", base, ("other.test",), {}, allow_private_addresses=True)
        grants = proxy.admit(one.spec()), proxy.admit(other)
        first, second = [await stack.enter_async_context(open_page(browser, grant)) for grant in grants]

        statuses = []
        for page in (first, second):
            for url in (one.base, base):
                answer = await page.goto(url)
                statuses.append(answer and answer.status)

    assert statuses == [200, 403, 403, 200]
    assert [list(grant.refused) for grant in grants] == [
        [Attempt("other.test", two.site.port, "host")],
        [Attempt(SITE, one.site.port, "host")],
    ]


async def test_context_without_credentials_reaches_nothing(browser: Browser) -> None:
    async with open_world() as world, EgressProxy(resolve=loopback) as proxy:
        context = await browser.new_context(proxy={"server": proxy.server})
        page = await context.new_page()
        answer = await page.goto(world.base)
        await context.close()

    assert answer is not None
    assert answer.status == 407
    assert world.site.connections == 0


async def test_credentials_by_playwright_work_too(browser: Browser) -> None:
    async with open_world() as world, EgressProxy(resolve=loopback) as proxy:
        grant = proxy.admit(world.spec())
        context = await browser.new_context(
            proxy={"server": grant.server, "username": grant.username, "password": grant.password}
        )
        page = await context.new_page()
        statuses = []
        for url in (world.base, f"http://127.0.0.1:{world.evil.port}/"):
            answer = await page.goto(url)
            statuses.append(answer and answer.status)
        await context.close()

    assert statuses == [200, 403]
    assert world.evil.connections == 0


async def test_revoked_grant_leaves_the_page_without_network(browser: Browser) -> None:
    async with open_world() as world, EgressProxy(resolve=loopback) as proxy:
        grant = proxy.admit(world.spec())
        async with open_page(browser, grant) as page:
            await page.goto(world.base)
            grant.revoke()
            await page.evaluate("fetch('/hit/late').catch(() => null)")

    assert "late" not in world.site.hits


async def test_rebound_name_is_refused(browser: Browser) -> None:
    """The page's own name turns to the metadata service once it is loaded."""
    answers = {SITE: ["127.0.0.1"]}

    async def resolve(name: str) -> Sequence[str]:
        return answers[name]

    async with open_world() as world, EgressProxy(resolve=resolve, cache_seconds=0) as proxy:
        grant = proxy.admit(world.spec())
        async with open_page(browser, grant) as page:
            await page.goto(world.base)
            answers[SITE] = ["169.254.169.254"]
            # Another port, so another connection.
            await page.evaluate("fetch('http://site.localhost:80/').catch(() => null)")

    assert dict(grant.refused) == {Attempt(SITE, 80, "link-local address"): 1}


# ---- TLS ------------------------------------------------------------------------------------------


async def test_https_and_wss_go_through_tunnels(browser: Browser, tmp_path: Path) -> None:
    tls = self_signed(SITE, tmp_path / "site.pem")
    async with Watched().running(tls=tls) as secure, EgressProxy(resolve=loopback) as proxy:
        base = f"https://{SITE}:{secure.port}"
        grant = proxy.admit(SiteSpec("tls", base, (SITE,), {}, allow_private_addresses=True))
        async with open_page(browser, grant) as page:
            answer = await page.goto(base)
            url = base.replace("http", "ws") + "/hit/wss"
            await page.evaluate("url => new Promise(done => { new WebSocket(url).onerror = done })", url)
            with pytest.raises(Error, match="ERR_TUNNEL_CONNECTION_FAILED"):
                await page.goto(f"https://evil.test:{secure.port}/hit/evil")

    assert answer is not None
    assert answer.status == 200
    assert secure.hits == {"wss"}
    assert dict(grant.refused) == {Attempt("evil.test", secure.port, "host"): 1}
