"""One account's run on a fake page, in virtual time."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core import errors
from core.errors import (
    BrowserError,
    BrowserLost,
    ChallengeShown,
    DatabaseUnavailable,
    ElementMissing,
    ForbiddenUrl,
    HttpError,
    InDoubt,
    InvalidInput,
    LeaseLost,
    LoggedOut,
    NavigationFailed,
    PageCrashed,
    PageTimeout,
    RateLimited,
    SecretUnreadable,
    StateRejected,
    WarmupError,
)
from tests.fakes import PNG, FakePage, Screen
from tests.warmup.support import (
    BACK,
    CHALLENGE,
    EPOCH,
    FEED,
    FORM,
    INSIDE,
    LIKE,
    OPEN_AWAY,
    OPEN_FEED,
    PASSWORD,
    SCROLL,
    SITE,
    STATE,
    TYPE_SECRET,
    Bench,
    account,
    in_virtual_time,
    now,
    run_spec,
    screens,
    until,
    watch,
)
from warmup import runner
from warmup.plan import PlanStep
from warmup.runner import outcome_of
from warmup.types import Evidence, IntentAnswer, Outcome, StepReport

# ---- a plan from its cursor to its end ------------------------------------------------------------


@in_virtual_time
async def test_run_walks_its_plan_and_reports_every_step_in_order() -> None:
    bench = Bench()

    outcome = await bench.run(SCROLL, watch(5), SCROLL)

    assert outcome == Outcome("COMPLETED", storage_state=STATE)
    assert bench.tools.plan_length == 3
    assert bench.results == [(0, "DONE"), (1, "DONE"), (2, "DONE")]
    assert bench.called("wheel", "dwell") == [("wheel", 900), ("dwell", 5.0), ("wheel", 900)]
    assert bench.opener.open == 0


@in_virtual_time
async def test_report_says_what_was_done_when_and_where() -> None:
    bench = Bench()
    spec = run_spec(SCROLL, watch(5), attempt=3)

    await runner.run_account(spec, bench.tools, bench.signals)

    report = bench.tools.reports[1]
    assert report == StepReport(
        spec.lease,
        3,
        1,
        "steps[1]",
        "watch",
        "watch 5 s",
        "DONE",
        report.started_at,
        report.ended_at,
        "",
        FEED,
    )
    assert report.ended_at - report.started_at == timedelta(seconds=5)
    assert report.started_at >= EPOCH


@in_virtual_time
async def test_run_resumed_at_a_cursor_opens_the_resume_url_and_repeats_nothing() -> None:
    bench = Bench()

    outcome = await bench.run(LIKE, SCROLL, watch(5), cursor=2, resume_url=SITE.url("/away"), attempt=2)

    assert outcome.status == "COMPLETED"
    assert bench.results == [(2, "DONE")]
    assert bench.called("goto")[:2] == [("goto", FEED), ("goto", SITE.url("/away"))]
    assert bench.called("click", "wheel", "intent") == []
    assert bench.log_of("run_started") == "attempt 2, step 2 of 3"


@in_virtual_time
async def test_run_resumed_behind_its_last_step_completes_without_opening_the_resume_url() -> None:
    bench = Bench()

    outcome = await bench.run(SCROLL, cursor=1, resume_url=SITE.url("/away"))

    assert outcome.status == "COMPLETED"
    assert bench.results == []
    assert ("goto", SITE.url("/away")) not in bench.tools.journal


@in_virtual_time
async def test_run_from_its_first_step_has_no_page_to_go_back_to() -> None:
    bench = Bench()

    await bench.run(SCROLL, cursor=0, resume_url=SITE.url("/away"))

    assert bench.called("goto") == [("goto", FEED)]


@pytest.mark.parametrize("url", ["", "about:blank", "chrome-error://chromewebdata/"])
@in_virtual_time
async def test_run_resumed_without_a_page_to_go_back_to_stays_where_it_is(url: str) -> None:
    bench = Bench()

    outcome = await bench.run(watch(1), SCROLL, cursor=1, resume_url=url)

    assert outcome.status == "COMPLETED"
    assert bench.results == [(1, "DONE")]


@in_virtual_time
async def test_run_whose_resume_url_is_gone_fails_and_says_where() -> None:
    bench = Bench()

    outcome = await bench.run(SCROLL, SCROLL, cursor=1, resume_url=SITE.url("/gone"))

    assert (outcome.status, outcome.reason) == (
        "FAILED",
        "resume: the site answered 404 for http://site.test/gone",
    )
    assert bench.results == []


@in_virtual_time
async def test_run_waits_for_its_start_delay_before_it_opens_a_page() -> None:
    bench = Bench()
    begin = now()

    def opened_late(page: FakePage) -> None:
        assert now() == begin + 20

    bench.prepare = opened_late

    outcome = await bench.run(SCROLL, start_delay_seconds=20)

    assert outcome.status == "COMPLETED"


@in_virtual_time
async def test_step_that_opens_the_page_of_the_probe_does_not_open_it_again() -> None:
    bench = Bench()

    await bench.run(OPEN_FEED, OPEN_AWAY)

    assert [step.detail for step in bench.tools.reports] == ["was open already", ""]
    # The last one is the probe at the end.
    assert bench.called("goto") == [("goto", FEED), ("goto", SITE.url("/away")), ("goto", FEED)]


@in_virtual_time
async def test_step_that_opens_the_page_of_the_probe_later_opens_it_again() -> None:
    bench = Bench()

    await bench.run(SCROLL, OPEN_FEED)

    assert bench.called("goto") == [("goto", FEED), ("goto", FEED)]


@in_virtual_time
async def test_step_takes_its_own_timeout_before_the_setting() -> None:
    bench = Bench(screens(away=Screen(hangs=True)))
    begin = now()

    outcome = await bench.run(OPEN_AWAY | {"timeout_seconds": 3})

    assert outcome.reason == "steps[0] open away: opening http://site.test/away: not done after 3 s"
    assert now() - begin < 4


@in_virtual_time
async def test_run_of_a_fresh_account_logs_in_and_says_so() -> None:
    bench = Bench()

    outcome = await bench.run(SCROLL, account=account(storage_state=None))

    assert outcome == Outcome("COMPLETED", storage_state=STATE, logged_in_now=True)
    assert bench.logged[:2] == ["run_started", "logged_in"]


@in_virtual_time
async def test_run_logs_its_steps_and_its_end() -> None:
    bench = Bench()

    await bench.run(SCROLL)

    assert [(line.level, line.event, line.text) for line in bench.tools.lines] == [
        ("INFO", "run_started", "attempt 1, step 0 of 1"),
        ("DEBUG", "step_done", "0 scroll 900 px"),
        ("INFO", "run_ended", "COMPLETED"),
    ]
    assert {line.lease for line in bench.tools.lines} == {run_spec().lease}


@pytest.mark.parametrize(
    ("playbook", "reason"),
    [
        ({"name": "browse", "steps": [{"do": "dance"}]}, "steps[0].do"),
        ({"name": "browse", "steps": []}, "must not be empty"),
        ({}, "name"),
        (None, "playbook"),
    ],
)
@in_virtual_time
async def test_run_of_an_invalid_playbook_fails_without_a_page(playbook: Any, reason: str) -> None:
    bench = Bench()

    outcome = await bench.run(playbook=playbook)

    assert outcome.status == "FAILED"
    assert reason in outcome.reason
    assert bench.opener.pages == []


# ---- what an error means ----------------------------------------------------------------------------

Row = tuple[WarmupError, str, str, float]

# An error of a step, the status that its docstring promises, the reason, the seconds until a retry.
AT = "steps[0] scroll 900 px: "
ERRORS: list[Row] = [
    (BrowserError("odd"), "FAILED", f"{AT}odd", 0),
    (BrowserLost("it died"), "PENDING", f"{AT}it died", 1),
    (PageCrashed("it crashed"), "PENDING", f"{AT}it crashed", 5),
    (PageTimeout("not done"), "FAILED", f"{AT}not done", 0),
    (NavigationFailed("net::ERR_X"), "FAILED", f"{AT}net::ERR_X", 0),
    (ForbiddenUrl("host not allowed"), "FAILED", f"{AT}host not allowed", 0),
    (ElementMissing("not there"), "FAILED", f"{AT}not there", 0),
    (StateRejected("damaged"), "FAILED", f"{AT}damaged", 0),
    (HttpError(500, "http://a/"), "FAILED", f"{AT}the site answered 500 for http://a/", 0),
    (RateLimited("http://a/", None), "PENDING", f"{AT}the site answered 429 for http://a/", 30),
    (ChallengeShown("a challenge"), "PARKED", "challenge", 0),
    (LoggedOut("logged out"), "PARKED", "logged_out", 0),
    (InDoubt("nobody knows"), "PARKED", "in_doubt", 0),
    (SecretUnreadable("no key opens it"), "FAILED", f"{AT}no key opens it", 0),
    (InvalidInput(["a", "b"]), "FAILED", f"{AT}a; b", 0),
]
ABANDONING = [LeaseLost("lost"), DatabaseUnavailable("away")]
# Bases, and what is not raised for a run.
OTHERS = {"WarmupError", "Abandoned", "Parked", "IllegalTransition", "NotFound", "BrowserUnavailable"} | {
    "AppendOnly",
    "DiskFull",
    "MessageRefused",
}


def name_of(value: object) -> str:
    return type(value).__name__ if isinstance(value, Exception) else ""


@pytest.mark.parametrize(("error", "status", "reason", "seconds"), ERRORS, ids=name_of)
@in_virtual_time
async def test_error_of_a_step_ends_the_run_as_its_docstring_says(
    error: BrowserError, status: str, reason: str, seconds: float
) -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("wheel", error)

    outcome = await bench.run(SCROLL, SCROLL)

    assert (outcome.status, outcome.reason, outcome.retry_after_seconds) == (status, reason, seconds)
    assert outcome.counts_as_attempt
    assert outcome.storage_state is None
    assert bench.results == [(0, "FAILED")]
    assert bench.tools.reports[0].detail == str(error)
    assert bench.opener.open == 0


@pytest.mark.parametrize("error", ABANDONING, ids=name_of)
@in_virtual_time
async def test_error_that_abandons_the_run_is_raised_and_nothing_more_is_written(error: BrowserError) -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("wheel", error)

    with pytest.raises(type(error)):
        await bench.run(SCROLL)

    assert bench.tools.reports == []
    assert bench.logged == ["run_started"]
    assert bench.tools.kept == []
    assert bench.opener.open == 0


def test_error_table_has_every_class_of_the_tree() -> None:
    classes = inspect.getmembers(errors, inspect.isclass)
    ours = {name for name, found in classes if issubclass(found, WarmupError)}

    assert {name_of(row[0]) for row in ERRORS} | {name_of(error) for error in ABANDONING} | OTHERS == ours


@pytest.mark.parametrize("error", [StateRejected("damaged"), PageTimeout("no context")], ids=name_of)
@in_virtual_time
async def test_page_that_cannot_be_opened_fails_the_run(error: BrowserError) -> None:
    bench = Bench()
    bench.opener.refusals.append(error)

    outcome = await bench.run(SCROLL)

    assert outcome == Outcome("FAILED", reason=str(error))
    assert bench.opener.pages == []


@in_virtual_time
async def test_browser_that_is_lost_before_the_page_opens_gives_the_run_back() -> None:
    bench = Bench()
    bench.opener.refusals.append(BrowserLost("it died"))

    outcome = await bench.run(SCROLL, attempt=2)

    assert outcome == Outcome("PENDING", reason="it died", retry_after_seconds=2)


@pytest.mark.parametrize(
    ("error", "attempt", "seconds"),
    [
        (BrowserLost("x"), 3, 3),
        (PageCrashed("x"), 4, 20),
        (RateLimited("x", None), 2, 60),
        (RateLimited("x", None), 5, 480),
        (RateLimited("x", None), 6, 900),
        (RateLimited("x", None), 5000, 900),
        (RateLimited("x", timedelta(seconds=7)), 6, 7),
        (RateLimited("x", timedelta()), 1, 30),
        (RateLimited("x", timedelta(days=1)), 1, 900),
    ],
)
def test_back_off_grows_with_the_attempts_up_to_its_bound(
    error: WarmupError, attempt: int, seconds: float
) -> None:
    outcome = outcome_of(error, attempt, place="")

    assert outcome.status == "PENDING"
    assert outcome.retry_after_seconds == seconds


@in_virtual_time
async def test_run_that_the_site_asks_to_wait_waits_that_long() -> None:
    bench = Bench(screens(away=Screen(status=429, retry_after=timedelta(seconds=77))))

    outcome = await bench.run(OPEN_AWAY)

    assert (outcome.status, outcome.retry_after_seconds) == ("PENDING", 77)


@pytest.mark.parametrize("screen", [CHALLENGE, FORM], ids=["challenge", "form"])
@in_virtual_time
async def test_run_that_the_site_asks_to_wait_waits_whatever_the_page_shows(screen: Screen) -> None:
    bench = Bench(screens(away=replace(screen, status=429)))

    outcome = await bench.run(OPEN_AWAY)

    assert (outcome.status, outcome.retry_after_seconds) == ("PENDING", 30)


@in_virtual_time
async def test_action_that_hangs_is_ended_by_our_own_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(step: PlanStep, context: Any) -> str:
        await asyncio.Event().wait()
        return "never"

    monkeypatch.setattr(runner, "perform", hang)
    bench = Bench()
    begin = now()

    outcome = await bench.run(watch(4, timeout_seconds=3))

    assert outcome.status == "FAILED"
    assert outcome.reason == "steps[0] watch 4 s: not done after 7 s"
    assert 7 < now() - begin < 9


@pytest.mark.parametrize(
    ("screen", "reason"), [(CHALLENGE, "challenge"), (FORM, "logged_out")], ids=["challenge", "form"]
)
@in_virtual_time
async def test_step_that_fails_because_of_what_stands_in_its_way_parks_the_account(
    screen: Screen, reason: str
) -> None:
    bench = Bench(screens(away=replace(screen, status=403)))

    outcome = await bench.run(OPEN_AWAY)

    assert (outcome.status, outcome.reason) == ("PARKED", reason)
    assert outcome.detail.startswith("steps[0] open away: ")
    assert bench.results == [(0, "FAILED")]
    assert "challenge" in bench.tools.reports[0].detail or "log in" in bench.tools.reports[0].detail
    assert ("WARNING", "run_failed") in [(line.level, line.event) for line in bench.tools.lines]


def breaks(page: FakePage) -> None:
    """From the wheel on the page answers nothing in time."""

    async def wheel(pixels: int, *, timeout: float) -> None:
        page.hanging = True
        raise ElementMissing("not there")

    page.wheel = wheel  # type: ignore[method-assign]


@in_virtual_time
async def test_step_that_fails_on_a_page_that_cannot_be_looked_at_keeps_its_own_reason() -> None:
    bench = Bench()
    bench.prepare = breaks

    outcome = await bench.run(SCROLL)

    assert outcome.reason == f"{AT}not there"
    assert bench.log_of("page_check_failed") == "is_visible: not done after 5 s"


# ---- evidence ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_failure_keeps_a_screenshot_and_the_html_of_its_step() -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("fill", ElementMissing("not there"))
    spec = run_spec(BACK, SCROLL, {"do": "type", "target": "box", "text": "hi"}, attempt=2)

    await runner.run_account(spec, bench.tools, bench.signals)

    name = "failure at steps[2] type 'hi' into box"
    assert bench.tools.kept == [
        Evidence(spec.lease, 2, 2, "screenshot", name, PNG),
        Evidence(spec.lease, 2, 2, "html", name, b"<p>inside</p>"),
    ]


@in_virtual_time
async def test_failure_before_the_first_step_of_a_resumed_run_keeps_evidence_at_its_cursor() -> None:
    bench = Bench(screens(feed=CHALLENGE))

    outcome = await bench.run(SCROLL, SCROLL, cursor=1)

    assert (outcome.reason, outcome.detail) == ("challenge", "log-in: a challenge is shown")
    assert [(item.step, item.name) for item in bench.tools.kept] == [(1, "failure at log-in")] * 2


@in_virtual_time
async def test_html_that_no_encoding_can_hold_is_kept_without_it() -> None:
    bench = Bench(screens(away=Screen(status=500, html="a\ud800b")))

    await bench.run(OPEN_AWAY)

    assert bench.tools.kept[1].content == b"a?b"


@pytest.mark.parametrize("error", [PageCrashed("it crashed"), BrowserLost("it died")], ids=name_of)
@in_virtual_time
async def test_page_that_is_gone_is_not_asked_for_evidence(error: BrowserError) -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("wheel", error)

    await bench.run(SCROLL)

    assert bench.tools.kept == []
    assert bench.called("screenshot", "html") == []


@in_virtual_time
async def test_step_that_types_a_secret_leaves_no_evidence_and_no_text() -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("fill", ElementMissing("not there"))

    outcome = await bench.run(TYPE_SECRET)

    assert outcome.reason == "steps[0] type a secret into box: not there"
    assert bench.tools.kept == []
    assert bench.called("screenshot", "html") == []
    assert "tr3asure" not in repr((bench.tools.reports, bench.tools.lines, bench.tools.journal))


@in_virtual_time
async def test_step_after_a_secret_one_leaves_evidence_again() -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("wheel", ElementMissing("not there"))

    await bench.run(TYPE_SECRET, OPEN_AWAY, SCROLL)

    assert [item.step for item in bench.tools.kept] == [2, 2]


@pytest.mark.parametrize(("method", "kept"), [("screenshot", 0), ("html", 1)])
@in_virtual_time
async def test_evidence_that_cannot_be_taken_does_not_change_the_result(method: str, kept: int) -> None:
    bench = Bench()

    def prepare(page: FakePage) -> None:
        page.fail("wheel", ElementMissing("not there"))
        page.fail(method, PageTimeout("no answer"))

    bench.prepare = prepare

    outcome = await bench.run(SCROLL)

    assert outcome == Outcome("FAILED", reason=f"{AT}not there")
    assert len(bench.tools.kept) == kept
    assert bench.log_of("evidence_not_taken") == "no answer"


@in_virtual_time
async def test_screenshot_step_keeps_its_picture_under_its_name() -> None:
    bench = Bench()
    spec = run_spec(SCROLL, {"do": "screenshot", "name": "end"})

    await runner.run_account(spec, bench.tools, bench.signals)

    assert bench.tools.kept == [Evidence(spec.lease, 1, 1, "screenshot", "end", PNG)]


# ---- pause and stop ---------------------------------------------------------------------------------


@in_virtual_time
async def test_pause_gives_the_run_back_at_the_next_step_with_its_state() -> None:
    bench = Bench()
    bench.tools.on_report = lambda step: bench.signals.pause.set()

    outcome = await bench.run(SCROLL, SCROLL, SCROLL)

    assert outcome == Outcome("PENDING", counts_as_attempt=False, storage_state=STATE)
    assert bench.results == [(0, "DONE")]
    assert bench.log_of("run_ended") == "PENDING"


@in_virtual_time
async def test_pause_cuts_a_dwell_short_which_is_then_to_be_done_again() -> None:
    bench = Bench()
    begin = now()
    asyncio.get_running_loop().call_later(3, bench.signals.pause.set)

    outcome = await bench.run(SCROLL, watch(30))

    assert outcome.status == "PENDING"
    assert bench.results == [(0, "DONE")]
    assert now() - begin < 4


@in_virtual_time
async def test_pause_lets_a_step_that_does_not_dwell_end() -> None:
    bench = Bench(screens(away=Screen(appears={"#box": 20})))
    asyncio.get_running_loop().call_later(3, bench.signals.pause.set)

    outcome = await bench.run(OPEN_AWAY, {"do": "expect", "target": "box"}, SCROLL)

    assert outcome.status == "PENDING"
    assert bench.results == [(0, "DONE"), (1, "DONE")]


@pytest.mark.parametrize("effect", ["once", "ask"])
@in_virtual_time
async def test_pause_lets_a_dwell_that_must_happen_once_end(effect: str) -> None:
    bench = Bench()
    asyncio.get_running_loop().call_later(3, bench.signals.pause.set)

    outcome = await bench.run(watch(20, effect=effect), SCROLL)

    assert outcome.status == "PENDING"
    assert bench.results == [(0, "DONE")]


@in_virtual_time
async def test_pause_during_the_start_delay_gives_the_run_back_without_a_page() -> None:
    bench = Bench()
    begin = now()
    asyncio.get_running_loop().call_later(3, bench.signals.pause.set)

    outcome = await bench.run(SCROLL, start_delay_seconds=600)

    assert outcome == Outcome("PENDING", counts_as_attempt=False)
    assert now() - begin == 3
    assert bench.opener.pages == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_virtual_time
async def test_pause_during_the_log_in_gives_the_run_back_without_a_state() -> None:
    bench = Bench(screens(login=Screen(visible=["#username", "#password"], appears={"#go": 20})))
    asyncio.get_running_loop().call_later(3, bench.signals.pause.set)

    outcome = await bench.run(SCROLL, account=account(storage_state=None))

    assert outcome == Outcome("PENDING", counts_as_attempt=False)
    assert bench.results == []


@pytest.mark.parametrize(
    ("signals", "status"), [(["pause"], "PENDING"), (["stop"], "STOPPED"), (["pause", "stop"], "STOPPED")]
)
@in_virtual_time
async def test_run_that_was_asked_before_it_began_opens_nothing(signals: list[str], status: str) -> None:
    bench = Bench()
    for name in signals:
        getattr(bench.signals, name).set()

    outcome = await bench.run(SCROLL)

    assert outcome.status == status
    assert bench.opener.pages == []


@in_virtual_time
async def test_stop_cancels_the_running_step_and_keeps_the_state() -> None:
    bench = Bench(screens(away=Screen(hangs=True)))
    begin = now()
    asyncio.get_running_loop().call_later(3, bench.signals.stop.set)

    outcome = await bench.run(SCROLL, OPEN_AWAY)

    assert outcome == Outcome("STOPPED", reason="stopped by a person", storage_state=STATE)
    assert bench.results == [(0, "DONE")]
    assert now() - begin < 4
    assert bench.opener.open == 0


@in_virtual_time
async def test_stop_comes_before_a_pause() -> None:
    bench = Bench()

    def ask(step: StepReport) -> None:
        bench.signals.pause.set()
        bench.signals.stop.set()

    bench.tools.on_report = ask

    outcome = await bench.run(SCROLL, SCROLL)

    assert outcome.status == "STOPPED"


@in_virtual_time
async def test_stop_that_arrives_as_a_step_ends_keeps_its_report() -> None:
    bench = Bench(screens(feed=replace(INSIDE, on_click={".like": lambda page: bench.signals.stop.set()})))

    outcome = await bench.run(LIKE, SCROLL)

    assert outcome.status == "STOPPED"
    assert bench.results == [(0, "DONE")]


@in_virtual_time
async def test_cancelled_run_closes_its_page_and_leaves_no_task() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.run(watch(30)))
    await until(lambda: bench.called("dwell"))

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert bench.opener.open == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ---- steps that must happen once --------------------------------------------------------------------


@in_virtual_time
async def test_once_step_is_made_durable_before_it_acts_and_reported_after() -> None:
    bench = Bench()

    outcome = await bench.run(SCROLL, LIKE)

    assert outcome.status == "COMPLETED"
    assert bench.called("wheel", "report", "flush", "intent", "click") == [
        ("wheel", 900),
        ("report", 0, "DONE"),
        ("flush",),
        ("intent", 1),
        ("click", ".like", 0),
        ("report", 1, "DONE"),
        ("flush",),
    ]


@in_virtual_time
async def test_once_step_beyond_the_daily_limit_is_skipped() -> None:
    bench = Bench()
    bench.tools.answer = lambda step: "limit_reached"

    outcome = await bench.run(LIKE, SCROLL)

    assert outcome.status == "COMPLETED"
    assert bench.called("click") == []
    assert bench.results == [(0, "SKIPPED"), (1, "DONE")]
    assert bench.tools.reports[0].detail == "the daily limit of 'like' is reached"
    assert "step_skipped" in bench.logged


@in_virtual_time
async def test_once_step_whose_lease_is_lost_with_the_intent_does_not_act() -> None:
    bench = Bench()

    def refuse(step: PlanStep) -> IntentAnswer:
        raise LeaseLost("it belongs to somebody else")

    bench.tools.answer = refuse

    with pytest.raises(LeaseLost):
        await bench.run(LIKE)
    assert bench.called("click", "report") == []


@in_virtual_time
async def test_once_step_whose_lease_grew_old_over_the_intent_does_not_act() -> None:
    bench = Bench()

    def answer(step: PlanStep) -> IntentAnswer:
        bench.tools.lost = True
        return "go"

    bench.tools.answer = answer

    with pytest.raises(LeaseLost):
        await bench.run(LIKE)
    assert bench.called("click", "report") == []


@in_virtual_time
async def test_once_step_whose_intent_is_recorded_acts_though_a_pause_came_meanwhile() -> None:
    bench = Bench()

    def answer(step: PlanStep) -> IntentAnswer:
        bench.signals.pause.set()
        return "go"

    bench.tools.answer = answer

    outcome = await bench.run(LIKE, SCROLL)

    # Otherwise the step would be in doubt, and its account parked.
    assert outcome.status == "PENDING"
    assert bench.called("click", "report") == [("click", ".like", 0), ("report", 0, "DONE")]


@in_virtual_time
async def test_run_whose_lease_is_lost_begins_no_step() -> None:
    bench = Bench()
    bench.tools.on_report = lambda step: setattr(bench.tools, "lost", True)

    with pytest.raises(LeaseLost):
        await bench.run(SCROLL, SCROLL)
    assert bench.results == [(0, "DONE")]
    assert bench.called("wheel") == [("wheel", 900)]


@in_virtual_time
async def test_run_whose_lease_is_lost_during_the_start_delay_opens_no_page() -> None:
    bench = Bench()
    bench.tools.lost = True

    with pytest.raises(LeaseLost):
        await bench.run(SCROLL, start_delay_seconds=5)
    assert bench.opener.pages == []


def liked(page: FakePage) -> Screen:
    return Screen(visible=[".card", ".like", ".liked"])


@in_virtual_time
async def test_step_in_doubt_that_shows_as_done_is_not_done_again() -> None:
    bench = Bench(screens(feed=liked))

    outcome = await bench.run(LIKE, SCROLL, in_doubt=True)

    assert outcome.status == "COMPLETED"
    assert bench.called("click", "intent") == []
    assert bench.results == [(0, "DONE"), (1, "DONE")]
    assert bench.tools.reports[0].detail == "had happened already, by its probe"


@in_virtual_time
async def test_step_in_doubt_that_does_not_show_as_done_acts() -> None:
    bench = Bench()

    outcome = await bench.run(LIKE, in_doubt=True)

    assert outcome.status == "COMPLETED"
    assert bench.called("intent", "click") == [("intent", 0), ("click", ".like", 0)]


@pytest.mark.parametrize(
    "step",
    [{"do": "click", "target": "like"}, LIKE | {"effect": "ask"}],
    ids=["without a probe", "ask"],
)
@in_virtual_time
async def test_step_in_doubt_that_nothing_settles_parks_the_account(step: dict[str, Any]) -> None:
    bench = Bench(screens(feed=liked))

    outcome = await bench.run(step, in_doubt=True)

    assert (outcome.status, outcome.reason) == ("PARKED", "in_doubt")
    assert bench.called("click", "intent", "report") == []


@in_virtual_time
async def test_doubt_is_about_the_step_at_the_cursor_only() -> None:
    bench = Bench()

    outcome = await bench.run(SCROLL, LIKE | {"effect": "ask"}, cursor=0, in_doubt=True)

    assert outcome.status == "COMPLETED"
    assert bench.called("click") == [("click", ".like", 0)]


def dies_after_the_click(error: BrowserError) -> Screen:
    def click(page: FakePage) -> None:
        raise error

    return replace(INSIDE, on_click={".like": click})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BrowserLost("it died"), "PENDING"),
        (PageCrashed("it crashed"), "PENDING"),
        (PageTimeout("late"), "FAILED"),
    ],
    ids=name_of,
)
@in_virtual_time
async def test_once_step_that_may_have_happened_leaves_its_intent_as_it_is(
    error: BrowserError, status: str
) -> None:
    bench = Bench(screens(feed=dies_after_the_click(error)))

    outcome = await bench.run(LIKE, SCROLL)

    assert outcome.status == status
    assert bench.called("intent", "report") == [("intent", 0)]


@in_virtual_time
async def test_once_step_that_could_not_act_is_reported_as_failed() -> None:
    bench = Bench(screens(feed=dies_after_the_click(ElementMissing("covered"))))

    outcome = await bench.run(LIKE)

    assert outcome.status == "FAILED"
    assert bench.results == [(0, "FAILED")]


@in_virtual_time
async def test_once_step_that_a_challenge_answers_leaves_its_intent_as_it_is() -> None:
    def challenge(page: FakePage) -> None:
        page.show("#challenge")

    bench = Bench(screens(feed=replace(INSIDE, on_click={".like": challenge})))

    outcome = await bench.run(LIKE)

    assert (outcome.status, outcome.reason) == ("PARKED", "challenge")
    # Reported as FAILED, it would be done again when the account goes on.
    assert bench.called("click", "intent", "report") == [("intent", 0), ("click", ".like", 0)]


# ---- the state, and the end -------------------------------------------------------------------------


@in_virtual_time
async def test_state_of_an_account_that_is_logged_out_at_the_end_is_not_saved() -> None:
    def log_out(page: FakePage) -> None:
        page.state = {"cookies": [], "origins": []}

    bench = Bench(screens(away=Screen(visible=[".like"], on_click={".like": log_out})))

    outcome = await bench.run(OPEN_AWAY, LIKE)

    assert outcome == Outcome("COMPLETED")
    assert bench.log_of("state_not_saved") == "the logged-in probe does not pass any more"


@in_virtual_time
async def test_state_that_cannot_be_read_does_not_change_the_result() -> None:
    bench = Bench()
    bench.prepare = lambda page: page.fail("storage_state", PageTimeout("no answer"))

    outcome = await bench.run(SCROLL)

    assert outcome == Outcome("COMPLETED")
    assert bench.log_of("state_not_saved") == "no answer"


@in_virtual_time
async def test_state_of_a_site_without_a_probe_is_saved_as_it_is() -> None:
    bench = Bench()

    outcome = await bench.run(OPEN_AWAY, site=replace(SITE, logged_in=None))

    assert outcome == Outcome("COMPLETED", storage_state=STATE)
    assert bench.called("goto") == [("goto", SITE.url("/away"))]


@in_virtual_time
async def test_challenge_at_the_end_parks_the_account_with_evidence() -> None:
    def challenged(page: FakePage) -> Screen:
        return CHALLENGE if page.navigations else INSIDE

    bench = Bench(screens(feed=challenged))

    outcome = await bench.run(OPEN_AWAY)

    assert outcome == Outcome("PARKED", reason="challenge", detail="the end: a challenge is shown at the end")
    assert bench.results == [(0, "DONE")]
    assert [item.name for item in bench.tools.kept] == ["failure at the end"] * 2


@in_virtual_time
async def test_challenge_when_the_run_is_given_back_only_leaves_the_state_unsaved() -> None:
    def challenged(page: FakePage) -> Screen:
        return CHALLENGE if page.navigations else INSIDE

    bench = Bench(screens(feed=challenged))
    bench.tools.on_report = lambda step: bench.signals.pause.set()

    outcome = await bench.run(OPEN_AWAY, SCROLL)

    assert outcome == Outcome("PENDING", counts_as_attempt=False)
    assert bench.tools.kept == []


ASKED = pytest.mark.parametrize(
    ("signal", "status", "seconds"), [("pause", "PENDING", 5), ("stop", "STOPPED", 1.5)]
)


@ASKED
@in_virtual_time
async def test_run_that_is_asked_to_end_waits_for_a_page_that_hangs_for_a_short_time_only(
    signal: str, status: str, seconds: float
) -> None:
    bench = Bench()

    def ask(step: StepReport) -> None:
        getattr(bench.signals, signal).set()
        bench.page.hanging = True

    bench.tools.on_report = ask
    begin = now()

    outcome = await bench.run(OPEN_AWAY, SCROLL)

    assert (outcome.status, outcome.storage_state) == (status, None)
    assert now() - begin == seconds


@ASKED
@in_virtual_time
async def test_run_that_is_asked_to_end_waits_for_a_state_that_does_not_come_for_a_short_time_only(
    signal: str, status: str, seconds: float
) -> None:
    bench = Bench()
    bench.tools.on_report = lambda step: getattr(bench.signals, signal).set()

    def slow(page: FakePage) -> None:
        async def storage_state(*, timeout: float) -> dict[str, Any]:
            await asyncio.sleep(timeout)
            raise PageTimeout("no answer")

        page.storage_state = storage_state  # type: ignore[method-assign]

    bench.prepare = slow
    begin = now()

    outcome = await bench.run(SCROLL, SCROLL)

    assert (outcome.status, outcome.storage_state) == (status, None)
    assert now() - begin == seconds


# ---- what the page does by itself -------------------------------------------------------------------


@in_virtual_time
async def test_events_of_the_page_are_logged_once_each() -> None:
    bench = Bench()
    bench.prepare = lambda page: page.record("dialog", "alert: hello")
    bench.tools.on_report = lambda step: bench.page.record("console", f"step {step.index}")

    await bench.run(SCROLL, SCROLL)

    assert [(line.level, line.event, line.text) for line in bench.tools.lines if "page_" in line.event] == [
        ("INFO", "page_dialog", "alert: hello"),
        ("DEBUG", "page_console", "step 0"),
        ("DEBUG", "page_console", "step 1"),
    ]


@in_virtual_time
async def test_events_of_a_talkative_page_go_on_being_logged() -> None:
    bench = Bench()

    def talk(step: StepReport) -> None:
        for _ in range(150):
            bench.page.record("console", "the same again")

    bench.tools.on_report = talk

    await bench.run(SCROLL, SCROLL, SCROLL)

    assert bench.logged.count("page_console") == 450


@in_virtual_time
async def test_events_before_a_failure_are_logged() -> None:
    bench = Bench(screens(away=Screen(crashes_after=10)))

    outcome = await bench.run(OPEN_AWAY, watch(20))

    assert outcome.status == "PENDING"
    assert bench.log_of("page_crash") == "the page crashed"


@in_virtual_time
async def test_events_of_a_step_that_leaves_no_report_are_logged() -> None:
    def click(page: FakePage) -> None:
        page.record("dialog", "alert: last words")
        raise PageCrashed("it crashed")

    bench = Bench(screens(feed=replace(INSIDE, on_click={".like": click})))

    await bench.run(LIKE)

    assert bench.results == []
    assert bench.log_of("page_dialog") == "alert: last words"


@in_virtual_time
async def test_password_appears_in_nothing_that_a_run_says() -> None:
    bench = Bench()

    await bench.run(SCROLL, account=account(storage_state=None))

    assert ("fill", "#password", "[hidden]") in bench.tools.journal
    assert PASSWORD not in repr((bench.tools.reports, bench.tools.lines, bench.tools.journal))


@in_virtual_time
async def test_what_the_guard_refused_is_logged_with_its_count_at_the_end() -> None:
    bench = Bench()

    def refuse(page: FakePage) -> None:
        page.refused = {("tracker.test", 443, "host"): 12}

    bench.prepare = refuse

    await bench.run(SCROLL)

    assert bench.log_of("egress_refused") == "tracker.test:443: host (times 12)"
