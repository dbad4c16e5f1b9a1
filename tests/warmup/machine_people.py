"""What people do to the state machine's tasks: every verb, where it applies and where it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

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
Which = Literal["failed", "all"]
AGAIN: dict[Which, tuple[str, ...]] = {
    "failed": (RunStatus.FAILED, RunStatus.STOPPED),
    "all": (RunStatus.FAILED, RunStatus.STOPPED, RunStatus.COMPLETED, RunStatus.PARKED),
}
VERBS = ("start", "pause", "resume", "stop", "restart", "delete", "unpark", "settle")
DEFINITION = st.integers(0, len(DEFINITIONS) - 1)
SITE = st.integers(0, 1)
WHICH = st.integers(0, 5)  # picks one of what there is
T = TypeVar("T")


def pick(choice: Sequence[T], number: int) -> T:
    return choice[number % len(choice)]


class People(RuleBasedStateMachine):
    """The verbs. One that does not apply raises a `WarmupError` and changes nothing."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.world.begin()
        self.clock = self.world.clock
        self.ledger = Ledger()
        self.tasks: list[WarmupTask] = []  # as they were made; those that were deleted, too
        self.versions: dict[int, dict[str, Any]] = {}  # what each playbook version says
        self.history: dict[int, tuple[Any, ...]] = {}  # step records of earlier rounds
        self.restarted: set[int] = set()  # runs that the last rule put back to their first step
        self.hops: int | None = 1  # how many statuses the last rule may have passed
        self.seen = self.read()

    def read(self) -> Rows:
        return Rows.read(self.clock.now, self.world.concurrency)

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

    def fitting(self, applies: Callable[[WarmupTask], bool]) -> list[WarmupTask]:
        return [task for task in self.tasks if applies(task)]

    def parked(self, *, in_doubt: bool, task: WarmupTask | None = None) -> list[int]:
        return [
            pk
            for pk, run in self.seen.runs.items()
            if run["status"] == RunStatus.PARKED
            and (run["reason"] == ParkReason.IN_DOUBT) == in_doubt
            and (task is None or run["task_id"] == task.pk)
        ]

    # ---- what there is ----------------------------------------------------------------------------

    def create(self, definition: int, site: int, accounts: set[int], concurrency: int) -> WarmupTask:
        playbook = save_playbook(definition)
        self.versions.setdefault(playbook.pk, playbook.definition)
        task = WarmupTask.objects.create(
            name=f"task {len(self.tasks)}",
            playbook=playbook,
            site=self.world.sites[site],
            concurrency=concurrency,
            all_accounts=not accounts,
        )
        task.accounts.set([self.world.accounts[site][number] for number in accounts])
        self.tasks.append(task)
        return task

    @precondition(lambda self: len(self.tasks) < MAX_TASKS)
    @rule(
        definition=DEFINITION,
        site=SITE,
        accounts=st.sets(st.integers(0, 2)),
        concurrency=st.integers(1, 3),
        starts=st.sampled_from([True, True, False]),
    )
    def create_task(
        self, definition: int, site: int, accounts: set[int], concurrency: int, starts: bool
    ) -> None:
        task = self.create(definition, site, accounts, concurrency)
        if starts and task.selected_accounts():
            services.start(task, by=None)

    def save_version(self, definition: int) -> None:
        playbook = save_playbook(definition)
        self.versions.setdefault(playbook.pk, playbook.definition)
        newest = Playbook.objects.order_by("-version")[0]
        assert newest == playbook
        self.ask(newest.save, legal=False)

    @rule(site=SITE, number=st.integers(0, 2), what=st.sampled_from(["enabled", "secret"]))
    def change_account(self, site: int, number: int, what: str) -> None:
        """Disable or enable it; or have its secret open with no key, or open again."""
        account = Account.objects.get(pk=self.world.accounts[site][number].pk)
        if what == "enabled":
            Account.objects.filter(pk=account.pk).update(enabled=not account.enabled)
            return
        secret, sound = AccountSecret.objects.get(account=account), self.world.secrets[account.pk]
        secret.password = b"gAAAAnot-a-token" if secret.password == sound else sound
        secret.save(update_fields=["password"])

    # ---- the verbs ----------------------------------------------------------------------------------

    @precondition(lambda self: self.tasks)
    @rule(verb=st.sampled_from(VERBS), which=WHICH, anyhow=st.booleans(), flag=st.booleans())
    def ask_for(self, verb: str, which: int, anyhow: bool, flag: bool) -> None:
        """A verb for a task that it applies to, if there is one; or, `anyhow`, for any task or run."""
        if verb in {"unpark", "settle"}:
            parked = [] if anyhow else self.parked(in_doubt=verb == "settle")
            runs = parked or list(self.seen.runs)
            if runs:
                pk = pick(runs, which)
                self._unpark(pk) if verb == "unpark" else self._settle(pk, happened=flag)
            return
        applies = getattr(self, f"can_{verb}")
        task = pick((not anyhow and self.fitting(applies)) or self.tasks, which)
        if verb == "restart":
            self._restart(task, "all" if which % 2 else "failed", latest=flag)
        elif verb == "stop":
            self._stop(task, force=flag)
        else:
            getattr(self, f"_{verb}")(task)

    def can_start(self, task: WarmupTask) -> bool:
        return self.status(task) == TaskStatus.PENDING and task.selected_accounts().exists()

    def _start(self, task: WarmupTask) -> None:
        legal = self.can_start(task)
        self.ask(lambda: services.start(task, by=None), legal=legal)
        if legal:
            assert WarmupAccount.objects.filter(task=task).count() == task.selected_accounts().count()
            self.ask(lambda: services.start(task, by=None), legal=False)

    def can_pause(self, task: WarmupTask) -> bool:
        return self.is_open(task) and self.status(task) in TASK_CLAIMABLE

    def _pause(self, task: WarmupTask) -> None:
        self.ask(lambda: services.pause(task, by=None), legal=self.can_pause(task))

    def can_resume(self, task: WarmupTask) -> bool:
        waits = self.status(task) == TaskStatus.PAUSED or bool(self.parked(in_doubt=False, task=task))
        return waits and self.is_open(task)

    def _resume(self, task: WarmupTask) -> None:
        legal = self.can_resume(task)
        self.ask(lambda: services.resume(task, by=None), legal=legal)
        if legal:
            self.ledger.chances.update(self.parked(in_doubt=False, task=task))

    @precondition(lambda self: self.parked(in_doubt=False) + self.parked(in_doubt=True))
    @rule(number=WHICH, happened=st.booleans())
    def see_to_one_parked(self, number: int, happened: bool) -> None:
        doubtful = self.parked(in_doubt=True)
        pk = pick([*doubtful, *self.parked(in_doubt=False)], number)
        self._settle(pk, happened=happened) if pk in doubtful else self._unpark(pk)

    def _unpark(self, pk: int) -> None:
        run = WarmupAccount.objects.get(pk=pk)
        legal = pk in self.parked(in_doubt=False) and self.is_open(run.task)
        self.ask(lambda: services.unpark(run, by=None), legal=legal)
        if legal:
            self.ledger.chances[pk] += 1
            self._stays_paused(run)

    def _settle(self, pk: int, *, happened: bool) -> None:
        run = WarmupAccount.objects.get(pk=pk)
        legal = pk in self.parked(in_doubt=True) and self.is_open(run.task)
        self.ask(lambda: services.settle(run, happened=happened, by=None), legal=legal)
        if legal:
            step = self.seen.runs[pk]["cursor"]
            self.ledger.chances[pk] += 1
            self.ledger.settle(pk, step)
            self.ledger.again[pk, self.ledger.rounds[pk], step] += not happened
            self._stays_paused(run)

    def _stays_paused(self, run: WarmupAccount) -> None:
        """What is done about one account resumes no task that somebody paused."""
        if self.status(run.task) == TaskStatus.PAUSED:
            assert WarmupTask.objects.get(pk=run.task_id).status == TaskStatus.PAUSED

    def can_stop(self, task: WarmupTask) -> bool:
        return self.status(task) not in {"", *TASK_FINAL}

    def _stop(self, task: WarmupTask, *, force: bool) -> None:
        legal = self.can_stop(task)
        self.ask(lambda: services.stop(task, by=None, force=force), legal=legal)
        if legal:
            counts = self.read().counts(task.pk)
            assert not counts[RunStatus.PENDING] + counts[RunStatus.PARKED]
            assert not force or not counts[RunStatus.RUNNING]

    def again(self, task: WarmupTask, which: Which, *, latest: bool) -> list[int]:
        """The runs that a restart puts back; none when it does not apply."""
        movable = not latest or (which == "all" and self.status(task) in TASK_FINAL)
        return self.seen.of(task.pk, *AGAIN[which]) if self.is_open(task) and movable else []

    def can_restart(self, task: WarmupTask) -> bool:
        return bool(self.again(task, "all", latest=False))

    @precondition(lambda self: self.fitting(self.can_restart))
    @rule(number=WHICH, which=st.sampled_from(sorted(AGAIN)), latest=st.booleans(), definition=DEFINITION)
    def restart(self, number: int, which: Which, latest: bool, definition: int) -> None:
        if latest:
            self.save_version(definition)
        self._restart(pick(self.fitting(self.can_restart), number), which, latest=latest)

    def _restart(self, task: WarmupTask, which: Which, *, latest: bool) -> None:
        runs = self.again(task, which, latest=latest)
        records = list(StepRecord.objects.filter(run__in=runs).values_list())
        self.ask(
            lambda: services.restart(task, which=which, by=None, latest_playbook=latest), legal=bool(runs)
        )
        if not runs:
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

    def can_delete(self, task: WarmupTask) -> bool:
        return self.status(task) in deletion.DELETABLE

    def _delete(self, task: WarmupTask) -> None:
        run, legal = WarmupAccount.objects.filter(task=task).first(), self.can_delete(task)
        if self.status(task):
            self.ask(lambda: deletion.delete(task, by=None), legal=legal)
        if legal and run is not None:
            self.ask(lambda: services.settle(run, happened=True, by=None), legal=False)
            self.ask(lambda: services.unpark(run, by=None), legal=False)
