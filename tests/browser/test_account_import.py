"""Ten thousand accounts through the admin in real Chromium: upload, preview, confirm, choose all, act."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.async_api import Page, async_playwright, expect

from core.browser_finder import find_browser
from core.models import Proxy
from tests import factories

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MANY = 10_000
PATIENCE = 60_000  # ms: the machine may have other work
LIST = reverse("admin:core_account_changelist")


@pytest.fixture
def address(live_server: Any) -> str:
    """The live admin, with a site and a proxy."""
    factories.SiteFactory(slug="reel", name="Reel")
    Proxy.objects.create(name="office", server="http://10.0.0.1:3128")
    url: str = live_server.url
    return url


@pytest.fixture
def cookie(address: str) -> dict[str, Any]:
    """Of somebody who may do all of it."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    name = django_settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": address}


@pytest.fixture(scope="module")
def executable() -> str:
    """Looked for outside of any event loop: each candidate is tried out in one."""
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns without it
    return find_browser()


@pytest_asyncio.fixture
async def page(cookie: dict[str, Any], executable: str) -> AsyncIterator[Page]:
    """A page that has met no error and no refusal of the content policy by the end."""
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable)
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        await context.add_cookies([cookie])  # type: ignore[list-item]
        opened = await context.new_page()
        opened.set_default_timeout(PATIENCE)
        opened.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        await browser.close()
    assert errors == []


async def test_import_of_ten_thousand_accounts_and_a_proxy_for_all_of_them(
    page: Page, address: str, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    rows = "".join(f"reel,user{number:05d},s3cret{number}\n" for number in range(MANY))
    people.write_text("site,username,password\n" + rows)

    await page.goto(address + LIST)
    await page.get_by_role("link", name="Import").click()
    await page.locator("#id_import_file").set_input_files(people)
    await expect(page.locator("#id_format option:checked")).to_have_text("csv")  # told by its suffix
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_text("The import would bring: 10000 new")).to_be_visible(timeout=PATIENCE)
    assert "s3cret" not in await page.content()
    await page.get_by_role("button", name="Confirm import").click()
    await expect(page.get_by_text("Imported: 10000 new, 0 changed, 0 the same.")).to_be_visible(
        timeout=PATIENCE
    )

    await page.locator("#action-toggle").check()
    await page.get_by_text("Select all 10000 accounts").click()
    await page.locator("select[name=action]").select_option("assign_proxy")
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_text("Assign a proxy to 10000 accounts")).to_be_visible(timeout=PATIENCE)
    await page.locator("#id_proxy").select_option(label="office")
    await page.get_by_role("button", name="Assign").click()
    await expect(page.get_by_text("Assigned; this changed 10000 accounts.")).to_be_visible(timeout=PATIENCE)


async def test_faults_and_a_narrow_screen(page: Page, address: str, tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    people.write_text('[{"site": "rel", "username": "anna"}, {"site": "reel", "username": ""}]')
    await page.set_viewport_size({"width": 360, "height": 700})

    await page.goto(address + reverse("admin:core_account_import"))
    await page.locator("#id_import_file").set_input_files(people)
    await expect(page.locator("#id_format option:checked")).to_have_text("json")
    await page.get_by_role("button", name="Submit").click()

    faults = page.get_by_role("alert")
    await expect(faults).to_contain_text("2 faults: nothing was imported")
    await expect(faults).to_contain_text("accounts[0].site: no site 'rel' (did you mean 'reel'?)")
    await expect(faults).to_contain_text("accounts[1].username: must not be empty")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
