"""The jobs as a worker calls them: an event loop, the bridge and SQLite are real, the browser is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from multiprocessing.sharedctypes import RawValue
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django_q.models import OrmQ
from structlog.testing import capture_logs

from core import browser, lifecycle
from core.bridge import bridged
from core.browser import BrowserOptions
from core.errors import BrowserUnavailable
from core.models import SessionState
from core.owners import owner_marker
from core.page import Page
from core.types import AccountSpec, SiteSpec
from tests import factories
from tests.fakes import FakeOpener, FakePage, Screen, fake_open_page
from tests.warmup.support import FORM, INSIDE, STATE, LoopClock, screens, watch
from warmup import jobs, slices, store
from warmup.models import ClusterPulse, LogLine, StepRecord, WarmupAccount, WarmupTask
from warmup.slices import Limits

pytestmark = pytest.mark.django_db(transaction=True)


def session(page: FakePage) -> Screen:
    """Where the log-in form leads: in, with the password of the factories' accounts."""
    if page.filled.get("#password") != "pw":
        return FORM
    page.state = STATE
    return INSIDE


class FakeBrowser:
    """Stands in for `core.browser.launch`."""

    def __init__(self) -> None:
        self.opener: FakeOpener = fake_open_page(screens(session=session))
        self.launched: list[BrowserOptions] = []
        self.running = 0
        self.alive = True
        self.most_open = 0
        self.workers: set[str] = set()
        self.connection: Any = None
        self.opener.prepare = self._prepare

    def _prepare(self, page: FakePage) -> None:
        self.most_open = max(self.most_open, self.opener.open + 1)

    @asynccontextmanager
    async def launch(self, options: BrowserOptions) -> AsyncIterator[FakeBrowser]:
        self.launched.append(options)
        self.running += 1
        self.connection = await bridged(lambda: connections["default"])()
        try:
            yield self
        finally:
            self.workers = await bridged(
                lambda: set(WarmupAccount.objects.values_list("worker", flat=True))
            )()
            self.running -= 1

    def open_page(self, site: SiteSpec, account: AccountSpec) -> AbstractAsyncContextManager[Page]:
        return self.opener(site, account)


@pytest.fixture
def chromium(monkeypatch: pytest.MonkeyPatch) -> FakeBrowser:
    fake = FakeBrowser()
    monkeypatch.setattr(browser, "launch", fake.launch)
    return fake


@pytest.fixture(autouse=True)
def not_draining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test with a cluster of its own, which is not draining."""
    monkeypatch.setattr(lifecycle, "_draining", RawValue("b", 0))
    monkeypatch.setattr(lifecycle, "_cluster", "main:1:1")


def woken() -> int:
    """How many slices were enqueued since the last time."""
    return int(OrmQ.objects.all().delete()[0])


# ---- a slice ----------------------------------------------------------------------------------------


def test_run_slice_warms_up_all_accounts_of_its_task(chromium: FakeBrowser) -> None:
    task = factories.started_task(3)
    woken()

    jobs.run_slice(task.pk)

    task.refresh_from_db()
    assert task.status == "COMPLETED"
    for run in task.runs.all():
        assert (run.status, run.cursor, run.steps_total, run.lease_token) == ("COMPLETED", 3, 3, None)
        steps = StepRecord.objects.filter(run=run).order_by("index")
        assert [(step.do, step.result) for step in steps] == [
            (do, "DONE") for do in ("open", "scroll", "click")
        ]
        log = LogLine.objects.filter(run=run, level="INFO").order_by("pk")
        assert [line.event for line in log] == ["run_started", "logged_in", "run_ended"]
    assert SessionState.objects.count() == 3
    assert all(page.filled == {} and page.state == STATE for page in chromium.opener.pages)
    assert woken() == 0


def test_run_slice_leaves_no_browser_no_page_and_no_connection(chromium: FakeBrowser) -> None:
    task = factories.started_task(2)

    jobs.run_slice(task.pk)

    assert len(chromium.launched) == 1
    assert chromium.running == 0
    assert chromium.opener.open == 0
    assert chromium.connection is not connections["default"]
    assert chromium.connection.connection is None


def test_run_slice_without_work_starts_no_browser(chromium: FakeBrowser) -> None:
    task = factories.make_task(1)

    jobs.run_slice(task.pk)
    jobs.run_slice(task.pk + 1)

    assert chromium.launched == []
    assert ClusterPulse.objects.filter(name="main:1:1").exists()


def test_run_slice_that_comes_a_second_time_does_nothing_twice(chromium: FakeBrowser) -> None:
    task = factories.started_task(1)
    jobs.run_slice(task.pk)

    jobs.run_slice(task.pk)

    assert len(chromium.launched) == 1
    assert StepRecord.objects.count() == 3


def test_run_slice_of_a_draining_cluster_returns_at_once(chromium: FakeBrowser) -> None:
    task = factories.started_task(1)
    lifecycle.start_draining()

    jobs.run_slice(task.pk)

    assert chromium.launched == []
    assert task.runs.get().status == "PENDING"


def test_run_slice_that_begins_to_drain_gives_its_runs_back(
    chromium: FakeBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "POLL_SECONDS", 0.01)
    chromium.opener.clock = LoopClock()  # type: ignore[assignment]  # the steps take their time
    chromium.opener.prepare = lambda page: lifecycle.start_draining()
    task = factories.started_task(2, playbook=factories.make_playbook(steps=[watch(30)] * 20))
    woken()

    jobs.run_slice(task.pk)

    runs = list(task.runs.all())
    assert [(run.status, run.attempt, run.available_at) for run in runs] == [("PENDING", 0, None)] * 2
    assert woken() == 1


def test_run_slice_uses_the_settings(chromium: FakeBrowser, settings: Any) -> None:
    settings.WARMUP_BROWSER_EXECUTABLE = "/opt/chromium"
    settings.WARMUP_BROWSER_ENDPOINT = "ws://grid.test/"
    settings.WARMUP_CONTEXTS_PER_WORKER = 2
    task = factories.started_task(5)

    jobs.run_slice(task.pk)

    (options,) = chromium.launched
    assert (options.executable, options.endpoint) == ("/opt/chromium", "ws://grid.test/")
    assert chromium.most_open == 2


def test_run_slice_sends_its_pages_through_the_guard_on_this_machine(chromium: FakeBrowser) -> None:
    task = factories.started_task(2)

    jobs.run_slice(task.pk)

    ways_out = [page.account.proxy for page in chromium.opener.pages if page.account and page.account.proxy]
    assert [urlsplit(way.server).hostname for way in ways_out] == ["127.0.0.1"] * 2
    assert len({way.password for way in ways_out}) == 2  # each account has a grant of its own


def test_run_slice_leaves_the_guard_to_a_browser_elsewhere(chromium: FakeBrowser, settings: Any) -> None:
    settings.WARMUP_BROWSER_ENDPOINT = "ws://grid.test/"
    task = factories.started_task(1)

    jobs.run_slice(task.pk)

    assert [page.account.proxy for page in chromium.opener.pages if page.account] == [None]


def test_run_slice_whose_time_is_up_wakes_a_successor(chromium: FakeBrowser, settings: Any) -> None:
    settings.WARMUP_SLICE_SECONDS = 0
    task = factories.started_task(2)
    woken()

    jobs.run_slice(task.pk)

    assert len(chromium.launched) == 1
    assert {run.status for run in task.runs.all()} == {"PENDING"}
    assert woken() == 1


def test_run_slice_whose_browser_dies_claims_nothing(chromium: FakeBrowser) -> None:
    chromium.alive = False
    task = factories.started_task(1)

    jobs.run_slice(task.pk)

    assert chromium.opener.pages == []
    assert task.runs.get().attempt == 0


def test_run_slice_without_a_browser_fails_and_no_run_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def launch(options: BrowserOptions) -> AsyncIterator[None]:
        raise BrowserUnavailable("no browser was found")
        yield

    monkeypatch.setattr(browser, "launch", launch)
    task = factories.started_task(1)
    woken()

    with capture_logs() as logs, pytest.raises(BrowserUnavailable):
        jobs.run_slice(task.pk)

    assert [entry["event"] for entry in logs if "slice" in entry["event"]] == ["slice_started", "slice_ended"]
    assert (task.runs.get().status, task.runs.get().attempt) == ("PENDING", 0)
    assert woken() == 0


def test_run_slice_claims_in_the_name_of_its_process(chromium: FakeBrowser) -> None:
    seen: list[str] = []
    task = factories.started_task(1)

    async def look() -> None:
        seen.extend(await bridged(lambda: list(task.runs.values_list("worker", flat=True)))())

    class Looking(FakeOpener):
        @asynccontextmanager
        async def __call__(self, site: SiteSpec, account: AccountSpec) -> AsyncIterator[Page]:
            await look()
            async with super().__call__(site, account) as page:
                yield page

    chromium.opener = Looking(chromium.opener.screens)

    jobs.run_slice(task.pk)

    assert seen == [owner_marker()]


# ---- the others -------------------------------------------------------------------------------------


def test_reconcile_takes_back_what_nobody_works_on_and_wakes_its_task() -> None:
    task = factories.started_task(1)
    factories.claim(task)
    past = store.database_now() - timedelta(seconds=100)
    WarmupAccount.objects.update(lease_until=past)
    WarmupTask.objects.update(woken_at=past)
    woken()

    jobs.reconcile()

    run = task.runs.get()
    assert (run.status, run.lease_token) == ("PENDING", None)
    assert woken() == 1
    assert ClusterPulse.objects.get().name == "main:1:1"


def test_beat_shows_the_life_of_its_cluster() -> None:
    jobs.beat()

    assert ClusterPulse.objects.get().name == "main:1:1"


def test_jobs_answer_nothing(chromium: FakeBrowser) -> None:
    # A result would be pickled, and unpickled by whoever looks at it.
    assert [jobs.run_slice(1), jobs.reconcile(), jobs.beat()] == [None, None, None]  # type: ignore[func-returns-value]


def test_limits_are_the_settings(settings: Any) -> None:
    settings.WARMUP_CONTEXTS_PER_WORKER = 1
    settings.WARMUP_SLICE_SECONDS = 2
    settings.WARMUP_LEASE_SECONDS = 3
    settings.WARMUP_HEARTBEAT_SECONDS = 4
    settings.WARMUP_STEP_TIMEOUT_SECONDS = 5

    assert jobs.limits() == Limits(1, 2, 3, 4, 5)


def test_browser_options_without_settings_leave_the_choice_to_the_finder(settings: Any) -> None:
    settings.WARMUP_BROWSER_EXECUTABLE = ""
    settings.WARMUP_BROWSER_ENDPOINT = ""

    options = jobs.browser_options()

    assert (options.executable, options.endpoint) == (None, None)
