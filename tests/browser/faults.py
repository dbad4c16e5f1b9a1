"""Doing harm to a real browser, and seeing what is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
from playwright import async_api as playwright

from core.browser import Browser
from core.browser.page import BrowserPage
from core.page import Page

# In which a state must come about on a busy machine; nothing waits that long unless it fails.
PATIENCE_SECONDS = 20.0


def ours(page: Page) -> BrowserPage:
    """Our own page behind the contract."""
    assert isinstance(page, BrowserPage)
    return page


def inner(page: Page) -> playwright.Page:
    """Playwright's page behind ours."""
    return ours(page)._page


async def crash(page: Page) -> None:
    """Crash the page's renderer, and wait until Playwright has noticed."""
    crashed = asyncio.Event()
    inner(page).on("crash", lambda _: crashed.set())
    session = await inner(page).context.new_cdp_session(inner(page))
    # The command is never answered: its renderer is gone.
    command = asyncio.ensure_future(session.send("Page.crash"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await crashed.wait()
    command.cancel()
    with contextlib.suppress(asyncio.CancelledError, playwright.Error):
        await command


def driver_of(browser: Browser) -> psutil.Process:
    """The process of the Playwright driver."""
    return next(process for process in browser._processes._vital if "run-driver" in process.cmdline())


def chromium_of(browser: Browser) -> psutil.Process:
    """Chromium's main process; a wrapper script may stand between it and the driver."""
    return next(
        process
        for process in reversed(browser._processes._vital)
        if "run-driver" not in process.cmdline() and "chrom" in process.name()
    )


def everything_of(browser: Browser) -> list[psutil.Process]:
    """The driver and all processes below it."""
    driver = driver_of(browser)
    return [driver, *driver.children(recursive=True)]


def stop_group(process: psutil.Process) -> None:
    """Freeze a process with all of its group."""
    os.killpg(os.getpgid(process.pid), signal.SIGSTOP)


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of `processes` that run. A zombie does not: its parent has only not looked at it yet."""
    return [process for process in processes if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left_in(directory: Path) -> list[Path]:
    """What stands in a directory."""
    return sorted(directory.iterdir())


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """Return as soon as `condition()` holds; fail when it never does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.01)
