"""Starting the driver, and a browser through it."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from playwright import async_api as playwright

from core.browser.options import BrowserOptions, browser_environment, switches, unwanted_switches
from core.browser_finder import find_browser
from core.errors import BrowserUnavailable
from core.text import one_line

# The driver copies our environment, of which there is one per process: launches take turns.
_environment_lock = threading.Lock()

# Chromium's own complaint, within the log of a launch that failed.
_COMPLAINT = re.compile(r"\[pid=\d+\]\[err\] (?:\[[^]]*\] )?(.+)")


async def start_driver(environment: Mapping[str, str]) -> playwright.Playwright:
    """A driver with `environment` on top of ours. Raises `BrowserUnavailable`."""
    manager = playwright.async_playwright()
    failure: str
    try:
        async with _environment_with(environment):
            driver = await manager.start()
    except (OSError, playwright.Error) as error:
        failure = one_line(str(error), 200)
    except Exception as error:
        # A driver that dies while it starts: Playwright raises a bare Exception then.
        if type(error) is not Exception:
            raise
        failure = one_line(str(error), 200)
    else:
        _expect_its_death(manager)
        return driver
    raise BrowserUnavailable(f"the Playwright driver did not start: {failure}")


async def start_browser(
    driver: playwright.Playwright, options: BrowserOptions, environment: Mapping[str, str]
) -> playwright.Browser:
    """A browser of our own, or a connection to `options.endpoint`. Raises `BrowserUnavailable`."""
    milliseconds = options.launch_timeout * 1000
    place = "the browser"
    failure: str
    try:
        if options.endpoint is not None:
            place = f"the browser endpoint at {urlsplit(options.endpoint).hostname}"
            if _speaks_cdp(options.endpoint):
                return await driver.chromium.connect_over_cdp(options.endpoint, timeout=milliseconds)
            return await driver.chromium.connect(options.endpoint, timeout=milliseconds)
        place = find_browser(options.executable)
        return await driver.chromium.launch(
            executable_path=place,
            headless=True,
            chromium_sandbox=options.sandbox,
            args=switches(options),
            ignore_default_args=unwanted_switches(),
            env=browser_environment(environment),
            proxy=None if options.proxy_server is None else {"server": options.proxy_server},
            # The signals are for the worker: it closes the browser itself, in its own order.
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=milliseconds,
        )
    except playwright.Error as error:
        failure = _reason(error)
    raise BrowserUnavailable(f"{place} did not start: {failure}")


def _speaks_cdp(endpoint: str) -> bool:
    return endpoint.startswith(("http://", "https://")) or "/devtools/" in endpoint


def _reason(error: playwright.Error) -> str:
    """One line for a person out of Playwright's many."""
    if "Looks like Playwright was just installed or updated" in error.message:
        return "it is not installed"
    complaint = _COMPLAINT.search(error.message)
    return one_line(complaint[1] if complaint else error.message.partition("\n")[0], 200)


def _expect_its_death(manager: object) -> None:
    """Read the error of a killed driver, which Playwright keeps in a future that nobody awaits.

    asyncio would log it as never retrieved. Private, so a Playwright without it costs that log line only.
    """
    future = getattr(getattr(getattr(manager, "_client", None), "_transport", None), "on_error_future", None)
    if isinstance(future, asyncio.Future):
        future.add_done_callback(lambda done: done.cancelled() or done.exception())


@asynccontextmanager
async def _environment_with(additional: Mapping[str, str]) -> AsyncIterator[None]:
    while not _environment_lock.acquire(blocking=False):  # noqa: ASYNC110 - it may be on another loop
        await asyncio.sleep(0.01)
    saved = {name: os.environ.get(name) for name in additional}
    try:
        os.environ.update(additional)
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _environment_lock.release()
