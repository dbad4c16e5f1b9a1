"""Canaries in every secret field, failures in every layer: they are seen nowhere in the clear."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Task

from core import artifacts, bridge, browser, lifecycle
from core.browser import BrowserOptions
from core.errors import (
    BrowserLost,
    ElementMissing,
    ForbiddenUrl,
    HttpError,
    NavigationFailed,
    PageCrashed,
    PageTimeout,
    RateLimited,
    StateRejected,
)
from core.models import Account, AccountSecret
from core.page import Page
from core.types import AccountSpec, SiteSpec
from tests.fakes import FakeOpener, FakePage, Screen, fake_open_page
from tests.warmup import canaries
from tests.warmup.admin.walk import pages
from tests.warmup.canaries import ALL, PASSWORD, STATE, hits
from tests.warmup.django_q2 import work_off
from tests.warmup.support import CHALLENGE, FORM
from warmup import jobs, loading, services, store
from warmup.models import Artifact, WarmupTask

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

LEAK = " ".join(ALL)
KNOWN_WITHOUT_SESSION = tuple(text for text in ALL if text not in {canaries.COOKIE, canaries.LOCAL_STORAGE})
STEPS: list[dict[str, Any]] = [
    {"do": "open", "target": "feed"},
    {"do": "screenshot", "name": "begin"},
    {"do": "scroll", "pixels": 900},
    {"do": "expect", "target": "card"},
    {"do": "click", "target": "like", "counts_as": "like", "done": ".liked"},
    {"do": "search", "target": "search", "box": "box", "text": "tea", "results": "card"},
    {"do": "visit", "target": "card"},
    {"do": "back"},
    {"do": "watch", "seconds": 1},
    {"do": "type", "target": "box", "text": canaries.TYPED, "secret": True},
    {"do": "type", "target": "box", "text": {"one_of": [canaries.DRAWN, canaries.DRAWN]}, "secret": True},
    {"do": "click", "target": "echo"},
    {"do": "scroll", "pixels": 100},
    {"do": "screenshot", "name": "end"},
]
ECHO = f"/away?token={canaries.TYPED}"
INSIDE = Screen(
    visible=[".card", ".like", ".echo", "#box"],
    links={".card": ["http://site.test/away"]},
    on_click={".like": lambda page: page.show(".liked"), ".echo": ECHO},
    on_enter={"#box": "/search"},
    html=f"<p data-all='{LEAK}'>{LEAK}</p>",
)


def feed(page: FakePage) -> Screen:
    if page.state["cookies"] and page.account and "challenge" in page.account.username:
        return CHALLENGE
    return INSIDE if page.state["cookies"] else FORM


def session(page: FakePage) -> Screen:
    if page.filled.get("#password") != PASSWORD or page.account is None or "typo" in page.account.username:
        return FORM
    page.state = STATE
    return INSIDE


SITE = {"/feed": feed, "/login": FORM, "/session": session, "/away": INSIDE, ECHO: INSIDE, "/search": INSIDE}
METHODS = ["goto", "back", "click", "fill", "press", "wheel", "is_visible", "wait_visible", "links"]
METHODS += ["dwell", "screenshot", "html", "storage_state"]


def failing(method: str, error: Callable[[], Exception]) -> Callable[[FakePage], None]:
    return lambda page: page.fail(method, error(), times=9)  # type: ignore[arg-type]  # any error


def spoilt_state(page: FakePage) -> None:
    page.state = {"cookies": [{**STATE["cookies"][0], "domain": "elsewhere.test"}], "origins": []}


FAILURES: dict[str, Callable[[FakePage], None]] = {
    "none": lambda page: None,
    "new": lambda page: None,
    "new-typo": lambda page: None,
    "new-challenge": lambda page: None,
    "hangs": lambda page: setattr(page, "hanging", True),
    "crashes": lambda page: page.crash(after=0.5),
    "state": spoilt_state,
    **{f"missing-{name}": failing(name, lambda: ElementMissing(f"no {LEAK}")) for name in METHODS},
    **{f"bug-{name}": failing(name, lambda: ValueError(f"bad {LEAK}")) for name in METHODS},
    "timeout": failing("wheel", lambda: PageTimeout(f"late {LEAK}")),
    "lost": failing("wheel", lambda: BrowserLost(f"lost {LEAK}")),
    "gone": failing("wheel", lambda: PageCrashed(f"gone {LEAK}")),
    "http": failing("goto", lambda: HttpError(500, f"http://site.test/?{LEAK}")),
    "rate": failing("goto", lambda: RateLimited(f"http://site.test/?{LEAK}", None)),
    "net": failing("goto", lambda: NavigationFailed(f"net::ERR_FAILED {LEAK}")),
    "forbidden": failing("goto", lambda: ForbiddenUrl(f"http://elsewhere/?{LEAK}")),
    "chained": failing("click", lambda: chained()),
}


def chained() -> Exception:
    """A fault of ours whose cause says more."""
    try:
        raise KeyError(LEAK)
    except KeyError as cause:
        error = RuntimeError("as it were")
        error.__cause__ = cause
        return error


# ---- the world --------------------------------------------------------------------------------------


class FakeBrowser:
    """Stands in for `core.browser.launch`."""

    def __init__(self) -> None:
        self.opener: FakeOpener = fake_open_page(SITE)
        self.alive = True

    @asynccontextmanager
    async def launch(self, options: BrowserOptions) -> AsyncIterator[FakeBrowser]:
        yield self

    def open_page(self, site: SiteSpec, account: AccountSpec) -> AbstractAsyncContextManager[Page]:
        if account.username == "refused":
            self.opener.refusals.append(StateRejected(f"damaged: {LEAK}"))
        return self.opener(site, account)


@pytest.fixture(autouse=True)
def all_logs(caught_logs: list[io.StringIO]) -> list[io.StringIO]:
    return caught_logs


@pytest.fixture(autouse=True)
def chromium(monkeypatch: pytest.MonkeyPatch) -> FakeBrowser:
    fake = FakeBrowser()

    def prepare(page: FakePage) -> None:
        assert page.account is not None
        # One whose log-in is refused has no session to tell.
        known = KNOWN_WITHOUT_SESSION if page.account.username == "new-typo" else ALL
        for kind in ("console", "dialog", "request_failed", "popup_closed"):
            page.record(kind, f"{kind} {' '.join(known)} {json.dumps(known)}")
        FAILURES[page.account.username](page)

    fake.opener.prepare = prepare
    monkeypatch.setattr(browser, "launch", fake.launch)
    monkeypatch.setattr(lifecycle, "_draining", RawValue("b", 0))
    return fake


@pytest.fixture
def task(settings: Any) -> WarmupTask:
    """Every kind of failure has an account, loaded from a file."""
    settings.WARMUP_MAX_ATTEMPTS = 1
    settings.WARMUP_CONTEXTS_PER_WORKER = 16
    usernames = [*FAILURES, "refused"]
    loading.load(json.dumps(canaries.load_file(usernames, STEPS)), source="load.json", by=None)
    found = services.find_task("morning")
    services.start(found, by=None)
    return found


# ---- runs -------------------------------------------------------------------------------------------


def test_canaries_of_all_failing_runs_are_seen_nowhere(
    task: WarmupTask, all_logs: list[io.StringIO], data_dir: Path
) -> None:
    canaries.assert_unseen(all_logs, data_dir)

    jobs.run_slice(task.pk)

    statuses = {run.account.username: run.status for run in task.runs.select_related("account")}
    assert {name for name, status in statuses.items() if status in {"PENDING", "RUNNING"}} == set()
    assert (statuses["none"], statuses["new"]) == ("COMPLETED", "COMPLETED")
    assert {statuses["new-typo"], statuses["new-challenge"]} == {"PARKED"}
    assert sum(status == "FAILED" for status in statuses.values()) > 20
    assert any("run_broke" in stream.getvalue() for stream in all_logs)
    canaries.assert_unseen(all_logs, data_dir)
    kept = {artifact: artifacts.read(artifact.pk) for artifact in Artifact.objects.all()}
    assert [hits(content) for content in kept.values() if hits(content)] == []
    assert sum(b"[hidden]" in content for content in kept.values()) >= 5  # of pages that told all they know


def test_commands_and_pages_show_no_canary(
    task: WarmupTask, capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path, settings: Any
) -> None:
    settings.STATIC_ROOT = tmp_path
    jobs.run_slice(task.pk)

    for verb in (
        ["status"],
        ["status", "morning"],
        ["plan", "morning"],
        ["logs", "morning", "--level=DEBUG"],
    ):
        for style in ([], ["--json"]):
            call_command("warmup", *verb, *style)
    shown = capsys.readouterr()
    assert "[hidden]" in shown.out
    assert hits(shown.out + shown.err) == []

    client.force_login(User.objects.create_superuser("boss"))
    telling = ("new-typo", "new-challenge", "bug-click", "missing-wheel", "lost", "http", "refused", "none")
    runs = task.runs.filter(account__username__in=telling).values_list("pk", flat=True)
    urls = [*pages(), *(reverse("admin:warmup_warmupaccount_change", args=[pk]) for pk in runs)]
    seen = {url: hits(client.get(url).content) for url in urls}
    assert {url: found for url, found in seen.items() if found} == {}
    assert len(seen) > 80


def test_canaries_would_be_seen(task: WarmupTask, all_logs: list[io.StringIO]) -> None:
    logging.getLogger("core").error("in a log: %s", PASSWORD)
    OrmQ.objects.create(key="x", payload=PASSWORD, lock="2030-01-01T00:00Z")
    Account.objects.filter(username="none").update(loaded_state_digest=PASSWORD)

    assert all(hits(stream.getvalue()) for stream in all_logs)
    assert {"django_q.OrmQ.payload", "core.Account.loaded_state_digest"} <= canaries.database_hits().keys()
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + PASSWORD.encode())
        assert hits(encoded)
    assert hits(PASSWORD.encode().hex())


# ---- a database that fails, a store that breaks -------------------------------------------------------


def fail_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work off what is queued as a cluster does, which reports failed jobs."""
    monkeypatch.setattr(Conf, "POLL", 0)
    OrmQ.objects.update(lock="2020-01-01T00:00Z")
    done = work_off(get_broker())
    assert not all(job["success"] for job in done)
    assert Task.objects.filter(success=False).exists()


@pytest.mark.parametrize("function", ["write_progress", "record_intent", "save_evidence", "finish"])
def test_database_outage_shows_no_canary(
    task: WarmupTask,
    all_logs: list[io.StringIO],
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
) -> None:
    monkeypatch.setattr(bridge, "PATIENCE_SECONDS", 0.2)

    def away(*arguments: Any) -> Any:
        raise OperationalError(f"the server closed the connection while it was asked for {arguments!r}")

    broken = {name: getattr(jobs.STORE, name) for name in jobs.STORE.__dataclass_fields__}
    monkeypatch.setattr(jobs, "STORE", type(jobs.STORE)(**broken | {function: bridge.bridged(away)}))

    fail_job(monkeypatch)

    canaries.assert_unseen(all_logs, data_dir)


@pytest.mark.parametrize("function", ["write_progress", "finish", "claim"])
def test_bug_in_the_store_shows_no_canary(
    task: WarmupTask,
    all_logs: list[io.StringIO],
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
) -> None:
    real = getattr(store, function)

    def broken(*arguments: Any) -> Any:
        result = real(*arguments)
        raise TypeError(f"not {arguments!r}, and not {result!r}")

    stored = {name: getattr(jobs.STORE, name) for name in jobs.STORE.__dataclass_fields__}
    monkeypatch.setattr(jobs, "STORE", type(jobs.STORE)(**stored | {function: bridge.bridged(broken)}))

    fail_job(monkeypatch)

    canaries.assert_unseen(all_logs, data_dir)


# ---- the admin --------------------------------------------------------------------------------------


@pytest.mark.parametrize("debug", [True, False])
def test_page_that_breaks_shows_no_canary(
    task: WarmupTask,
    all_logs: list[io.StringIO],
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    debug: bool,
) -> None:
    def broken(account: Account, password: str) -> None:
        raise RuntimeError("boom")

    settings.DEBUG = debug
    settings.STATIC_ROOT = data_dir
    monkeypatch.setattr(AccountSecret, "store", broken)
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("boss"))
    account = Account.objects.get(username="none")

    response = client.post(
        reverse("admin:core_account_change", args=[account.pk]),
        {"site": account.site_id, "username": "none", "enabled": "on", "password": PASSWORD},
    )

    assert response.status_code == 500
    assert (b"boom" in response.content) is debug
    assert hits(response.content) == []
    canaries.assert_unseen(all_logs, data_dir)


def test_saved_secrets_are_in_no_history_and_on_no_page(
    task: WarmupTask, all_logs: list[io.StringIO], data_dir: Path, settings: Any
) -> None:
    settings.STATIC_ROOT = data_dir
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    account = Account.objects.get(username="none")
    url = reverse("admin:core_account_change", args=[account.pk])
    AccountSecret.store(account, "another")

    form = {"site": account.site_id, "username": "none", "enabled": "on", "password": PASSWORD}
    assert client.post(url, form).status_code == 302

    assert AccountSecret.objects.get(account=account).open() == PASSWORD
    assert [hits(client.get(page).content) for page in (url, url.replace("change", "history"))] == [[], []]
    canaries.assert_unseen(all_logs, data_dir)
