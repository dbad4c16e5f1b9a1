"""Does a browser work? A launch, a click and a screenshot tell."""

from __future__ import annotations

import asyncio

from playwright import async_api as playwright

from core.browser.options import BrowserOptions
from core.browser.session import launch
from core.errors import BrowserUnavailable
from core.text import one_line

_BUTTON = "<button onclick=\"document.title = 'clicked'\">press</button>"
_PNG_START = b"\x89PNG\r\n"


async def probe(options: BrowserOptions) -> None:
    """Return when the browser of `options` can be used; else raise `BrowserUnavailable`, which says why.

    Takes at most `launch_timeout` seconds for the start, as long again for the rest, and the closing.
    """
    failure: str
    async with launch(options) as browser:
        try:
            async with asyncio.timeout(options.launch_timeout):
                await _try_out(browser.connection)
            return
        except TimeoutError:
            failure = "it started, but does not answer"
        except playwright.Error as error:
            failure = one_line(error.message.partition("\n")[0], 200)
    raise BrowserUnavailable(f"the browser does not work: {failure}")


async def _try_out(browser: playwright.Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.set_content(_BUTTON)
    await page.click("button")
    if await page.title() != "clicked":
        raise playwright.Error("a click had no effect")
    if not (await page.screenshot()).startswith(_PNG_START):
        raise playwright.Error("a screenshot is no PNG")
    await context.close()
