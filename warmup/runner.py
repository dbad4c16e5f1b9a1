"""One account's run: specs and a plan in, an `Outcome` out. Knows no ORM and no HTTP.

What it needs of the world comes in as `Tools`; what is asked of it meanwhile, as `Signals`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile
from typing import Any, Protocol

import structlog

from core.errors import (
    Abandoned,
    BrowserError,
    BrowserLost,
    InDoubt,
    PageCrashed,
    PageTimeout,
    Parked,
    RateLimited,
    WarmupError,
)
from core.page import OpenPage, Page, PageEvent
from core.scrubbing import Scrubber, forget_context, secrets_of
from core.types import StorageState
from warmup.gate import Gate
from warmup.plan import Plan, PlanStep
from warmup.playbooks.actions import ActionContext, perform
from warmup.playbooks.expand import expand
from warmup.playbooks.schema import parse_playbook
from warmup.playbooks.secret_texts import words_of
from warmup.types import Evidence, IntentAnswer, Level, LogEntry, Outcome, RunSpec, StepReport, StepResult

log = structlog.get_logger(__name__)

# How long the last acts of a run may take: a probe before the state is saved, a failure's evidence.
CLOSING_SECONDS = 5.0
# A stop is waited for by a person: it is to have taken effect within 5 s, whatever the page does.
STOPPING_SECONDS = 1.5
CRASH_BACKOFF_SECONDS = 5.0
# A browser's death says nothing about the account: its next one is to be up within 10 s.
LOST_BROWSER_BACKOFF_SECONDS = 1.0
RATE_BACKOFF_SECONDS = 30.0
RATE_BACKOFF_MAX_SECONDS = 900.0


@dataclass(slots=True)
class Signals:
    """What is asked of the runs of a slice.

    `pause`: give the run back at the next step boundary (dwelling is cut short). `stop`: end it now.
    """

    pause: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Tools(Protocol):
    """What a run may do outside its page. Everything here is the slice's (`warmup.slices`)."""

    open_page: OpenPage
    step_timeout_seconds: float

    def now(self) -> datetime: ...
    def check_lease(self, spec: RunSpec) -> None:
        """Raises `LeaseLost` when the run is no longer ours to act for."""

    def report(self, step: StepReport) -> None: ...
    def log(self, entry: LogEntry) -> None: ...
    async def flush(self) -> None: ...
    async def plan_made(self, spec: RunSpec, steps: int) -> None: ...
    async def record_intent(self, spec: RunSpec, step: PlanStep) -> IntentAnswer: ...
    async def keep(self, evidence: Evidence) -> None: ...


class _Interrupted(Exception):
    """The run is asked to give itself back, or to end."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.status)
        self.outcome = outcome


GIVEN_BACK = Outcome("PENDING", counts_as_attempt=False)
STOPPED = Outcome("STOPPED", reason="stopped by a person")


async def run_account(spec: RunSpec, tools: Tools, signals: Signals) -> Outcome:
    """Walk one run from its cursor to its end.

    Raises `Abandoned`, after which nothing may be written; every other failure is an `Outcome`.
    """
    scrub = Scrubber(secrets_of(spec.account))
    try:
        playbook = parse_playbook(spec.playbook)
        for word in words_of(playbook.definition()):
            scrub.hide(word)
        plan = expand(playbook, spec.seed)
        await tools.plan_made(spec, len(plan))
        await _interruptible(asyncio.sleep(spec.start_delay_seconds), signals, at_pause=True)
        tools.check_lease(spec)
        async with tools.open_page(spec.site, spec.account) as page:
            return await _Walk(spec, plan, page, tools, signals, scrub).outcome()
    except _Interrupted as asked:
        return asked.outcome
    except Abandoned as error:
        forget_context(error)
        raise
    except WarmupError as error:
        # Before or around the page: the context could not be made, or could not be closed.
        return _scrubbed(outcome_of(error, spec.attempt, place=""), scrub)
    except Exception as error:  # a fault of ours fails this run, with its name, and no other
        trace = scrub("".join(traceback.format_exception(error)))
        log.error("run_broke", run=spec.lease.run_id, exception=trace)
        reason = f"internal error: {type(error).__name__}: {error}"
        return _scrubbed(Outcome("FAILED", reason=reason), scrub)


def _scrubbed(outcome: Outcome, scrub: Scrubber) -> Outcome:
    return replace(outcome, reason=scrub(outcome.reason), detail=scrub(outcome.detail))


def outcome_of(error: WarmupError, attempt: int, *, place: str) -> Outcome:
    """What an error means for the run; the docstrings of `core.errors` say the same in words."""
    text = f"{place}: {error}" if place else str(error)
    if isinstance(error, Parked):
        return Outcome("PARKED", reason=error.reason, detail=text)
    if isinstance(error, RateLimited):
        doublings = min(attempt - 1, 10)  # attempts only ever grow, and a float has an end
        wait = error.retry_after.total_seconds() if error.retry_after else RATE_BACKOFF_SECONDS * 2**doublings
        return Outcome("PENDING", reason=text, retry_after_seconds=min(wait, RATE_BACKOFF_MAX_SECONDS))
    if isinstance(error, (BrowserLost, PageCrashed)):
        lost = isinstance(error, BrowserLost)
        wait = (LOST_BROWSER_BACKOFF_SECONDS if lost else CRASH_BACKOFF_SECONDS) * attempt
        return Outcome("PENDING", reason=text, retry_after_seconds=wait)
    return Outcome("FAILED", reason=text)


async def _interruptible(work: Coroutine[Any, Any, Any], signals: Signals, *, at_pause: bool) -> Any:
    """Await `work`, cut short by a stop, and by a pause too if `at_pause`."""
    if signals.stop.is_set() or (at_pause and signals.pause.is_set()):
        work.close()
        raise _Interrupted(STOPPED if signals.stop.is_set() else GIVEN_BACK)
    events = [signals.stop, *([signals.pause] if at_pause else [])]
    task = asyncio.ensure_future(work)
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait([task, *waiters], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise _Interrupted(STOPPED if signals.stop.is_set() else GIVEN_BACK)
    finally:
        for pending in (task, *waiters):
            pending.cancel()
        # Nothing outlives the run: also what was just cancelled is awaited.
        await asyncio.gather(task, *waiters, return_exceptions=True)


class _Walk:
    """The passage through one open page."""

    def __init__(
        self, spec: RunSpec, plan: Plan, page: Page, tools: Tools, signals: Signals, scrub: Scrubber
    ) -> None:
        self.spec, self.plan, self.page, self.tools, self.signals = spec, plan, page, tools, signals
        self.scrub = scrub
        self.gate = Gate(page, spec.site, spec.account, tools.step_timeout_seconds)
        self.place = "log-in"
        self.index = spec.cursor
        self.secret_step = False
        # The page's navigations when a secret was typed: until the next one it stands there.
        self.typed_at: int | None = None
        # Whether what a log-in has brought is known to `scrub`; until then the page is not quoted.
        self.session_known = False
        self.last_event: PageEvent | None = None

    async def outcome(self) -> Outcome:
        """Walk, and turn what happened into an outcome, with its evidence and the state to save."""
        try:
            await self._walk()
        except _Interrupted as asked:
            return await self._with_state(asked.outcome)
        except Abandoned:
            raise
        except WarmupError as error:
            outcome = outcome_of(error, self.spec.attempt, place=self.place)
            self._log(
                "WARNING" if outcome.status == "PARKED" else "ERROR",
                "run_failed",
                outcome.detail or outcome.reason,
            )
            await self._keep_evidence(error)
            return self._marked(outcome)
        self.place = "the end"
        return await self._with_state(Outcome("COMPLETED"))

    async def _walk(self) -> None:
        start = self.spec.cursor
        self._log("INFO", "run_started", f"attempt {self.spec.attempt}, step {start} of {len(self.plan)}")
        try:
            await _interruptible(self.gate.enter(), self.signals, at_pause=True)
        except (BrowserError, Parked):
            await self._learn_session()
            raise
        if self.gate.logged_in_now:
            await self._learn_session()
            self._log("INFO", "logged_in")
        # Before its first navigation a page is at `about:blank`, and a failed one leaves an error page.
        if start and start < len(self.plan) and self.spec.resume_url.startswith(("http://", "https://")):
            self.place = "resume"
            await self.page.goto(self.spec.resume_url, timeout=self.tools.step_timeout_seconds)
        for step in self.plan[start:]:
            if self.signals.pause.is_set() or self.signals.stop.is_set():
                raise _Interrupted(STOPPED if self.signals.stop.is_set() else GIVEN_BACK)
            self.tools.check_lease(self.spec)
            await self._step(step)

    async def _learn_session(self) -> None:
        """Know what the log-in has brought: the page may say it."""
        if self.gate.typed_at is None:
            return
        try:
            state = await self.page.storage_state(timeout=STOPPING_SECONDS)
        except BrowserError as error:
            self._log("DEBUG", "session_not_read", str(error))
            return
        for value in secrets_of(replace(self.spec.account, storage_state=state)):
            self.scrub.hide(value)
        self.session_known = True

    async def _step(self, step: PlanStep) -> None:
        self.place, self.index = f"{step.place} {step.label}", step.index
        self.secret_step = bool(step.args.get("secret"))
        if self.secret_step:
            self.typed_at = self.page.navigations
        started = self.tools.now()
        if step.effect != "repeatable":
            settled = await self._before_once(step)
            if settled is not None:
                self._report(step, settled[0], started, settled[1])
                return
        timeout = step.timeout_seconds or self.tools.step_timeout_seconds
        # A `once` step is not cut short: it would be in doubt afterwards.
        at_pause = step.dwell_seconds > 0 and step.effect == "repeatable"
        acted = False
        try:
            detail = await _interruptible(self._act(step, timeout), self.signals, at_pause=at_pause)
            acted = True
            await self.gate.check_after(step)
        except Abandoned:
            raise
        except WarmupError as error:
            cause = await self._why(error)
            # An intent whose act may have happened stays an intent: a person, or the `done` probe, tells.
            doubtful = acted or isinstance(error, (BrowserLost, PageCrashed, PageTimeout))
            if step.effect == "repeatable" or not doubtful:
                self._report(step, "FAILED", started, str(cause))
            raise cause from error
        self._report(step, "DONE", started, detail)
        if step.effect != "repeatable":
            await self.tools.flush()

    async def _act(self, step: PlanStep, timeout: float) -> str:
        """The step itself, under our own deadline whatever the action does."""

        async def keep_screenshot(name: str, png: bytes) -> None:
            if self._shows_a_secret():
                self._log("WARNING", "screenshot_not_kept", "a secret text stands on the page")
            else:
                await self._keep(step.index, "screenshot", name, png)

        site = self.spec.site
        context = ActionContext(self.page, site, timeout, keep_screenshot)
        if step.do == "open" and self.gate.just_opened(site.url(context.path(step.args["target"]))):
            return "was open already"
        try:
            # A second more than the page's own deadlines, which give the better message.
            async with asyncio.timeout(step.dwell_seconds + timeout + 1.0):
                return await perform(step, context)
        except TimeoutError:
            raise PageTimeout(f"not done after {step.dwell_seconds + timeout:g} s") from None

    async def _before_once(self, step: PlanStep) -> tuple[StepResult, str] | None:
        """Settle a doubt about the step, then make its intent durable. None: act."""
        if self.spec.in_doubt and step.index == self.spec.cursor:
            if step.effect == "ask" or not step.done:
                raise InDoubt("it was begun before, and nothing tells whether it happened")
            if await self.page.is_visible(step.done, timeout=self.tools.step_timeout_seconds):
                return "DONE", "had happened already, by its probe"
        await self.tools.flush()
        if await self.tools.record_intent(self.spec, step) == "limit_reached":
            return "SKIPPED", f"the daily limit of '{step.counts_as}' is reached"
        self.tools.check_lease(self.spec)
        return None

    async def _why(self, error: WarmupError) -> WarmupError:
        """The reason behind a failed step: a challenge or a log-out explains it better."""
        if isinstance(error, (Parked, BrowserLost, PageCrashed, RateLimited)):
            return error
        try:
            await self.gate.check(timeout=CLOSING_SECONDS)
        except Parked as parked:
            return parked
        except BrowserError as failure:
            self._log("DEBUG", "page_check_failed", str(failure))
        return error

    async def _with_state(self, outcome: Outcome) -> Outcome:
        """The outcome, with the storage state to save if the account is still logged in."""
        state: StorageState | None = None
        timeout = {"COMPLETED": None, "STOPPED": STOPPING_SECONDS}.get(outcome.status, CLOSING_SECONDS)
        try:
            if await self.gate.still_logged_in(timeout):
                state = await self.page.storage_state(timeout=timeout or self.tools.step_timeout_seconds)
        except Parked as parked:
            if outcome.status == "COMPLETED":
                await self._keep_evidence(parked)
                return self._marked(outcome_of(parked, self.spec.attempt, place=self.place))
        except BrowserError as error:
            self._log("WARNING", "state_not_saved", str(error))
        else:
            if state is None and outcome.status == "COMPLETED":
                self._log("WARNING", "state_not_saved", "the logged-in probe does not pass any more")
        return self._marked(outcome, state)

    def _marked(self, outcome: Outcome, state: StorageState | None = None) -> Outcome:
        self._log_page_events()
        for (host, port, why), times in list(self.page.refused.items()):
            self._log("WARNING", "egress_refused", f"{host}:{port}: {why} (times {times})")
        self._log("INFO", "run_ended", f"{outcome.status} {outcome.reason}".strip())
        return replace(
            _scrubbed(outcome, self.scrub), storage_state=state, logged_in_now=self.gate.logged_in_now
        )

    async def _keep_evidence(self, error: WarmupError) -> None:
        """Screenshot and HTML of the page as it failed; none where a secret was typed."""
        if self.secret_step or self._shows_a_secret() or isinstance(error, (BrowserLost, PageCrashed)):
            return
        try:
            png = await self.page.screenshot(timeout=CLOSING_SECONDS)
            await self._keep(self.index, "screenshot", f"failure at {self.place}", png)
            html = await self.page.html(timeout=CLOSING_SECONDS)
            page = self.scrub(html).encode("utf-8", "replace")
            await self._keep(self.index, "html", f"failure at {self.place}", page)
        except BrowserError as failure:
            self._log("WARNING", "evidence_not_taken", str(failure))

    def _shows_a_secret(self) -> bool:
        return self.page.navigations in (self.typed_at, self.gate.typed_at)

    def _keep(self, step: int, kind: Any, name: str, content: bytes) -> Awaitable[None]:
        return self.tools.keep(Evidence(self.spec.lease, self.spec.attempt, step, kind, name, content))

    def _report(self, step: PlanStep, result: StepResult, started: datetime, detail: str) -> None:
        url = self.page.url
        self.tools.report(
            StepReport(
                self.spec.lease,
                self.spec.attempt,
                step.index,
                step.place,
                step.do,
                step.label,
                result,
                started,
                self.tools.now(),
                self.scrub(detail),
                # One with a secret in it is not gone back to.
                url if self.scrub(url) == url else "",
            )
        )
        self._log_page_events()
        if result == "DONE":
            self._log("DEBUG", "step_done", f"{step.index} {step.label} {detail}".rstrip())
        else:
            self._log("WARNING", f"step_{result.lower()}", f"{step.index} {step.label}: {detail}")

    def _log_page_events(self) -> None:
        if self.gate.typed_at is not None and not self.session_known:
            return
        # The page keeps the latest events only, so the last one seen is looked for, and not counted up to.
        fresh = list(takewhile(lambda event: event is not self.last_event, reversed(self.page.events)))
        for event in reversed(fresh):
            self._log("DEBUG" if event.kind == "console" else "INFO", f"page_{event.kind}", event.text)
        self.last_event = fresh[0] if fresh else self.last_event

    def _log(self, level: Level, event: str, text: str = "") -> None:
        self.tools.log(LogEntry(self.spec.lease, self.tools.now(), level, event, self.scrub(text)))
