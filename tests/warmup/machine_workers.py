"""Workers of the state machine, which keep to the protocol of `slices` and `runner`; the site's ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings

from tests.warmup.machine_world import Clock
from warmup import store
from warmup.plan import Plan, PlanStep
from warmup.playbooks.expand import expand
from warmup.playbooks.schema import parse_playbook
from warmup.types import Lease, LogEntry, Outcome, RunSpec, StepReport, StepResult

# What may happen around the act of a `once` step whose intent is recorded.
Course = Literal["done", "lost after", "lost before", "refused", "failed", "broke", "stopped", "paused"]
COURSES: tuple[Course, ...] = (
    "done",
    "lost after",
    "lost before",
    "refused",
    "failed",
    "broke",
    "stopped",
    "paused",
)
GIVEN_BACK = Outcome("PENDING", counts_as_attempt=False)
_ENDS: dict[Course, Outcome] = {
    "lost after": Outcome("PENDING", reason="the browser died", retry_after_seconds=5),
    "lost before": Outcome("PENDING", reason="the browser died", retry_after_seconds=5),
    "refused": Outcome("PENDING", reason="429", retry_after_seconds=30),
    "failed": Outcome("FAILED", reason="not done in time"),
    "broke": Outcome("FAILED", reason="internal error"),
    "stopped": Outcome("STOPPED", reason="stopped by a person"),
    "paused": GIVEN_BACK,
}
_ACTED = frozenset({"done", "lost after", "failed", "broke", "stopped", "paused"})


@dataclass
class Ledger:
    """What the site saw, and what workers and people have said of it. Rounds begin with a (re)start."""

    rounds: Counter[int] = field(default_factory=Counter)  # by run
    acts: Counter[tuple[int, int, int]] = field(default_factory=Counter)  # by run, round, step
    again: Counter[tuple[int, int, int]] = field(default_factory=Counter)  # a person said "do it again"
    chances: Counter[int] = field(default_factory=Counter)  # by run: attempts that a person has added
    doubts: set[tuple[int, int, int, int]] = field(default_factory=set)  # run, round, step, attempt

    def begin_round(self, run_id: int) -> None:
        self.rounds[run_id] += 1
        self.chances[run_id] = 0

    def in_doubt(self, run_id: int, step: int) -> bool:
        """Whether the step was begun in this round, and nobody has saved an outcome."""
        return any(doubt[:3] == (run_id, self.rounds[run_id], step) for doubt in self.doubts)

    def settle(self, run_id: int, step: int) -> None:
        self.doubts = {doubt for doubt in self.doubts if doubt[0] != run_id or doubt[2] != step}

    def check(self) -> None:
        for (run_id, turn, step), acts in self.acts.items():
            allowed = 1 + self.again[run_id, turn, step]
            assert acts <= allowed, f"run {run_id}: step {step} happened {acts} times in one round"


@dataclass(eq=False)
class Turn:
    """One claimed run in a worker's hands."""

    spec: RunSpec
    plan: Plan
    round: int
    index: int
    begun: bool = False  # the intent of the step at `index` is recorded; it has not acted

    @property
    def lease(self) -> Lease:
        return self.spec.lease

    @property
    def step(self) -> PlanStep:
        return self.plan[self.index]

    @property
    def key(self) -> tuple[int, int, int]:
        return (self.lease.run_id, self.round, self.index)


class Worker:
    """An honest worker. Its wall clock is wrong by `skew`; its monotonic one is as good as the database's."""

    def __init__(self, name: str, skew: timedelta, clock: Clock, ledger: Ledger) -> None:
        self.name, self.skew, self.clock, self.ledger = name, skew, clock, ledger
        self.turns: list[Turn] = []
        self.lost: list[Turn] = []
        self.steps: list[tuple[Turn, StepReport]] = []
        self.renewed = clock.now

    def wall_clock(self) -> datetime:
        return self.clock.now + self.skew

    def claim(self, task_id: int, limit: int) -> list[RunSpec]:
        specs = store.claim(task_id, limit, self.name)
        if specs:
            self.renewed = min(self.renewed, self.clock.now) if self.turns else self.clock.now
        for spec in specs:
            plan = expand(parse_playbook(spec.playbook), spec.seed)
            self.turns.append(Turn(spec, plan, self.ledger.rounds[spec.lease.run_id], spec.cursor))
        return specs

    def heartbeat(self) -> frozenset[Lease]:
        lost = store.heartbeat([turn.lease for turn in self.turns])
        self.renewed = self.clock.now
        self.lose(lost)
        return lost

    def lose(self, leases: frozenset[Lease]) -> None:
        for turn in [turn for turn in self.turns if turn.lease in leases]:
            self.drop(turn)

    def drop(self, turn: Turn) -> None:
        """The run's coroutine ends and writes nothing more."""
        self.turns.remove(turn)
        self.lost.append(turn)
        self.steps = [(owner, step) for owner, step in self.steps if owner is not turn]

    def may_act(self, turn: Turn) -> bool:
        """Whether the lease is young enough to act on, by this host's own measure; drops it otherwise."""
        age = (self.clock.now - self.renewed).total_seconds()
        if age > settings.WARMUP_LEASE_SECONDS * 0.75:
            self.drop(turn)
        return turn in self.turns

    def report(self, turn: Turn, result: StepResult) -> None:
        step, at = turn.step, self.wall_clock()
        self.steps.append(
            (
                turn,
                StepReport(
                    turn.lease,
                    turn.spec.attempt,
                    step.index,
                    step.place,
                    step.do,
                    step.label,
                    result,
                    at,
                    at,
                    url=f"http://site.test/{step.index}",
                ),
            )
        )
        turn.begun = False
        turn.index += result != "FAILED"

    def flush(self) -> None:
        """Save what was reported, if anything was."""
        if self.steps:
            self.write([])

    def log(self) -> frozenset[Lease]:
        """Save what was reported, and a line for each run in hand."""
        return self.write([LogEntry(turn.lease, self.wall_clock(), "INFO", "note") for turn in self.turns])

    def write(self, lines: list[LogEntry]) -> frozenset[Lease]:
        steps, self.steps = self.steps, []
        lost = store.write_progress([step for _, step in steps], lines)
        for turn, step in steps:
            if turn.lease not in lost:
                self.ledger.doubts.discard((turn.lease.run_id, turn.round, step.index, step.attempt))
        self.lose(lost)
        return lost

    def walk(self, turn: Turn, steps: int) -> None:
        """Go on by up to so many steps; stops where a `once` step is about to act, and at the end."""
        for _ in range(steps):
            if turn.begun or turn.index >= len(turn.plan):
                return
            if turn not in self.turns or not self.may_act(turn):
                return
            if turn.step.effect == "repeatable":
                self.report(turn, "DONE")
            else:
                self._begin(turn, turn.step)

    def _begin(self, turn: Turn, step: PlanStep) -> None:
        """Settle a doubt about a `once` step, by its probe or by parking; then record its intent."""
        if turn.spec.in_doubt and step.index == turn.spec.cursor:
            if step.effect == "ask" or not step.done:
                self.finish(turn, Outcome("PARKED", reason="in_doubt", detail=step.place))
                return
            if self.ledger.acts[turn.key]:
                self.report(turn, "DONE")
                return
        self.flush()
        if turn not in self.turns:
            return
        answer = store.record_intent(turn.lease, turn.spec.attempt, step)
        if answer is None:
            self.drop(turn)
        elif answer == "limit_reached":
            self.report(turn, "SKIPPED")
        else:
            turn.begun = True
            self.ledger.doubts.add((*turn.key, turn.spec.attempt))

    def act(self, turn: Turn, course: Course) -> None:
        """Let a begun step act, or nearly, and what comes of it."""
        if turn not in self.turns or not self.may_act(turn):
            return
        if course == "paused" and not turn.step.dwell_seconds:
            course = "done"  # only dwelling is cut short
        if course in _ACTED:
            self.ledger.acts[turn.key] += 1
        if course == "done":
            self.report(turn, "DONE")
            self.flush()
            return
        if course in {"refused", "failed"}:
            self.report(turn, "FAILED")
        self.finish(turn, _ENDS[course])

    def finish(self, turn: Turn, outcome: Outcome) -> bool | None:
        """End the turn; None when the run was lost before."""
        self.flush()
        if turn not in self.turns or not self.may_act(turn):
            return None
        self.drop(turn)
        return store.finish(turn.lease, outcome)

    def complete(self, turn: Turn) -> None:
        """Walk the run to its end."""
        while turn in self.turns:
            self.walk(turn, len(turn.plan))
            if turn.begun:
                self.act(turn, "done")
            elif turn.index >= len(turn.plan) and turn in self.turns:
                self.finish(turn, Outcome("COMPLETED", storage_state={"cookies": [], "origins": []}))

    def serve(self, task_id: int) -> Iterator[int]:
        """A slice: all that can be had of a task, to its end. Yields the runs."""
        while self.claim(task_id, 4):
            for turn in list(self.turns):
                yield turn.lease.run_id
                self.complete(turn)
