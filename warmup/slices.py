"""A slice: one worker, one browser, many account runs at once, for a bounded time.

Four things go on beside the runs: claiming, one writer for all progress, one pulse that renews the
leases and hears what is asked, and a watch that stops runs whose lease may be gone. Knows no ORM: the
store comes in as awaitable functions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from core.errors import LeaseLost
from core.page import OpenPage
from warmup.plan import PlanStep
from warmup.runner import Signals, run_account
from warmup.types import (
    Control,
    Evidence,
    IntentAnswer,
    Lease,
    LogEntry,
    Outcome,
    RunSpec,
    StepReport,
)

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.5
POLL_SECONDS = 1.0
CLAIM_SECONDS = 2.0
# A slice without runs waits this long for a back-off to end, before it leaves that to a later one.
LINGER_SECONDS = 15.0
# A run may take this long to close once it was told to end.
CLOSE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Limits:
    """A slice's bounds; seconds, and `contexts` at once."""

    contexts: int
    slice_seconds: float
    lease_seconds: float
    heartbeat_seconds: float
    step_timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Store:
    """The awaitable functions of `warmup.store` that a slice needs (`jobs` makes them)."""

    claim: Callable[[int, int, str], Awaitable[list[RunSpec]]]
    seconds_until_work: Callable[[int], Awaitable[float | None]]
    poll: Callable[[int, Sequence[Lease]], Awaitable[Control]]
    heartbeat: Callable[[Sequence[Lease]], Awaitable[frozenset[Lease]]]
    beat: Callable[[], Awaitable[None]]
    write_progress: Callable[[Sequence[StepReport], Sequence[LogEntry]], Awaitable[frozenset[Lease]]]
    set_plan_length: Callable[[Lease, int], Awaitable[bool]]
    record_intent: Callable[[Lease, int, PlanStep], Awaitable[IntentAnswer | None]]
    save_evidence: Callable[[Evidence], Awaitable[bool]]
    finish: Callable[[Lease, Outcome], Awaitable[bool]]


@dataclass(slots=True)
class _Held:
    """A run in this slice."""

    spec: RunSpec
    task: asyncio.Task[None]
    lost: bool = False


class Slice:
    """See the module. `run()` is its life; the other public names are the `Tools` of its runs."""

    def __init__(
        self,
        task_id: int,
        *,
        store: Store,
        open_page: OpenPage,
        browser_alive: Callable[[], bool],
        draining: Callable[[], bool],
        limits: Limits,
        worker: str,
    ) -> None:
        self.task_id, self.store, self.limits, self.worker = task_id, store, limits, worker
        self.open_page, self.browser_alive, self.draining = open_page, browser_alive, draining
        self.step_timeout_seconds = limits.step_timeout_seconds
        self.signals = Signals()
        # Whatever raises in it ends the slice; nothing of it outlives `run`.
        self.group = asyncio.TaskGroup()
        # By lease, and not by run: a run that was lost may be claimed again while it still closes.
        self.held: dict[Lease, _Held] = {}
        self.steps: list[StepReport] = []
        self.lines: list[LogEntry] = []
        self.writing = asyncio.Lock()
        self.started = time.monotonic()
        self.renewed = self.started

    # ---- life ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Claim and run until the deadline, a drain, a stop, or until nothing is left to do."""
        async with self.group:
            loops = (self._write_loop(), self._pulse_loop(), self._watch_loop())
            beside = [self.group.create_task(loop) for loop in loops]
            try:
                await self._claim_loop()
                await self._close()
            finally:
                for task in beside:
                    task.cancel()
                await self._abandon()

    async def _claim_loop(self) -> None:
        next_claim = 0.0
        while self._may_claim():
            room = self.limits.contexts - len(self.held)
            if room > 0 and time.monotonic() >= next_claim:
                asked = time.monotonic()
                specs = await self.store.claim(self.task_id, room, self.worker)
                next_claim = time.monotonic() + CLAIM_SECONDS
                if specs:
                    # The oldest of the leases in hand counts; a claim just made is younger than none.
                    self.renewed = asked if not self.held else min(self.renewed, asked)
                for spec in specs:
                    self._start(spec)
            if not self.held:
                if not await self._linger():
                    return
                next_claim = 0.0
            if await self._wait(POLL_SECONDS):
                next_claim = 0.0  # a slot is free

    def _may_claim(self) -> bool:
        over = time.monotonic() - self.started >= self.limits.slice_seconds
        asked = self.signals.pause.is_set() or self.signals.stop.is_set() or self.draining()
        return not over and not asked and self.browser_alive()

    async def _linger(self) -> bool:
        """Whether to wait for a run that is backing off; waits for a part of it."""
        seconds = await self.store.seconds_until_work(self.task_id)
        # 0: it waits for a slot or an account that others hold; the end of their slices wakes one of ours.
        if seconds is None or not 0 < seconds <= LINGER_SECONDS:
            return False
        await asyncio.sleep(min(seconds, POLL_SECONDS))
        return True

    def _start(self, spec: RunSpec) -> None:
        task = self.group.create_task(self._drive(spec), name=f"run-{spec.lease.run_id}")
        self.held[spec.lease] = _Held(spec, task)

    async def _wait(self, seconds: float) -> bool:
        """Wait for any run to end, at most `seconds`; whether one did."""
        tasks = {held.task for held in self.held.values()}
        if not tasks:
            return False
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    async def _close(self) -> None:
        """Let the runs end: at their next step boundary, or, when that takes too long, by cancelling."""
        self.signals.pause.set()
        patience = time.monotonic() + self.limits.step_timeout_seconds + CLOSE_SECONDS
        while self.held and time.monotonic() < patience:
            await self._wait(POLL_SECONDS)

    async def _abandon(self) -> None:
        """Cancel what is left. Its leases end by themselves, and the reconciler takes it from there."""
        tasks = [held.task for held in self.held.values()]
        for task in tasks:
            task.cancel()
        for task, result in zip(tasks, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
            log.warning("run_abandoned", run=task.get_name(), error=repr(result))

    # ---- one run ------------------------------------------------------------------------------------

    async def _drive(self, spec: RunSpec) -> None:
        run_id = spec.lease.run_id
        try:
            outcome = await run_account(spec, self, self.signals)
            await self.flush()
            self.check_lease(spec)
            if not await self.store.finish(spec.lease, outcome):
                raise LeaseLost(f"run {run_id} ended, but its lease was lost")
            log.info("run_ended", run=run_id, status=outcome.status, reason=outcome.reason)
        except LeaseLost as error:
            log.warning("lease_lost", run=run_id, error=str(error))
        except asyncio.CancelledError:
            if not self.held[spec.lease].lost:
                raise
            log.warning("lease_lost", run=run_id, error="cancelled")
        finally:
            del self.held[spec.lease]

    def _lose(self, leases: frozenset[Lease]) -> None:
        for lease in leases:
            held = self.held.get(lease)
            if held and not held.lost:
                held.lost = True
                held.task.cancel()

    # ---- beside the runs ----------------------------------------------------------------------------

    async def _write_loop(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def _pulse_loop(self) -> None:
        beat = time.monotonic()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            # One that was given up is left to end: nobody may have it while it is renewed.
            leases = [lease for lease, held in self.held.items() if not held.lost]
            control = await self.store.poll(self.task_id, leases)
            if control.stop:
                self.signals.stop.set()
            if control.pause or self.draining():
                self.signals.pause.set()
            self._lose(control.lost)
            if time.monotonic() - beat < self.limits.heartbeat_seconds:
                continue
            beat = time.monotonic()
            await self.store.beat()
            if leases:
                self._lose(await self.store.heartbeat(leases))
                self.renewed = beat

    async def _watch_loop(self) -> None:
        """Stop every run before its lease ends, when the database has not been reached for that long."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self.held and self._lease_age() > self.limits.lease_seconds * 0.85:
                self._lose(frozenset(self.held))

    def _lease_age(self) -> float:
        return time.monotonic() - self.renewed

    # ---- the tools of a run -------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC)

    def check_lease(self, spec: RunSpec) -> None:
        """Raises `LeaseLost`: by what the database said, or because the lease is too old to act on."""
        held = self.held.get(spec.lease)
        if held is None or held.lost:
            raise LeaseLost(f"run {spec.lease.run_id} belongs to somebody else")
        # A step may begin only if it can also end within the lease, which this host's clock cannot move.
        if self._lease_age() > self.limits.lease_seconds * 0.75:
            raise LeaseLost(f"run {spec.lease.run_id}: its lease was not renewed in time")

    def report(self, step: StepReport) -> None:
        self.steps.append(step)

    def log(self, entry: LogEntry) -> None:
        self.lines.append(entry)

    async def flush(self) -> None:
        """Write all that was reported so far, in one crossing; in order, whoever asks.

        In a task of its own: a run that is cancelled while it waits must not take the others' reports along.
        """
        await asyncio.shield(self.group.create_task(self._write()))

    async def _write(self) -> None:
        async with self.writing:
            steps, lines = self.steps, self.lines
            if not steps and not lines:
                return
            self.steps, self.lines = [], []
            self._lose(await self.store.write_progress(steps, lines))

    async def plan_made(self, spec: RunSpec, steps: int) -> None:
        if not await self.store.set_plan_length(spec.lease, steps):
            raise LeaseLost(f"run {spec.lease.run_id} belongs to somebody else")

    async def record_intent(self, spec: RunSpec, step: PlanStep) -> IntentAnswer:
        answer = await self.store.record_intent(spec.lease, spec.attempt, step)
        if answer is None:
            raise LeaseLost(f"run {spec.lease.run_id} belongs to somebody else")
        return answer

    async def keep(self, evidence: Evidence) -> None:
        await self.store.save_evidence(evidence)
