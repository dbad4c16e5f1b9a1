"""The admin in real Chromium under its content security policy; and a saved page that tries to run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.async_api import BrowserContext, Page, async_playwright

from core.browser_finder import find_browser
from tests import factories
from warmup import store
from warmup.models import Artifact
from warmup.types import Evidence

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCRIPTED = (
    b"<!doctype html><title>kept</title><body><script>document.title = 'ran'; console.error('ran')</script>"
)
WATCH = """
window.refused = [];
document.addEventListener('securitypolicyviolation', event =>
  window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@dataclass
class World:
    """What there is to be seen, and the cookie of somebody who may see it."""

    url: str
    cookie: dict[str, Any]
    paths: list[str] = field(default_factory=list)
    task: str = ""
    artifact: str = ""


@pytest.fixture(scope="session")
def static_root() -> None:
    """WhiteNoise warns of one that is not there when the live server starts."""
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def world(static_root: None, live_server: Any) -> World:
    task = factories.started_task(2)
    (spec,) = factories.claim(task)
    assert store.save_evidence(Evidence(spec.lease, 1, 0, "html", "end", SCRIPTED))
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    name = django_settings.SESSION_COOKIE_NAME
    lists = (
        "warmup_warmuptask",
        "warmup_warmupaccount",
        "core_account",
        "warmup_artifact",
        "django_q_schedule",
    )
    return World(
        live_server.url,
        {"name": name, "value": client.cookies[name].value, "url": live_server.url},
        [
            reverse("admin:index"),
            *(reverse(f"admin:{name}_changelist") for name in lists),
            reverse("admin:core_site_add"),
            reverse("admin:warmup_playbook_add"),
            reverse("admin:warmup_warmupschedule_add"),
            reverse("admin:core_account_import"),
            reverse("admin:core_account_change", args=[task.runs.order_by("pk")[0].account_id]),
            reverse("admin:warmup_warmupaccount_change", args=[spec.lease.run_id]),
            reverse("admin:auth_user_add"),
        ],
        reverse("admin:warmup_warmuptask_change", args=[task.pk]),
        reverse("admin:warmup_artifact_file", args=[Artifact.objects.get().pk]),
    )


@pytest.fixture(scope="module")
def executable() -> str:
    """Looked for outside of any event loop: each candidate is tried out in one."""
    return find_browser()


@pytest_asyncio.fixture
async def context(world: World, executable: str) -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable)
        opened = await browser.new_context()
        await opened.add_cookies([world.cookie])  # type: ignore[list-item]
        await opened.add_init_script(WATCH)
        yield opened
        await browser.close()


def listen(page: Page) -> list[str]:
    """The errors that the page tells its console."""
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


async def test_admin_breaks_no_rule_of_its_policy_and_works(world: World, context: BrowserContext) -> None:
    page = await context.new_page()
    errors = listen(page)
    refused: dict[str, list[str]] = {}

    for path in [*world.paths, world.task]:
        await page.goto(world.url + path)
        await page.wait_for_function("window.Alpine !== undefined")
        refused[path] = await page.evaluate("window.refused")

    # The dialog takes htmx to fetch it and Alpine to open it.
    await page.locator("#control-pause").click()
    await page.locator("#modal-content #dialog").wait_for(state="visible")
    colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert {path: found for path, found in refused.items() if found} == {}
    assert await page.evaluate("window.refused") == []
    assert errors == []
    assert colour != "rgba(0, 0, 0, 0)"  # the theme is there


async def test_saved_page_that_is_shown_runs_nothing(world: World, context: BrowserContext) -> None:
    page = await context.new_page()
    errors = listen(page)

    async def without_attachment(route: Any) -> None:
        """As a browser would show it that ignored what the answer says it is for."""
        answer = await route.fetch()
        headers = {name: value for name, value in answer.headers.items() if name != "content-disposition"}
        await route.fulfill(response=answer, headers=headers)

    await page.route("**/file/**", without_attachment)
    await page.route(f"**{world.artifact}", without_attachment)
    await page.goto(world.url + world.artifact)

    assert await page.title() == "kept"
    assert "ran" not in errors
    assert any("Blocked script execution" in error or "sandbox" in error for error in errors)
