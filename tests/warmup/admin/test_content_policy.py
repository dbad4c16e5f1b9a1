"""The content security policy: a header on every answer, and pages that obey it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from unfold.settings import CONFIG_DEFAULTS

from core.content_policy import ContentPolicyMiddleware
from tests import factories
from tests.warmup.admin.walk import pages
from warmup.models import WarmupTask

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
RUNNING = {"script", "style", "iframe", "object", "embed", "base"}


class Inline(HTMLParser):
    """Finds what the policy would refuse: all that is in `faults` breaks in a browser."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in RUNNING and not (tag == "script" and values.get("src")):
            self.faults.append(f"<{tag}>")
        self.faults += [f"{tag} {name}" for name in values if name.startswith("on") or name == "hx-on"]
        for name in ("src", "href", "action", "formaction"):
            value = values.get(name, "").strip().lower()
            # Links may lead anywhere; only what is loaded and what is posted to is the policy's.
            if value.startswith(("javascript:", "data:")) or (name != "href" and "//" in value):
                self.faults.append(f"{tag} {name}={value}")
        if tag == "link" and "//" in values.get("href", ""):
            self.faults.append(f"link {values['href']}")


def faults_of(response: Any) -> list[str]:
    found = Inline()
    found.feed(response.content.decode())
    return found.faults


@pytest.fixture
def world(db: None) -> WarmupTask:
    """A task with runs in several statuses, and a row of most kinds."""
    run = factories.run_in("PARKED")
    factories.run_in("RUNNING")
    factories.task_in("PARTIAL")
    factories.make_task(2)
    return run.task


def test_pages_have_no_inline_script_handler_or_style(boss: Client, world: WarmupTask) -> None:
    faults: dict[str, list[str]] = {}
    shown = 0
    for url in pages():
        response = boss.get(url)
        assert response.headers["Content-Security-Policy"] == POLICY, url
        if response.status_code == 200:
            shown += 1
            faults[url] = faults_of(response)

    assert shown > 60
    assert {url: found for url, found in faults.items() if found} == {}


def test_faults_would_be_noticed() -> None:
    found = Inline()
    found.feed(
        "<script>1</script><script src='/a.js'></script><p onclick='x' style='color: red'>"
        "<a href='javascript:x'></a><a href='https://e.org'></a><img src='//e.org'><style></style>"
    )

    assert found.faults == ["<script>", "p onclick", "a href=javascript:x", "img src=//e.org", "<style>"]


def test_log_in_page_and_errors_have_the_policy(client: Client, db: None) -> None:
    page = client.get(reverse("admin:login"))
    missing = client.get("/no/such/page")
    redirect = client.get("/")

    assert faults_of(page) == []
    assert {answer.headers["Content-Security-Policy"] for answer in (page, missing, redirect)} == {POLICY}


def test_form_with_a_fault_has_the_policy(boss: Client, world: WarmupTask) -> None:
    for model in ("core_site", "core_account", "warmup_playbook"):
        response = boss.post(reverse(f"admin:{model}_add"), {})

        assert response.status_code == 200
        assert faults_of(response) == []


def answer(status: int, **headers: str) -> HttpResponse:
    middleware = ContentPolicyMiddleware(lambda request: HttpResponse(status=status, headers=headers))
    return middleware(RequestFactory().get("/"))


def test_stricter_policy_of_a_view_stays() -> None:
    assert (
        answer(200, **{"Content-Security-Policy": "sandbox"}).headers["Content-Security-Policy"] == "sandbox"
    )


@pytest.mark.parametrize(
    ("debug", "status", "expected"), [(True, 500, False), (True, 200, True), (False, 500, True)]
)
def test_only_debug_pages_go_without(settings: Any, debug: bool, status: int, expected: bool) -> None:
    settings.DEBUG = debug

    assert ("Content-Security-Policy" in answer(status).headers) is expected


def test_theme_has_every_colour_that_unfold_would_have_written() -> None:
    sheet = (Path(apps.get_app_config("warmup").path) / "static/warmup/theme.css").read_text()
    for name, weights in CONFIG_DEFAULTS["COLORS"].items():
        for weight, value in weights.items():
            assert f"--color-{name}-{weight}: {value};" in sheet


def test_every_user_has_pages_without_inline_scripts(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("reader", is_staff=True))

    assert faults_of(client.get(reverse("admin:index"))) == []
