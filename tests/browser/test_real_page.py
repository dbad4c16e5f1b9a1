"""What pages do by themselves, in real Chromium: dialogs, windows, downloads, noise, endless answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from core.browser import Browser
from core.browser.listeners import DIALOGS_ANSWERED, NOISE_HEARD
from core.browser.page import HTML_BYTES
from core.errors import ElementMissing, NavigationFailed, PageCrashed, PageTimeout, RateLimited
from core.types import AccountSpec, SiteSpec
from tests.browser import faults
from tests.browser.page_contract import PATIENT, SHORT
from tests.browser.site import Request, Site, serve
from tests.fakes import Screen

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ACCOUNT = AccountSpec(1, "anna", password="hunter2&co")
DOWNLOAD_BYTES = 30_000_000
DRIPS = 1_000


def html(body: str) -> Screen:
    return Screen(html=f"<!doctype html><meta charset=utf-8>{body}")


SCREENS = {
    "/": html("<h1>plain</h1>"),
    "/dialogs": html(
        "<script>alert('a\\u202eb'); document.title = `${confirm('c')} ${prompt('p')}`</script>"
    ),
    "/alerts": html("<script>for (let i = 0; ; i++) alert(i)</script>"),
    "/stay": html("<button>press</button><script>onbeforeunload = event => event.preventDefault()</script>"),
    "/windows": html("<h1>x</h1><script>for (let i = 0; i < 8; i++) open('/?token=t0ken')</script>"),
    "/endless-windows": html("<script>setInterval(() => open('/'), 5)</script>"),
    "/new-tab": html("<a target=_blank href='/'>tab</a>"),
    "/download-link": html("<a href='/download'>load</a>"),
    "/noise": html(
        "<h1>x</h1><script>console.log('log'); console.error('error hunter2&co \\ud800 \\0'); "
        "fetch('/cut?token=t0ken').catch(() => 0); setTimeout(() => { throw new Error('thrown') })</script>"
    ),
    "/flood": html("<h1>x</h1><script>for (let i = 0; i < 3000; i++) console.error('flood', i)</script>"),
    "/cut": Screen(error="net::ERR_EMPTY_RESPONSE"),
    "/text": html("<p id=p></p><script>p.textContent = 'lone \\ud800 nul \\0 over \\u202e'</script>"),
    "/large": html("<p id=p></p><script>p.textContent = '\\u20ac'.repeat(3e6)</script>"),
    "/fields": html("<input id=number type=number><input id=gone disabled><h1>no field</h1>"),
    "/echo": html("<input oninput=\"console.error('typed', value)\">"),
    "/fragment": html(
        "<a id=down href='#x'>down</a><a id=push onclick=\"history.pushState(0, '', '/y')\">push</a>"
    ),
    "/links": html(
        "<a href='/'>a</a>"
        "<script>Array.prototype.flatMap = () => [1, null, 'javascript:1', 'http://ok.test/']</script>"
    ),
    "/moves": html("<h1>x</h1><script>setTimeout(() => location.reload(), 30)</script>"),
    "/permissions": html("<h1>x</h1>"),
}


def _download(request: Request) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "application/octet-stream")
    request.send_header("Content-Disposition", "attachment; filename=large.bin")
    request.send_header("Content-Length", str(DOWNLOAD_BYTES))
    request.end_headers()
    for _ in range(DOWNLOAD_BYTES // 100_000):
        request.wfile.write(b"x" * 100_000)


def _drip(request: Request) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.send_header("Content-Length", str(DRIPS))
    request.end_headers()
    for _ in range(DRIPS):
        request.wfile.write(b" ")
        if request.server.closing.wait(0.05):
            return


def _later(request: Request) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=90)
    request.answer(429, b"", {"Retry-After": format_datetime(moment, usegmt=True)})


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve(SCREENS, {"/download": _download, "/drip": _drip, "/later": _later}) as running:
        yield running


@pytest.fixture
def spec(site: Site) -> SiteSpec:
    return SiteSpec("real", site.url, ("127.0.0.1",), {})


async def test_dialogs_are_dismissed_and_recorded(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/dialogs"), timeout=PATIENT)

        assert await faults.inner(page).title() == "false null"
        assert [(event.kind, event.text) for event in page.events] == [
            ("dialog", "alert: ab"),
            ("dialog", "confirm: c"),
            ("dialog", "prompt: p"),
        ]


async def test_an_alert_loop_ends_by_the_deadline_and_holds_up_nobody(
    browser: Browser, spec: SiteSpec
) -> None:
    async with browser.open_page(spec, ACCOUNT) as page, browser.open_page(spec, ACCOUNT) as other:
        with pytest.raises(PageTimeout):
            await page.goto(spec.url("/alerts"), timeout=1.5)

        # How many fit into the time depends on the machine; that there are no more does not.
        assert 1 <= len(page.events) <= DIALOGS_ANSWERED
        await other.goto(spec.url("/"), timeout=PATIENT)
    assert browser.alive


async def test_a_page_that_wants_to_keep_its_visitor_is_left(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/stay"), timeout=PATIENT)
        await page.click("button", timeout=PATIENT)

        await page.goto(spec.url("/"), timeout=PATIENT)

        assert page.url == spec.url("/")
        assert [event.text for event in page.events] == ["beforeunload: "]


async def test_windows_beyond_the_cap_are_closed(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        pages = faults.inner(page).context.pages
        await page.goto(spec.url("/windows"), timeout=PATIENT)

        await faults.until(lambda: len(page.events) >= 6)
        await faults.until(lambda: len(faults.inner(page).context.pages) <= 3)

        assert {event.kind for event in page.events} == {"popup_closed"}
        assert "t0ken" not in str(page.events)
        assert faults.inner(page).context.pages[0] == pages[0]
        assert await page.is_visible("h1", timeout=PATIENT)


async def test_a_page_that_opens_windows_without_end_is_given_up(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/endless-windows"), timeout=PATIENT)

        with pytest.raises(PageCrashed, match="windows"):
            await page.dwell(PATIENT)

    assert browser.alive


async def test_a_new_tab_within_the_cap_stays_and_the_page_remains_the_first(
    browser: Browser, spec: SiteSpec
) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/new-tab"), timeout=PATIENT)

        await page.click("a", timeout=PATIENT)

        await faults.until(lambda: len(faults.inner(page).context.pages) == 2)
        assert page.url == spec.url("/new-tab")
        assert page.events == []


async def test_a_navigation_that_becomes_a_download_fails(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        with pytest.raises(NavigationFailed, match="Download"):
            await page.goto(spec.url("/download?token=t0ken"), timeout=PATIENT)

        await faults.until(lambda: "download_refused" in {event.kind for event in page.events})
        assert "t0ken" not in str(page.events)


async def test_a_download_is_refused_and_writes_nothing(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/download-link"), timeout=PATIENT)
        before = sum(path.stat().st_size for path in browser._directory.rglob("*artifacts*/*"))

        await page.click("a", timeout=PATIENT)
        await faults.until(lambda: any(event.kind == "download_refused" for event in page.events))

        assert sum(path.stat().st_size for path in browser._directory.rglob("*artifacts*/*")) == before
        assert page.url == spec.url("/download-link")


async def test_noise_is_recorded_clean_and_without_secrets(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/noise"), timeout=PATIENT)
        await faults.until(lambda: len(page.events) >= 4)

        kinds = {event.kind for event in page.events}
        texts = " ".join(event.text for event in page.events)
        assert kinds == {"console", "request_failed"}
        assert "error [hidden] \ufffd \ufffd" in texts
        assert "thrown" in texts
        assert "fetch" in texts
        assert "net::ERR_EMPTY_RESPONSE" in texts
        assert "hunter2" not in texts
        assert "t0ken" not in texts


async def test_a_flood_of_messages_is_not_listened_to_for_ever(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/flood"), timeout=PATIENT)
        await faults.until(lambda: len(page.events) == 200)

        await faults.until(lambda: page.events[-1].text == f"flood {NOISE_HEARD - 1}")
        heard = page.events
        count = faults.ours(page)._listeners._seen["console"]
        await faults.inner(page).evaluate("for (let i = 0; i < 100; i++) console.error('after')")
        await page.goto(spec.url("/"), timeout=PATIENT)

        assert page.events == heard
        # Not even told of any more.
        assert faults.ours(page)._listeners._seen["console"] == count


async def test_an_answer_that_drips_times_out(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        began = time.monotonic()
        with pytest.raises(PageTimeout):
            await page.goto(spec.url("/drip"), timeout=SHORT)

        # The drip takes fifty seconds.
        assert time.monotonic() - began < 10


async def test_a_rate_limit_with_a_date_gives_the_pause(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        with pytest.raises(RateLimited) as caught:
            await page.goto(spec.url("/later"), timeout=PATIENT)

        assert caught.value.retry_after is not None
        assert timedelta(seconds=30) < caught.value.retry_after <= timedelta(seconds=90)


async def test_html_is_clean(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/text"), timeout=PATIENT)

        assert "lone \ufffd nul \ufffd over </p>" in await page.html(timeout=PATIENT)


async def test_html_is_cut_at_its_limit(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/large"), timeout=PATIENT)

        text = await page.html(timeout=PATIENT)

        assert HTML_BYTES - 3 <= len(text.encode()) <= HTML_BYTES


async def test_fill_that_is_refused_does_not_quote_the_text(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/fields"), timeout=PATIENT)

        for selector in ("#number", "#gone", "h1", "#nothing"):
            with pytest.raises(ElementMissing) as caught:
                await page.fill(selector, "swordfish", timeout=SHORT)

            error: BaseException | None = caught.value
            while error is not None:
                assert "swordfish" not in f"{error} {error!r}"
                error = error.__cause__ or error.__context__


async def test_a_secret_that_the_page_repeats_is_hidden(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/echo"), timeout=PATIENT)

        await page.fill("input", "swordfish", secret=True, timeout=PATIENT)

        await faults.until(lambda: len(page.events) > 0)
        assert page.events[0].text == "typed [hidden]"


async def test_navigations_count_documents_only(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/fragment"), timeout=PATIENT)
        before = page.navigations

        await page.click("#down", timeout=PATIENT)
        await faults.until(lambda: page.url.endswith("#x"))
        await page.click("#push", timeout=PATIENT)
        await faults.until(lambda: page.url.endswith("/y"))

        assert page.navigations == before


async def test_links_of_a_page_that_lies_are_still_links(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/links"), timeout=PATIENT)

        assert await page.links("a", timeout=PATIENT) == ["http://ok.test/"]


async def test_looking_at_a_page_that_reloads_goes_on(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/moves"), timeout=PATIENT)
        before = page.navigations

        while page.navigations < before + 5:
            await page.html(timeout=PATIENT)
            await page.links("a", timeout=PATIENT)
            await page.is_visible("h1", timeout=PATIENT)


async def test_permissions_are_denied_without_asking(browser: Browser, spec: SiteSpec, site: Site) -> None:
    # A secure context, which only localhost is without TLS.
    local = SiteSpec("real", f"http://localhost:{site.port}", ("localhost",), {})
    async with browser.open_page(local, ACCOUNT) as page:
        await page.goto(local.url("/permissions"), timeout=PATIENT)

        answers = await faults.inner(page).evaluate(
            """async () => [
                await Notification.requestPermission(),
                await new Promise(done => navigator.geolocation.getCurrentPosition(done, e => done(e.code))),
                await navigator.clipboard.readText().catch(error => error.name),
            ]"""
        )

        assert answers == ["denied", 1, "NotAllowedError"]


async def test_the_wheel_scrolls(browser: Browser, spec: SiteSpec) -> None:
    async with browser.open_page(spec, ACCOUNT) as page:
        await page.goto(spec.url("/"), timeout=PATIENT)
        await faults.inner(page).evaluate("document.body.style.height = '5000px'")

        await page.wheel(700, timeout=PATIENT)

        await faults.inner(page).wait_for_function("scrollY === 700", timeout=PATIENT * 1000)
