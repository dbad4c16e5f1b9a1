"""What the browser tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.browser import Browser, BrowserOptions, launch

pytest.register_assert_rewrite("tests.browser.page_contract")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests of a module; those that harm it start their own."""
    async with launch(BrowserOptions()) as running:
        yield running
