"""The state machine: what people, workers, faults and time do to tasks, in any order, and what must hold."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.warmup.machine_people import DEFINITION, SITE, WHICH, People, pick
from tests.warmup.machine_rows import check, check_passage, everything
from tests.warmup.machine_workers import COURSES, GIVEN_BACK, Course, Turn, Worker
from warmup import services, store
from warmup.models import Artifact, DailyCount, Playbook, StepRecord, WarmupTask
from warmup.states import RUN_ACTIVE, TASK_FINAL, ParkReason, RunStatus, TaskStatus
from warmup.types import Evidence, LogEntry, Outcome

STATE = {"cookies": [], "origins": []}
# By name, which is what a failing example shows.
OUTCOMES = {
    "completed": Outcome("COMPLETED", storage_state=STATE, logged_in_now=True),
    "failed": Outcome("FAILED", reason="the element was not there"),
    "stopped": Outcome("STOPPED", reason="stopped by a person", storage_state=STATE),
    "challenged": Outcome("PARKED", reason=ParkReason.CHALLENGE, detail="steps[0]"),
    "logged out": Outcome("PARKED", reason=ParkReason.LOGGED_OUT),
    "backs off": Outcome("PENDING", reason="429", retry_after_seconds=300),
    "to be tried again": Outcome("PENDING", reason="the browser died"),
    "given back": GIVEN_BACK,
}
SOME_COURSES = st.lists(st.sampled_from(COURSES), max_size=3)
WORKER = st.integers(0, 2)
# From a moment to what outlasts a lease, a wake-up, a back-off, a day.
SECONDS = st.sampled_from([0.5, 5, 21, 46, 61, 301, 86_400])


class WarmupMachine(People):
    """People, and what workers, faults and time do."""

    def __init__(self) -> None:
        super().__init__()
        self.workers = [self.worker(number) for number in range(3)]
        self.graves: list[Turn] = []  # what the killed held

    def worker(self, number: int) -> Worker:
        """The first two are of this host, whose dead are known; clocks are wrong by ten minutes."""
        host = "elsewhere" if number == 2 else "here"
        skew = timedelta(minutes=(-10, 0, 10)[number])
        return Worker(f"{host}:{uuid.uuid4().hex[:8]}:1", skew, self.clock, self.ledger)

    def stale(self) -> list[Turn]:
        """The turns whose runs are no longer theirs, as far as anybody holds them still."""
        held = [turn for worker in self.workers for turn in (*worker.turns, *worker.lost)]
        return [turn for turn in (*held, *self.graves) if not self.seen.is_current(turn.lease)]

    # ---- workers ------------------------------------------------------------------------------------

    def held(self) -> list[tuple[Worker, Turn]]:
        return [(worker, turn) for worker in self.workers for turn in worker.turns]

    def between_steps(self) -> list[tuple[Worker, Turn]]:
        return [(worker, turn) for worker, turn in self.held() if not turn.begun]

    def busy(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.turns]

    @initialize(definition=DEFINITION, site=SITE, limit=st.integers(0, 2), courses=SOME_COURSES)
    def first_task(self, definition: int, site: int, limit: int, courses: list[Course]) -> None:
        task = self.create(definition, site, set(), 2)
        services.start(task, by=None)
        worker = self.workers[0]
        worker.claim(task.pk, limit)
        for turn in list(worker.turns):
            worker.walk(turn, 2)
        for course in courses[: len(worker.turns)]:
            self._go_on(worker, worker.turns[0], 1, [course])

    def with_work(self) -> list[WarmupTask]:
        return self.fitting(lambda task: bool(self.seen.claimable(task.pk)))

    @precondition(with_work)
    @rule(number=WORKER, which=WHICH, limit=st.integers(1, 3))
    def claim(self, number: int, which: int, limit: int) -> None:
        self._claim(number, pick(self.with_work(), which), limit)

    @precondition(lambda self: self.tasks)
    @rule(number=WORKER, which=WHICH, what=st.sampled_from(["look", "after_slice", "expire"]))
    def handle_message(self, number: int, which: int, what: str) -> None:
        """What a message that is late, doubled or stale may bring about, for any task."""
        task = pick(self.tasks, which)
        if what == "after_slice":
            services.after_slice(task.pk)
        elif what == "expire":
            runs = [self.seen.runs[pk] for pk in self.seen.of(task.pk, *RUN_ACTIVE)]
            assert store.expire(task.pk) == sum(run["lease_until"] <= self.clock.now for run in runs)
        else:
            work = store.has_work(task.pk)
            assert work == bool(self.seen.claimable(task.pk))
            # A worker that is told to wait no time at all finds work: otherwise it would ask for ever.
            assert work or store.seconds_until_work(task.pk) != 0
            if not work:
                self._claim(number, task, 1)

    def _claim(self, number: int, task: WarmupTask, limit: int) -> None:
        expected = self.seen.claimable(task.pk)[:limit]
        specs = self.workers[number].claim(task.pk, limit)
        self.hops = 2
        now = self.read()
        failed = [pk for pk in expected if now.runs[pk]["status"] == RunStatus.FAILED]
        assert [spec.lease.run_id for spec in specs] == [pk for pk in expected if pk not in failed]
        for spec in specs:
            run = self.seen.runs[spec.lease.run_id]
            playbook = self.seen.tasks[task.pk]["playbook_id"]
            assert (spec.attempt, spec.cursor) == (run["attempt"] + 1, run["cursor"])
            assert spec.playbook == self.versions[playbook]
            assert spec.in_doubt == self.ledger.in_doubt(spec.lease.run_id, spec.cursor)

    @precondition(held)
    @rule(which=WHICH, steps=st.integers(1, 3), courses=SOME_COURSES)
    def go_on(self, which: int, steps: int, courses: list[Course]) -> None:
        """Have the step act that has begun, with what may come of it; then walk on, and so again."""
        worker, turn = pick(self.held(), which)
        assert store.set_plan_length(turn.lease, len(turn.plan)) == self.seen.is_current(turn.lease)
        self._go_on(worker, turn, steps, courses)

    def _go_on(self, worker: Worker, turn: Turn, steps: int, courses: list[Course]) -> None:
        for course in courses:
            if turn.begun:
                worker.act(turn, course)
            worker.walk(turn, steps)

    @precondition(between_steps)
    @rule(which=WHICH, outcome=st.sampled_from(sorted(OUTCOMES)))
    def finish(self, which: int, outcome: str) -> None:
        worker, turn = pick(self.between_steps(), which)
        ended = worker.finish(turn, OUTCOMES[outcome])
        assert ended is None or ended == self.seen.is_current(turn.lease)

    @precondition(held)
    @rule(which=WHICH, what=st.sampled_from(["progress", "heartbeat", "evidence"]))
    def save(self, which: int, what: str) -> None:
        worker, turn = pick(self.held(), which)
        if what == "evidence":
            evidence = Evidence(turn.lease, turn.spec.attempt, turn.index, "html", "failure", b"<p>")
            assert store.save_evidence(evidence) == self.seen.is_current(turn.lease)
            assert set(Artifact.objects.values_list("pk", flat=True)) <= self.world.files
            return
        leases = [turn.lease for turn in worker.turns]
        lost = worker.heartbeat() if what == "heartbeat" else worker.log()
        assert lost == {lease for lease in leases if not self.seen.is_current(lease)}

    @precondition(held)
    @rule(which=WHICH, obeys=st.booleans())
    def poll(self, which: int, obeys: bool) -> None:
        worker, turn = pick(self.held(), which)
        task_id, leases = turn.spec.task_id, [turn.lease for turn in worker.turns]
        control = store.poll(task_id, leases)
        row = self.seen.tasks.get(task_id)
        assert control.stop == (row is None or row["stop_requested_at"] is not None)
        assert control.pause == (row is not None and row["status"] == TaskStatus.PAUSED)
        assert control.lost == {lease for lease in leases if not self.seen.is_current(lease)}
        worker.lose(control.lost)
        if not obeys or not (control.stop or control.pause):
            return
        for mine in [mine for mine in worker.turns if mine.spec.task_id == task_id and not mine.begun]:
            worker.finish(mine, Outcome("STOPPED") if control.stop else GIVEN_BACK)

    @precondition(lambda self: self.with_work() and len(self.busy()) < len(self.workers))
    @rule(which=WHICH)
    def serve(self, which: int) -> None:
        """A whole slice, of an honest worker that nothing disturbs."""
        task = pick(self.with_work(), which)
        worker = next(worker for worker in self.workers if not worker.turns)
        self.hops = None
        for _ in worker.serve(task.pk):
            pass
        services.after_slice(task.pk)

    # ---- faults and time ------------------------------------------------------------------------------

    @precondition(held)
    @rule(which=WHICH, acts=st.booleans(), noticed=st.booleans())
    def kill(self, which: int, acts: bool, noticed: bool) -> None:
        """At any moment: also when a step has just acted, and nobody was told."""
        worker, turn = pick(self.held(), which)
        if acts and turn.begun and worker.may_act(turn):
            self.ledger.acts[turn.key] += 1
        self._bury(self.workers.index(worker))
        if noticed:
            self.clock.advance(settings.WARMUP_LEASE_SECONDS)
            self._reconcile()

    def _bury(self, number: int) -> None:
        worker = self.workers[number]
        if worker.name.startswith("here"):
            self.world.gone.add(worker.name)
        self.graves += [*worker.turns, *worker.lost]
        self.workers[number] = self.worker(number)

    @precondition(lambda self: self.stale())
    @rule(which=st.integers(0, 20), write=st.integers(0, 5), outcome=st.sampled_from(sorted(OUTCOMES)))
    def write_with_a_stale_lease(self, which: int, write: int, outcome: str) -> None:
        turn = pick(self.stale(), which)
        lease, step = turn.lease, turn.plan[0]
        mine = frozenset({lease})
        ghost = Worker("ghost", timedelta(), self.clock, self.ledger)
        ghost.turns, turn.index = [turn], 0
        ghost.report(turn, "DONE")
        line = LogEntry(lease, self.clock.now, "INFO", "late")
        evidence = Evidence(lease, turn.spec.attempt, 0, "html", "late", b"late")
        writes: list[tuple[Callable[[], object], object]] = [
            (lambda: store.finish(lease, OUTCOMES[outcome]), False),
            (lambda: store.write_progress([ghost.steps[0][1]], [line]), mine),
            (lambda: store.record_intent(lease, turn.spec.attempt, step), None),
            (lambda: store.set_plan_length(lease, 99), False),
            (lambda: store.heartbeat([lease]), mine),
            (lambda: store.save_evidence(evidence), False),
        ]
        before = everything()
        call, refused = writes[write]
        assert call() == refused
        assert everything() == before, "a stale lease changed something"

    @rule(seconds=SECONDS, reconciles=st.booleans())
    def time_passes(self, seconds: float, reconciles: bool) -> None:
        self.clock.advance(seconds)
        if reconciles:
            self._reconcile()

    def _reconcile(self) -> None:
        done = services.reconcile()
        rows = self.read()
        lost = [run for run in self.seen.runs.values() if self._is_lost(run)]
        assert done["expired"] == len(lost)
        assert not [run for run in rows.runs.values() if self._is_lost(run)]
        quiet = self.clock.now - timedelta(seconds=services.WAKE_AGAIN_SECONDS)
        for task_id, task in rows.tasks.items():
            if rows.claimable(task_id):
                assert task["woken_at"] >= quiet, f"task {task_id} has work, and nobody is woken"

    def _is_lost(self, run: Any) -> bool:
        if run["status"] not in RUN_ACTIVE:
            return False
        return bool(run["lease_until"] <= self.clock.now or run["worker"] in self.world.gone)

    # ---- what must hold -------------------------------------------------------------------------------

    @invariant()
    def all_is_sound(self) -> None:
        self._rows_are_sound()
        self._history_stays()
        self._wake_ups_are_sensible()

    def _rows_are_sound(self) -> None:
        rows = self.read()
        check(rows)
        if self.hops is not None:
            check_passage(self.seen, rows, self.hops)
        for pk, run in rows.runs.items():
            before = self.seen.runs.get(pk)
            allowed = settings.WARMUP_MAX_ATTEMPTS + self.ledger.chances[pk]
            assert run["attempt"] - run["attempt_base"] <= allowed, f"run {pk}: {run['attempt']} attempts"
            if before and pk not in self.restarted:
                assert run["cursor"] >= before["cursor"], f"run {pk}: the cursor went back"
        for task_id, task in self.seen.tasks.items():
            if task_id in rows.tasks and task["status"] != TaskStatus.PENDING:
                assert rows.of(task_id) == self.seen.of(task_id), f"task {task_id} lost or gained runs"
        self.ledger.check()
        self.seen, self.hops = rows, 1
        self.restarted.clear()

    def _history_stays(self) -> None:
        kept = StepRecord.objects.filter(pk__in=self.history).values_list()
        assert all(self.history[record[0]] == record for record in kept), (
            "a record of an earlier round changed"
        )
        assert set(Artifact.objects.values_list("pk", flat=True)) <= self.world.files

    def _wake_ups_are_sensible(self) -> None:
        for task_id, slices in self.world.woken:
            if task_id in self.seen.tasks:
                assert 1 <= slices <= max(1, self.seen.tasks[task_id]["concurrency"])
        self.world.woken.clear()

    # ---- the end --------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self._all_comes_to_an_end()
                self._limits_and_versions_held()
        finally:
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    def _all_comes_to_an_end(self) -> None:
        """With every worker dead, the reconciler and one honest worker bring all to its end; so they do
        when a person has then seen to what is parked or paused."""
        for number in range(3):
            self._bury(number)
        self._come_to_rest()
        for pk in self.parked(in_doubt=True):
            run = self.seen.runs[pk]
            happened = self.ledger.acts[pk, self.ledger.rounds[pk], run["cursor"]] > 0
            self._settle(pk, happened=happened)
        self.seen = self.read()
        for task in self.fitting(self.can_resume):
            self._resume(task)
        self._come_to_rest()
        assert not self.fitting(self.can_resume), "somebody resumed these, and they do not go on"

    def _come_to_rest(self) -> None:
        for _ in range(20):
            self.clock.advance(settings.WARMUP_LEASE_SECONDS + 1)
            self.seen = self.read()
            self._reconcile()
            while self.world.woken:
                task_id, _ = self.world.woken.pop()
                for _ in self.workers[0].serve(task_id):
                    self.ledger.check()
                services.after_slice(task_id)
            self.seen = self.read()
            check(self.seen)
            if all(self._is_at_rest(task_id) for task_id in self.seen.tasks):
                return
        raise AssertionError(f"these never end: {[dict(task) for task in self.seen.tasks.values()]}")

    def _is_at_rest(self, task_id: int) -> bool:
        """Ended, never started, or paused by a person with nothing running."""
        status = self.seen.tasks[task_id]["status"]
        resting = status in {TaskStatus.PENDING, TaskStatus.PAUSED, *TASK_FINAL}
        return resting and not self.seen.of(task_id, *RUN_ACTIVE) and not self.seen.is_stopping(task_id)

    def _limits_and_versions_held(self) -> None:
        limit = self.world.sites[1].daily_limits["like"]
        counts = DailyCount.objects.filter(account__site=self.world.sites[1])
        assert all(used <= limit for used in counts.values_list("used", flat=True))
        for playbook in Playbook.objects.all():
            assert playbook.definition == self.versions[playbook.pk]
