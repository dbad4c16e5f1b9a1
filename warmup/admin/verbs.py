"""What can be asked of tasks: when each verb applies, what it will do and to how many, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Count, Q
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core.admin import Text
from core.errors import WarmupError
from warmup import services
from warmup.admin.board import Board
from warmup.audit import Actor
from warmup.models import WarmupTask
from warmup.states import TASK_ACTIVE, TASK_CLAIMABLE, RunStatus, TaskStatus


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be asked of a task."""

    name: str
    title: Text
    past: Text  # what a message begins with
    icon: str
    consequence: Text
    applies: Callable[[Board], bool]
    touches: Callable[[Board], int]  # how many accounts; of a start, what `Selection` says
    carry_out: Callable[[WarmupTask, Actor], int]
    danger: bool = False


def _calm(board: Board) -> bool:
    return not board.stop_requested


def _restartable(board: Board, *statuses: str) -> int:
    return sum(board.counts[status] for status in statuses)


def _failed(board: Board) -> int:
    return _restartable(board, RunStatus.FAILED, RunStatus.STOPPED)


def _all(board: Board) -> int:
    return _failed(board) + _restartable(board, RunStatus.COMPLETED, RunStatus.PARKED)


def _resumable(board: Board) -> int:
    waiting = board.counts[RunStatus.PENDING] if board.status == TaskStatus.PAUSED else 0
    return waiting + board.solvable


def _stop(task: WarmupTask, by: Actor, *, force: bool = False) -> int:
    parked = task.runs.filter(status=RunStatus.PARKED).count()
    return parked + services.stop(task, by=by, force=force)


def _pause(task: WarmupTask, by: Actor) -> int:
    services.pause(task, by=by)
    return task.runs.filter(status__in=[RunStatus.PENDING, RunStatus.RUNNING]).count()


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "start",
            _("Start"),
            _("Started"),
            "play_arrow",
            _("Each enabled account of the task gets a run, and the runs are queued for the workers."),
            lambda board: board.status == TaskStatus.PENDING,
            lambda _board: 0,
            lambda task, by: services.start(task, by=by),
        ),
        Verb(
            "pause",
            _("Pause"),
            _("Paused"),
            "pause",
            _(
                "No more runs are begun. Those that run stop behind their present step, keep their"
                " browser's state, and wait."
            ),
            lambda board: board.status in TASK_CLAIMABLE and _calm(board),
            lambda board: board.live,
            _pause,
        ),
        Verb(
            "resume",
            _("Resume"),
            _("Resumed"),
            "resume",
            _(
                "A paused task goes on where its runs are, and so do parked accounts that a person has"
                " seen to. Accounts parked in doubt stay parked: settle each on the page of its run."
            ),
            lambda board: (board.status == TaskStatus.PAUSED or board.solvable > 0) and _calm(board),
            _resumable,
            lambda task, by: services.resume(task, by=by),
        ),
        Verb(
            "stop",
            _("Stop"),
            _("Stop requested"),
            "stop",
            _(
                "Runs that wait or are parked end as stopped at once; those that run end behind their"
                " present step. They can be restarted, from their first step."
            ),
            lambda board: board.status in {TaskStatus.PENDING, *TASK_ACTIVE} and _calm(board),
            lambda board: board.live + board.counts[RunStatus.PARKED],
            _stop,
            danger=True,
        ),
        Verb(
            "force_stop",
            _("Force stop"),
            _("Stopped by force"),
            "dangerous",
            _(
                "All runs end as stopped at once, also those whose worker hangs or is gone. A step in"
                " progress may still happen on the site, but nothing more of it is saved."
            ),
            lambda board: board.status in {TaskStatus.PENDING, *TASK_ACTIVE},
            lambda board: board.live + board.counts[RunStatus.PARKED],
            lambda task, by: _stop(task, by, force=True),
            danger=True,
        ),
        Verb(
            "restart_failed",
            _("Restart failed"),
            _("Restarted"),
            "replay",
            _("The failed and stopped runs begin again from their first step; their history stays."),
            lambda board: _failed(board) > 0 and _calm(board),
            _failed,
            lambda task, by: services.restart(task, which="failed", by=by),
        ),
        Verb(
            "restart_all",
            _("Restart all"),
            _("Restarted"),
            "restart_alt",
            _(
                "All runs that have ended or are parked begin again from their first step, also the"
                " completed ones: steps that count as once are done once more. Their history stays."
            ),
            lambda board: _all(board) > 0 and _calm(board),
            _all,
            lambda task, by: services.restart(task, which="all", by=by),
        ),
    )
}


def valid_verbs(board: Board) -> list[Verb]:
    """The verbs worth offering for a task as it stands now: force is, where a worker may hang."""
    return [
        verb
        for verb in VERBS.values()
        if verb.applies(board) and (verb.name != "force_stop" or board.running)
    ]


def selection_sizes(task_ids: Iterable[int]) -> dict[int, int]:
    """How many accounts a start of each of these tasks would take."""
    enabled = Count("accounts", filter=Q(accounts__enabled=True))
    of_site = Count("site__accounts", filter=Q(site__accounts__enabled=True))
    tasks = WarmupTask.objects.filter(pk__in=list(task_ids)).order_by()
    chosen = tasks.filter(all_accounts=False).annotate(size=enabled).values_list("pk", "size")
    everyone = tasks.filter(all_accounts=True).annotate(size=of_site).values_list("pk", "size")
    return {**dict(chosen), **dict(everyone)}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a verb would do to some tasks: to which, to which not, and how many accounts it touches."""

    verb: Verb
    able: tuple[int, ...]
    unable: tuple[int, ...]
    accounts: int

    @property
    def summary(self) -> str:
        """`2 of 3 tasks, 24 accounts`."""
        tasks = _tasks(len(self.able))
        if self.unable:
            chosen = len(self.able) + len(self.unable)
            tasks = ngettext("%(able)d of %(chosen)d task", "%(able)d of %(chosen)d tasks", chosen) % {
                "able": len(self.able),
                "chosen": chosen,
            }
        return f"{tasks}, {accounts_text(self.accounts)}"


def forecast(verb: Verb, stands: Mapping[int, Board]) -> Forecast:
    """What `verb` would do to the tasks of these boards."""
    able = [pk for pk, board in stands.items() if verb.applies(board)]
    if verb.name == "start":
        touched = sum(selection_sizes(able).values())
    else:
        touched = sum(verb.touches(stands[pk]) for pk in able)
    return Forecast(verb, tuple(able), tuple(pk for pk in stands if pk not in set(able)), touched)


@dataclass(slots=True)
class Result:
    """What a verb did: to how many tasks and accounts, and one sentence for each task that it could not."""

    verb: Verb
    tasks: int = 0
    accounts: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """`Started: 2 tasks, 24 accounts.`"""
        return _now("%(past)s: %(tasks)s, %(accounts)s.") % {
            "past": self.verb.past,
            "tasks": _tasks(self.tasks),
            "accounts": accounts_text(self.accounts),
        }


def carry_out(verb: Verb, tasks: Iterable[WarmupTask], *, by: Actor) -> Result:
    """Do it to each task; one that refuses does not stand in the way of the others."""
    result = Result(verb)
    for task in tasks:
        try:
            result.accounts += verb.carry_out(task, by)
            result.tasks += 1
        except WarmupError as error:
            named = str(task) in str(error)
            result.errors.append(str(error) if named else f"{task}: {error}")
    return result


def accounts_text(number: int) -> str:
    """`1 account`, `12 accounts`."""
    return ngettext("%(number)d account", "%(number)d accounts", number) % {"number": number}


def _tasks(number: int) -> str:
    return ngettext("%(number)d task", "%(number)d tasks", number) % {"number": number}
