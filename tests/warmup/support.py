"""For tests of runs and slices: a clock that jumps, a small site, and a store in memory.

In virtual time nothing ever sleeps: when all that is left to do is to wait, the event loop's clock jumps
to the next timer. Seconds can be asserted exactly, and a wait for something that cannot happen fails.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec

from core.errors import LeaseLost
from core.page import OpenPage
from core.types import AccountSpec, LoggedInProbe, LogInForm, SiteSpec, StorageState, Target
from tests.fakes import FakePage, Screen, Screens, fake_open_page
from warmup.plan import PlanStep
from warmup.runner import Signals, run_account
from warmup.slices import Limits, Slice, Store
from warmup.types import Control, Evidence, IntentAnswer, Lease, LogEntry, Outcome, RunSpec, StepReport

P = ParamSpec("P")

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


# ---- time -------------------------------------------------------------------------------------------


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: moves the loop's clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everything waits for something that cannot happen any more")
        if not ready:
            self.now += max(timeout or 0.0, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; it knows no threads."""

    def __init__(self) -> None:
        self.clock = _JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test on a `VirtualLoop`."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def now() -> float:
    """The loop's seconds."""
    return asyncio.get_running_loop().time()


class LoopClock:
    """A fake page's clock that is the loop's."""

    @property
    def now(self) -> float:
        return now()

    def __call__(self) -> float:
        return now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LoopTime:
    """Stands in for the `time` module."""

    monotonic = staticmethod(now)


async def until(happened: Callable[[], object]) -> None:
    """Wait for a state, at most a thousand virtual seconds."""
    end = now() + 1000
    while not happened():
        assert now() < end, "it did not happen"
        await asyncio.sleep(0.01)


# ---- a site -----------------------------------------------------------------------------------------

PASSWORD = "hunter2"
STATE: StorageState = {
    "cookies": [{"name": "s", "value": "1", "domain": "site.test", "path": "/"}],
    "origins": [],
}
SITE = SiteSpec(
    slug="reel",
    base_url="http://site.test",
    allowed_hosts=("site.test",),
    targets={
        "feed": Target("feed", path="/feed"),
        "away": Target("away", path="/away"),
        "card": Target("card", selector=".card"),
        "like": Target("like", selector=".like"),
        "box": Target("box", selector="#box"),
    },
    logged_in=LoggedInProbe("/feed", ".card"),
    log_in=LogInForm("/login", "#username", "#password", "#go"),
    challenges=("#challenge",),
)
FEED = SITE.url("/feed")
FORM = Screen(visible=["#username", "#password", "#go"], on_click={"#go": "/session"})
CHALLENGE = Screen(visible=["#challenge"])


def like(page: FakePage) -> None:
    page.show(".liked")


INSIDE = Screen(visible=[".card", ".like", "#box"], on_click={".like": like}, html="<p>inside</p>")


def feed(page: FakePage) -> Screen:
    """The feed for those who are logged in, and the form for others."""
    return INSIDE if page.state["cookies"] else FORM


def session(page: FakePage) -> Screen:
    """Where the form leads: in, with the right password."""
    if page.filled.get("#password") != PASSWORD:
        return FORM
    page.state = STATE
    return INSIDE


SCREENS: Screens = {
    "/feed": feed,
    "/login": FORM,
    "/session": session,
    "/away": Screen(visible=["#box"]),
}


def screens(**changes: Screen | Callable[[FakePage], Screen]) -> Screens:
    """The site with other screens at these paths (without their slash)."""
    return {**SCREENS, **{f"/{path}": screen for path, screen in changes.items()}}


def account(number: int = 1, **fields: Any) -> AccountSpec:
    """An account that is logged in by its saved state."""
    return AccountSpec(number, f"user{number}", **{"password": PASSWORD, "storage_state": STATE} | fields)


def run_spec(*steps: Mapping[str, Any], number: int = 1, **fields: Any) -> RunSpec:
    """A claimed run of a playbook with these steps."""
    defaults: dict[str, Any] = {
        "lease": Lease(number, uuid.UUID(int=number)),
        "task_id": 7,
        "attempt": 1,
        "account": account(number),
        "site": SITE,
        "playbook": {"name": "browse", "steps": list(steps)},
        "seed": number,
    }
    return RunSpec(**defaults | fields)


SCROLL = {"do": "scroll", "pixels": 900}
BACK = {"do": "back"}
OPEN_FEED = {"do": "open", "target": "feed"}
OPEN_AWAY = {"do": "open", "target": "away"}
LIKE = {"do": "click", "target": "like", "done": ".liked", "counts_as": "like"}
TYPE_SECRET = {"do": "type", "target": "box", "text": "tr3asure", "secret": True}


def watch(seconds: float, **fields: Any) -> dict[str, Any]:
    return {"do": "watch", "seconds": seconds, **fields}


# ---- one run ----------------------------------------------------------------------------------------


@dataclass
class RecordingTools:
    """The `Tools` of a run. `journal` has, in their order, what it asked for and what it did on pages."""

    open_page: OpenPage
    step_timeout_seconds: float = 30.0
    journal: list[tuple[Any, ...]] = field(default_factory=list)
    reports: list[StepReport] = field(default_factory=list)
    lines: list[LogEntry] = field(default_factory=list)
    kept: list[Evidence] = field(default_factory=list)
    plan_length: int | None = None
    # Set: the lease is somebody else's.
    lost: bool = False
    # What `record_intent` answers; it may raise, or change something first.
    answer: Callable[[PlanStep], IntentAnswer] = lambda step: "go"
    # Called with each report.
    on_report: Callable[[StepReport], None] = lambda step: None

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=now())

    def check_lease(self, spec: RunSpec) -> None:
        if self.lost:
            raise LeaseLost("it belongs to somebody else")

    def report(self, step: StepReport) -> None:
        self.journal.append(("report", step.index, step.result))
        self.reports.append(step)
        self.on_report(step)

    def log(self, entry: LogEntry) -> None:
        self.lines.append(entry)

    async def flush(self) -> None:
        self.journal.append(("flush",))

    async def plan_made(self, spec: RunSpec, steps: int) -> None:
        self.plan_length = steps

    async def record_intent(self, spec: RunSpec, step: PlanStep) -> IntentAnswer:
        self.journal.append(("intent", step.index))
        return self.answer(step)

    async def keep(self, evidence: Evidence) -> None:
        self.kept.append(evidence)


class Bench:
    """One run, with everything that it touches in reach of the test."""

    def __init__(self, site: Screens = SCREENS) -> None:
        self.opener = fake_open_page(site, clock=LoopClock())  # type: ignore[arg-type]  # as FakeClock
        self.tools = RecordingTools(self.opener)
        self.signals = Signals()
        self.prepare: Callable[[FakePage], None] = lambda page: None
        self.opener.prepare = self._prepare

    def _prepare(self, page: FakePage) -> None:
        page.calls = self.tools.journal
        self.prepare(page)

    async def run(self, *steps: Mapping[str, Any], **fields: Any) -> Outcome:
        return await run_account(run_spec(*steps, **fields), self.tools, self.signals)

    @property
    def page(self) -> FakePage:
        (page,) = self.opener.pages
        return page

    @property
    def results(self) -> list[tuple[int, str]]:
        return [(step.index, step.result) for step in self.tools.reports]

    @property
    def logged(self) -> list[str]:
        return [line.event for line in self.tools.lines]

    def log_of(self, event: str) -> str:
        """The text of the only line with this event."""
        (text,) = [line.text for line in self.tools.lines if line.event == event]
        return text

    def called(self, *names: str) -> list[tuple[Any, ...]]:
        """The journal, of these calls only."""
        return [call for call in self.tools.journal if call[0] in names]


# ---- a slice ----------------------------------------------------------------------------------------

LIMITS = Limits(
    contexts=2, slice_seconds=240, lease_seconds=60, heartbeat_seconds=10, step_timeout_seconds=30
)


@dataclass
class MemoryStore:
    """`warmup.store` for one task, in memory. Each function takes a moment, as a crossing does."""

    waiting: list[RunSpec] = field(default_factory=list)
    # Runs that back off, with the loop's second from which they may be claimed.
    later: list[tuple[float, RunSpec]] = field(default_factory=list)
    # Whether every claim finds all slots taken by somebody else.
    blocked: bool = False
    control: Control = field(default_factory=Control)
    # Runs whose lease somebody else has, as told by each of the functions.
    lost: dict[str, set[int]] = field(default_factory=dict)
    # What a function raises, or waits for, instead of answering.
    errors: dict[str, Exception] = field(default_factory=dict)
    held_up: dict[str, asyncio.Event] = field(default_factory=dict)

    calls: list[tuple[str, float]] = field(default_factory=list)
    claimed: list[tuple[int, float]] = field(default_factory=list)
    batches: list[tuple[list[StepReport], list[LogEntry]]] = field(default_factory=list)
    writing: int = 0
    plans: dict[int, int] = field(default_factory=dict)
    intents: list[tuple[int, int]] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    ended: dict[int, Outcome] = field(default_factory=dict)

    def functions(self) -> Store:
        return Store(
            claim=self.claim,
            seconds_until_work=self.seconds_until_work,
            poll=self.poll,
            heartbeat=self.heartbeat,
            beat=self.beat,
            write_progress=self.write_progress,
            set_plan_length=self.set_plan_length,
            record_intent=self.record_intent,
            save_evidence=self.save_evidence,
            finish=self.finish,
        )

    def times(self, name: str) -> list[float]:
        """When this function was called."""
        return [at for called, at in self.calls if called == name]

    def steps(self, run_id: int) -> list[tuple[int, str]]:
        """What was written of a run's steps."""
        return [
            (step.index, step.result)
            for steps, _ in self.batches
            for step in steps
            if step.lease.run_id == run_id
        ]

    def statuses(self) -> dict[int, str]:
        return {run_id: outcome.status for run_id, outcome in sorted(self.ended.items())}

    async def _cross(self, name: str) -> None:
        self.calls.append((name, now()))
        await asyncio.sleep(0.001)
        if name in self.held_up:
            await self.held_up[name].wait()
        if name in self.errors:
            raise self.errors[name]

    def _is_lost(self, name: str, lease: Lease) -> bool:
        return lease.run_id in self.lost.get(name, ())

    def _lost_of(self, name: str, leases: Sequence[Lease]) -> frozenset[Lease]:
        return frozenset(lease for lease in leases if self._is_lost(name, lease))

    async def claim(self, task_id: int, limit: int, worker: str) -> list[RunSpec]:
        await self._cross("claim")
        if self.blocked:
            return []
        self.waiting += [spec for at, spec in self.later if at <= now()]
        self.later = [(at, spec) for at, spec in self.later if at > now()]
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.claimed += [(spec.lease.run_id, now()) for spec in taken]
        return taken

    async def seconds_until_work(self, task_id: int) -> float | None:
        await self._cross("seconds_until_work")
        return min((max(0.0, at - now()) for at, _ in self.later), default=None)

    async def poll(self, task_id: int, leases: Sequence[Lease]) -> Control:
        await self._cross("poll")
        return Control(self.control.pause, self.control.stop, self._lost_of("poll", leases))

    async def heartbeat(self, leases: Sequence[Lease]) -> frozenset[Lease]:
        await self._cross("heartbeat")
        return self._lost_of("heartbeat", leases)

    async def beat(self) -> None:
        await self._cross("beat")

    async def write_progress(
        self, steps: Sequence[StepReport], lines: Sequence[LogEntry]
    ) -> frozenset[Lease]:
        self.writing += 1
        assert self.writing == 1, "two writers at once"
        try:
            await self._cross("write_progress")
        finally:
            self.writing -= 1
        self.batches.append((list(steps), list(lines)))
        return self._lost_of(
            "write_progress", [step.lease for step in steps] + [line.lease for line in lines]
        )

    async def set_plan_length(self, lease: Lease, steps: int) -> bool:
        await self._cross("set_plan_length")
        self.plans[lease.run_id] = steps
        return not self._is_lost("set_plan_length", lease)

    async def record_intent(self, lease: Lease, attempt: int, step: PlanStep) -> IntentAnswer | None:
        await self._cross("record_intent")
        if self._is_lost("record_intent", lease):
            return None
        self.intents.append((lease.run_id, step.index))
        return "go"

    async def save_evidence(self, evidence: Evidence) -> bool:
        await self._cross("save_evidence")
        self.evidence.append(evidence)
        return True

    async def finish(self, lease: Lease, outcome: Outcome) -> bool:
        await self._cross("finish")
        if self._is_lost("finish", lease):
            return False
        self.ended[lease.run_id] = outcome
        return True


class SliceBench:
    """A slice over a `MemoryStore` and fake pages."""

    def __init__(self, *specs: RunSpec, limits: Limits = LIMITS, site: Screens = SCREENS) -> None:
        self.store = MemoryStore(waiting=list(specs))
        self.limits = limits
        self.opener = fake_open_page(site, clock=LoopClock())  # type: ignore[arg-type]  # as FakeClock
        self.alive = True
        self.draining = False
        self.most_open = 0
        self.prepare: Callable[[FakePage], None] = lambda page: None
        self.opener.prepare = self._prepare
        self.slice: Slice | None = None

    def _prepare(self, page: FakePage) -> None:
        self.most_open = max(self.most_open, self.opener.open + 1)
        self.prepare(page)

    async def run(self) -> None:
        """The slice, to its end. Nothing of it may be left then."""
        self.slice = Slice(
            7,
            store=self.store.functions(),
            open_page=self.opener,
            browser_alive=lambda: self.alive,
            draining=lambda: self.draining,
            limits=self.limits,
            worker="host:1:1",
        )
        before = asyncio.all_tasks()
        try:
            await self.slice.run()
        finally:
            left = [task.get_name() for task in asyncio.all_tasks() - before]
            assert not left, f"tasks of the slice go on: {left}"
            assert self.opener.open == 0, "a page was left open"

    def pages_of(self, number: int) -> list[FakePage]:
        """The pages that an account had so far."""
        return [page for page in self.opener.pages if page.account and page.account.id == number]


def specs(count: int, *steps: Mapping[str, Any], **fields: Any) -> Iterator[RunSpec]:
    """Runs 1 to `count` of one playbook."""
    for number in range(1, count + 1):
        yield run_spec(*steps, number=number, **fields)
