"""Saved state in real Chromium: what comes back, when, and what the site's own changes are worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.browser import MAX_BYTES, Browser
from core.errors import StateRejected
from core.types import AccountSpec, SiteSpec, StorageState
from tests.browser import faults
from tests.browser.page_contract import PATIENT
from tests.browser.site import Request, Site, serve
from tests.fakes import Screen

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# What a UTF-16 string may hold and UTF-8 may not; packers of text make such values.
ODD = "\ud800 \x00 \u202e \u2028 \U0001f600 \"'\\ </script>"

# The title tells what the page's first script sees.
SEEN = "<script>document.title = `${localStorage.getItem('token')} ${localStorage.length}`</script>"


def html(body: str) -> Screen:
    return Screen(html=f"<!doctype html><meta charset=utf-8>{body}")


SCREENS = {
    "/seen": html(SEEN),
    "/change": html("<script>localStorage.setItem('token', 'changed'); location.replace('/seen')</script>"),
    "/log-out": html(
        "<script>localStorage.clear(); sessionStorage.clear(); location.replace('/seen')</script>"
    ),
    "/opens": html(f"{SEEN}<script>localStorage.clear(); open('/seen')</script>"),
    "/storage-full": html("<script>document.title = localStorage.getItem('last')</script>"),
    "/database": html(
        """<script>
        const open = indexedDB.open('shop', 1)
        open.onupgradeneeded = () => open.result.createObjectStore('cart', { keyPath: 'id' })
        open.onsuccess = () => {
          const store = open.result.transaction('cart', 'readwrite').objectStore('cart')
          if (location.search) store.put({ id: 1, tea: 'green' }).onsuccess = () => document.title = 'kept'
          else store.get(1).onsuccess = event => document.title = JSON.stringify(event.target.result ?? null)
        }
        localStorage.setItem('beside', localStorage.getItem('beside') ?? 'new')
        </script>"""
    ),
}


def _cookies(request: Request) -> None:
    request.answer(200, f"<p>{request.headers.get('Cookie', '')}</p>".encode())


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve(SCREENS, {"/cookies": _cookies}) as running:
        yield running


@pytest.fixture
def spec(site: Site) -> SiteSpec:
    return SiteSpec("real", site.url, ("127.0.0.1",), {})


def with_items(spec: SiteSpec, items: dict[str, str], *, origin: str | None = None) -> AccountSpec:
    return with_state({"origins": [origin_of(origin or spec.base_url, items)]})


def origin_of(origin: str, items: dict[str, str]) -> dict[str, Any]:
    entries = [{"name": name, "value": value} for name, value in items.items()]
    return {"origin": origin, "localStorage": entries}


def with_state(state: StorageState) -> AccountSpec:
    return AccountSpec(1, "anna", storage_state=state)


def items_of(state: StorageState, origin: str) -> dict[str, str]:
    (found,) = [entry for entry in state["origins"] if entry["origin"] == origin]
    return {item["name"]: item["value"] for item in found["localStorage"]}


async def test_items_are_there_before_the_first_script(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, with_items(spec, {"token": "saved", "odd": ODD})) as page:
        await page.goto(spec.url("/seen"), timeout=PATIENT)

        assert await faults.inner(page).title() == "saved 2"
        assert await faults.inner(page).evaluate("localStorage.getItem('odd')") == ODD
        assert page.events == []


async def test_the_question_is_asked_once_only(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, with_items(spec, {"token": "saved"})) as page:
        dialogs: list[str] = []
        faults.inner(page).on("dialog", lambda dialog: dialogs.append(dialog.type))

        for number in range(3):
            await page.goto(spec.url(f"/seen?{number}"), timeout=PATIENT)

        assert dialogs == ["prompt"]


async def test_odd_text_survives_saving_and_restoring(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, with_items(spec, {"odd": ODD})) as page:
        await page.goto(spec.url("/seen"), timeout=PATIENT)
        state = json.loads(json.dumps(await page.storage_state(timeout=PATIENT)))

    assert items_of(state, spec.base_url) == {"odd": ODD}


@pytest.mark.parametrize(("path", "seen"), [("/change", "changed 1"), ("/log-out", "null 0")])
async def test_a_change_by_the_first_page_survives_its_own_navigation(
    browser: Browser, spec: SiteSpec, path: str, seen: str
) -> None:
    async with browser.open_page(spec, with_items(spec, {"token": "saved"})) as page:
        await page.goto(spec.url(path), timeout=PATIENT)
        await faults.until(lambda: page.url == spec.url("/seen"))
        await faults.inner(page).wait_for_load_state()

        assert await faults.inner(page).title() == seen


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("localStorage.setItem('token', 'changed')", "changed 1"),
        ("localStorage.removeItem('token')", "null 0"),
        ("localStorage.clear(); sessionStorage.clear()", "null 0"),
    ],
)
async def test_a_change_survives_navigation_and_reload(
    browser: Browser, spec: SiteSpec, change: str, seen: str
) -> None:
    async with browser.open_page(spec, with_items(spec, {"token": "saved"})) as page:
        await page.goto(spec.url("/seen"), timeout=PATIENT)
        await faults.inner(page).evaluate(change)

        await faults.inner(page).reload()
        assert await faults.inner(page).title() == seen
        await page.goto(spec.url("/seen?again"), timeout=PATIENT)
        assert await faults.inner(page).title() == seen

        state = await page.storage_state(timeout=PATIENT)
        assert "saved" not in json.dumps(state)


async def test_a_window_does_not_bring_back_what_was_cleared(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, with_items(spec, {"token": "saved"})) as page:
        await page.goto(spec.url("/opens"), timeout=PATIENT)
        assert await faults.inner(page).title() == "saved 1"

        pages = faults.inner(page).context.pages
        await faults.until(lambda: len(faults.inner(page).context.pages) == 2)
        window = faults.inner(page).context.pages[1]
        await window.wait_for_url(spec.url("/seen"))
        assert pages[0] == faults.inner(page)
        assert await window.title() == "null 0"


async def test_each_context_gets_its_own_items(browser: Browser, spec: SiteSpec) -> None:
    for token in ("first", "second"):
        async with browser.open_page(spec, with_items(spec, {"token": token})) as page:
            await page.goto(spec.url("/seen"), timeout=PATIENT)

            assert await faults.inner(page).title() == f"{token} 1"


async def test_the_items_never_reach_another_origin(browser: Browser, site: Site) -> None:
    both = SiteSpec("real", site.url, ("127.0.0.1", "localhost"), {})
    elsewhere = f"http://localhost:{site.port}"
    async with browser.open_page(both, with_items(both, {"token": "saved"})) as page:
        await page.goto(f"{elsewhere}/seen", timeout=PATIENT)

        assert await faults.inner(page).title() == "null 0"
        state = await page.storage_state(timeout=PATIENT)
        assert items_of(state, both.base_url) == {"token": "saved"}


async def test_another_origins_items_come_back_too(browser: Browser, site: Site) -> None:
    both = SiteSpec("real", site.url, ("127.0.0.1", "localhost"), {})
    elsewhere = f"http://localhost:{site.port}"
    async with browser.open_page(both, with_items(both, {"token": "there"}, origin=elsewhere)) as page:
        await page.goto(f"{elsewhere}/seen", timeout=PATIENT)

        assert await faults.inner(page).title() == "there 1"


async def test_the_largest_state_comes_back(browser: Browser, spec: SiteSpec) -> None:
    items = {f"key{number}": "x" * 1000 for number in range(1000)} | {"last": "here"}
    async with browser.open_page(spec, with_items(spec, items)) as page:
        await page.goto(spec.url("/storage-full"), timeout=PATIENT)

        assert await faults.inner(page).title() == "here"
        assert items_of(await page.storage_state(timeout=PATIENT), spec.base_url) == items


async def test_more_than_the_site_may_keep_is_not_saved(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, with_state({"cookies": []})) as page:
        await page.goto(spec.url("/seen"), timeout=PATIENT)
        await faults.inner(page).evaluate(f"localStorage.setItem('large', 'x'.repeat({MAX_BYTES}))")

        with pytest.raises(StateRejected):
            await page.storage_state(timeout=PATIENT)


async def test_a_database_comes_back_with_its_origins_items(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, with_state({"cookies": []})) as page:
        await page.goto(spec.url("/database?keep"), timeout=PATIENT)
        await faults.inner(page).wait_for_function("document.title === 'kept'")
        await faults.inner(page).evaluate("localStorage.setItem('beside', 'saved')")
        state = await page.storage_state(timeout=PATIENT)

    async with browser.open_page(spec, with_state(state)) as page:
        await page.goto(spec.url("/database"), timeout=PATIENT)
        await faults.inner(page).wait_for_function("document.title !== ''")

        assert await faults.inner(page).title() == '{"id":1,"tea":"green"}'
        assert items_of(await page.storage_state(timeout=PATIENT), spec.base_url) == {"beside": "saved"}


async def test_cookies_are_sent_and_saved_with_their_attributes(browser: Browser, spec: SiteSpec) -> None:
    cookie: dict[str, Any] = {
        "name": "session",
        "value": "s3ssion",
        "domain": "127.0.0.1",
        "path": "/cookies",
        "expires": 4102444800,
        "httpOnly": True,
        "secure": False,
        "sameSite": "Strict",
    }
    # A browser extension's export has more than we know.
    account = with_state({"cookies": [{**cookie, "hostOnly": True, "storeId": None}]})
    async with browser.open_page(spec, account) as page:
        await page.goto(spec.url("/cookies"), timeout=PATIENT)

        assert "session=s3ssion" in await page.html(timeout=PATIENT)
        (saved,) = (await page.storage_state(timeout=PATIENT))["cookies"]
        # Chromium keeps no cookie longer than 400 days.
        assert 0 < saved.pop("expires") <= cookie.pop("expires")
        assert {name: saved[name] for name in cookie} == cookie


async def test_a_state_that_the_browser_refuses_is_rejected_without_quoting_it(
    browser: Browser, spec: SiteSpec
) -> None:
    cookie = {"name": "session", "value": "s3ssion", "domain": "", "path": ""}

    with pytest.raises(StateRejected) as caught:
        async with browser.open_page(spec, with_state({"cookies": [cookie]})):
            pytest.fail("opened")

    assert "s3ssion" not in f"{caught.value} {caught.value.__context__}"
    assert browser.alive
