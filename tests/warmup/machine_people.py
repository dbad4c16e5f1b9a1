"""What people do to the state machine's tasks: every verb, whether it applies or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

from core.errors import WarmupError
from core.models import Account, AccountSecret
from tests.warmup.machine_rows import Rows, everything
from tests.warmup.machine_workers import Ledger
from tests.warmup.machine_world import DEFINITIONS, World, save_playbook
from warmup import services
from warmup.admin import deletion
from warmup.models import Playbook, StepRecord, WarmupAccount, WarmupTask
from warmup.states import TASK_CLAIMABLE, TASK_FINAL, ParkReason, RunStatus, TaskStatus

MAX_TASKS = 4
AGAIN = {
    "failed": (RunStatus.FAILED, RunStatus.STOPPED),
    "all": (RunStatus.FAILED, RunStatus.STOPPED, RunStatus.COMPLETED, RunStatus.PARKED),
}
WHICH = st.integers(0, 5)  # picks one of what there is

T = TypeVar("T")


def pick(choice: Sequence[T], number: int) -> T:
    return choice[number % len(choice)]


class People(RuleBasedStateMachine):
    """The verbs. A verb that does not apply raises a `WarmupError` and changes nothing."""

    world: World
    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.world.begin()
        self.clock = self.world.clock
        self.ledger = Ledger()
        self.made = 0
        self.versions: dict[int, dict[str, Any]] = {}  # what each playbook version says
        self.history: dict[int, tuple[Any, ...]] = {}  # step records of earlier rounds
        self.restarted: set[int] = set()  # runs that the last rule put back to their first step
        self.hops: int | None = 1  # how many statuses the last rule may have passed
        self.seen = Rows.read(self.clock.now)

    def ask(self, verb: Callable[[], object], *, legal: bool) -> None:
        """Carry out a verb: it works when it is legal, and otherwise changes nothing."""
        if legal:
            verb()
            return
        before = everything()
        try:
            verb()
        except WarmupError:
            assert everything() == before, "a verb was refused, and changed something"
        else:
            raise AssertionError("a verb that does not apply was carried out")

    def status(self, task: WarmupTask) -> str:
        """The task's status; empty when it was deleted."""
        row = self.seen.tasks.get(task.pk)
        return str(row["status"]) if row else ""

    def is_open(self, task: WarmupTask) -> bool:
        """Whether the task is there and not being stopped."""
        return task.pk in self.seen.tasks and not self.seen.is_stopping(task.pk)

    def parked(self, task: WarmupTask, *, in_doubt: bool) -> list[int]:
        runs = self.seen.of(task.pk, RunStatus.PARKED)
        return [pk for pk in runs if (self.seen.runs[pk]["reason"] == ParkReason.IN_DOUBT) == in_doubt]

    def pick_run(self, number: int, preferred: list[int]) -> WarmupAccount:
        return WarmupAccount.objects.get(pk=pick(preferred or list(self.seen.runs), number))

    # ---- what there is ----------------------------------------------------------------------------

    def _create(self, definition: int, site: int, accounts: set[int], concurrency: int) -> WarmupTask:
        playbook = save_playbook(definition)
        self.versions.setdefault(playbook.pk, playbook.definition)
        self.made += 1
        task = WarmupTask.objects.create(
            name=f"task {self.made}",
            playbook=playbook,
            site=self.world.sites[site],
            concurrency=concurrency,
            all_accounts=not accounts,
        )
        task.accounts.set([self.world.accounts[site][number] for number in accounts])
        return task

    @initialize(target=tasks, definition=st.integers(0, len(DEFINITIONS) - 1), site=st.integers(0, 1))
    def first_task(self, definition: int, site: int) -> WarmupTask:
        task = self._create(definition, site, set(), 2)
        services.start(task, by=None)
        return task

    @precondition(lambda self: self.made < MAX_TASKS)
    @rule(
        target=tasks,
        definition=st.integers(0, len(DEFINITIONS) - 1),
        site=st.integers(0, 1),
        accounts=st.sets(st.integers(0, 2)),
        concurrency=st.integers(1, 3),
    )
    def create_task(self, definition: int, site: int, accounts: set[int], concurrency: int) -> WarmupTask:
        return self._create(definition, site, accounts, concurrency)

    @rule(definition=st.integers(0, len(DEFINITIONS) - 1))
    def save_version(self, definition: int) -> None:
        playbook = save_playbook(definition)
        self.versions.setdefault(playbook.pk, playbook.definition)
        newest = Playbook.objects.order_by("-version")[0]
        assert newest == playbook
        self.ask(newest.save, legal=False)

    @rule(site=st.integers(0, 1), number=st.integers(0, 2))
    def enable_or_disable(self, site: int, number: int) -> None:
        account = Account.objects.get(pk=self.world.accounts[site][number].pk)
        account.enabled = not account.enabled
        account.save(update_fields=["enabled"])

    @rule(site=st.integers(0, 1), number=st.integers(0, 2))
    def spoil_or_mend_secret(self, site: int, number: int) -> None:
        account = self.world.accounts[site][number]
        secret = AccountSecret.objects.get(account=account)
        sound = self.world.secrets[account.pk]
        secret.password = b"gAAAAnot-a-token" if secret.password == sound else sound
        secret.save(update_fields=["password"])

    # ---- the verbs ----------------------------------------------------------------------------------

    @rule(task=tasks, twice=st.booleans())
    def start(self, task: WarmupTask, twice: bool) -> None:
        chosen = task.selected_accounts().count() if self.status(task) else 0
        self.ask(
            lambda: services.start(task, by=None),
            legal=self.status(task) == TaskStatus.PENDING and chosen > 0,
        )
        if self.status(task) == TaskStatus.PENDING:
            assert WarmupAccount.objects.filter(task=task).count() == chosen
        if twice:
            self.ask(lambda: services.start(task, by=None), legal=False)

    @rule(task=tasks)
    def pause(self, task: WarmupTask) -> None:
        self.ask(
            lambda: services.pause(task, by=None),
            legal=self.is_open(task) and self.status(task) in TASK_CLAIMABLE,
        )

    @rule(task=tasks)
    def resume(self, task: WarmupTask) -> None:
        freed = self.parked(task, in_doubt=False)
        legal = self.is_open(task) and (self.status(task) == TaskStatus.PAUSED or bool(freed))
        self.ask(lambda: services.resume(task, by=None), legal=legal)
        if legal:
            self.ledger.chances.update(freed)

    @precondition(lambda self: self.seen.runs)
    @rule(number=WHICH)
    def unpark(self, number: int) -> None:
        solvable = [
            pk
            for pk, run in self.seen.runs.items()
            if run["status"] == RunStatus.PARKED and run["reason"] != ParkReason.IN_DOUBT
        ]
        run = self.pick_run(number, solvable)
        legal = run.pk in solvable and self.is_open(run.task)
        self.ask(lambda: services.unpark(run, by=None), legal=legal)
        if legal:
            self.ledger.chances[run.pk] += 1
            self._stays_paused(run)

    @precondition(lambda self: self.seen.runs)
    @rule(number=WHICH, happened=st.booleans())
    def settle(self, number: int, happened: bool) -> None:
        doubtful = [
            pk
            for pk, run in self.seen.runs.items()
            if run["status"] == RunStatus.PARKED and run["reason"] == ParkReason.IN_DOUBT
        ]
        run = self.pick_run(number, doubtful)
        legal = run.pk in doubtful and self.is_open(run.task)
        self.ask(lambda: services.settle(run, happened=happened, by=None), legal=legal)
        if legal:
            step = self.seen.runs[run.pk]["cursor"]
            self.ledger.chances[run.pk] += 1
            self.ledger.settle(run.pk, step)
            self.ledger.again[run.pk, self.ledger.rounds[run.pk], step] += not happened
            self._stays_paused(run)

    def _stays_paused(self, run: WarmupAccount) -> None:
        """What is done about one account resumes no task that somebody paused."""
        if self.status(run.task) == TaskStatus.PAUSED:
            assert WarmupTask.objects.get(pk=run.task_id).status == TaskStatus.PAUSED

    @rule(task=tasks, force=st.booleans())
    def stop(self, task: WarmupTask, force: bool) -> None:
        legal = self.status(task) not in {"", *TASK_FINAL}
        self.ask(lambda: services.stop(task, by=None, force=force), legal=legal)
        if legal:
            counts = Rows.read(self.clock.now).counts(task.pk)
            assert not counts[RunStatus.PENDING] + counts[RunStatus.PARKED]
            assert not force or not counts[RunStatus.RUNNING]

    @rule(task=tasks, which=st.sampled_from(["failed", "all"]), latest=st.booleans())
    def restart(self, task: WarmupTask, which: Literal["failed", "all"], latest: bool) -> None:
        runs = self.seen.of(task.pk, *AGAIN[which])
        movable = not latest or (which == "all" and self.status(task) in TASK_FINAL)
        legal = self.is_open(task) and bool(runs) and movable
        records = list(StepRecord.objects.filter(run__in=runs).values_list())
        self.ask(lambda: services.restart(task, which=which, by=None, latest_playbook=latest), legal=legal)
        if not legal:
            return
        self.restarted.update(runs)
        self.history.update({record[0]: record for record in records})
        for pk in runs:
            self.ledger.begin_round(pk)
        again = WarmupAccount.objects.filter(pk__in=runs)
        assert set(again.values_list("status", "cursor")) == {(RunStatus.PENDING, 0)}
        if latest:
            newest = Playbook.objects.order_by("-version")[0]
            assert WarmupTask.objects.get(pk=task.pk).playbook == newest

    @rule(task=tasks)
    def delete(self, task: WarmupTask) -> None:
        run = WarmupAccount.objects.filter(task=task).first()
        status = self.status(task)
        if not status:
            return
        legal = status in deletion.DELETABLE
        self.ask(lambda: deletion.delete(task, by=None), legal=legal)
        if legal and run is not None:
            self.ask(lambda: services.settle(run, happened=True, by=None), legal=False)
            self.ask(lambda: services.unpark(run, by=None), legal=False)
