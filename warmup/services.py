"""The verbs: what operators, commands and schedules ask for.

Guard, then one atomic change, then side effects on commit. `by` is who asks; None is the command
line. Every verb raises a `WarmupError` and changes nothing when it does not apply.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from core.errors import IllegalTransition, InvalidInput, NotFound
from core.owners import owner_is_gone
from warmup import audit, queue, store
from warmup.audit import Actor
from warmup.models import Playbook, StepRecord, WarmupAccount, WarmupTask
from warmup.playbooks.expand import run_seed
from warmup.playbooks.targets import target_faults
from warmup.playbooks.text import UNCLEAN
from warmup.states import TASK_FINAL, ParkReason, RunStatus, TaskStatus
from warmup.store.ending import FREE
from warmup.store.leases import lock_task

INSERT_BATCH = 1000
# When the run of an account (by its id) may begin.
NotBefore = Callable[[int], datetime]
# The reconciler puts a task into the queue again no sooner than this after the last time.
WAKE_AGAIN_SECONDS = 20

# What makes a run start from its first step again; its history stays.
AFRESH: dict[str, Any] = {
    "attempt_base": F("attempt"),
    "cursor": 0,
    "resume_url": "",
    "available_at": None,
    "reason": "",
    "detail": "",
    "started_at": None,
}


def find_run(task: WarmupTask, username: str) -> WarmupAccount:
    """The run of an account in a task; raises `NotFound`."""
    runs = task.runs.select_related("account", "task")
    run = None if UNCLEAN.search(username) else runs.filter(account__username=username).first()
    if run is None:
        raise NotFound(f"task '{task}' has no run of account '{username}'")
    return run


def find_task(name_or_id: str) -> WarmupTask:
    """The task of that name, or else of that id; raises `NotFound`."""
    tasks = WarmupTask.objects.select_related("playbook", "site")
    # A command's argument may hold what no database can even be asked for.
    task = None if UNCLEAN.search(name_or_id) else tasks.filter(name=name_or_id).first()
    if task is None and name_or_id.isascii() and name_or_id.isdigit():
        task = tasks.filter(pk=int(name_or_id)).first() if len(name_or_id) < 19 else None
    if task is None:
        raise NotFound(f"no task '{name_or_id}'")
    return task


# ---- start ----------------------------------------------------------------------------------------


def start(task: WarmupTask, *, by: Actor, not_before: NotBefore | None = None) -> int:
    """Start a PENDING task: its accounts' runs are made and queued. Returns how many.

    A run begins as soon as there is a slot for it, or at the time that `not_before` says for its account.
    Raises `IllegalTransition` for a task that was started before, `InvalidInput` for one that cannot
    run. Of any number of simultaneous starts, one succeeds.
    """
    faults = target_faults(task.playbook.spec(), task.site.target_map())
    if faults:
        raise InvalidInput([f"task '{task}': playbook '{task.playbook}': {fault}" for fault in faults])
    with transaction.atomic():
        now = store.database_now()
        rows = WarmupTask.objects.filter(pk=task.pk)
        if not rows.transition(TaskStatus.QUEUED, now=now, frm=[TaskStatus.PENDING], moved_at=now):
            raise IllegalTransition(f"task '{task}' is {_status(task)}: only a PENDING task can be started")
        count = _insert_runs(task, not_before)
        if not count:
            raise InvalidInput([f"task '{task}': it has no enabled account on site '{task.site}'"])
        audit.record(by, "start", task, count=count)
        _wake(task.pk, now)
    return count


def _status(task: WarmupTask) -> str:
    status = WarmupTask.objects.filter(pk=task.pk).values_list("status", flat=True).first()
    if status is None:
        raise NotFound(f"no task '{task}'")
    return status


def _insert_runs(task: WarmupTask, not_before: NotBefore | None) -> int:
    """One PENDING run for each selected account; memory stays flat however many there are."""
    count = 0
    for batch in _batches(task.selected_accounts()):
        WarmupAccount.objects.bulk_create(
            [
                WarmupAccount(
                    task=task,
                    account_id=pk,
                    seed=run_seed(task.seed, task.site.slug, username),
                    available_at=not_before(pk) if not_before else None,
                )
                for pk, username in batch
            ]
        )
        count += len(batch)
    return count


def _batches(accounts: object) -> Iterator[list[tuple[int, str]]]:
    rows = accounts.values_list("pk", "username")  # type: ignore[attr-defined]
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:INSERT_BATCH]):
        yield batch
        last = batch[-1][0]


# ---- pause, resume, stop ---------------------------------------------------------------------------


def pause(task: WarmupTask, *, by: Actor) -> None:
    """No more runs are taken; the running ones save their state at the next step and give back their slot."""
    with transaction.atomic():
        _lock_started(task)
        WarmupTask.objects.filter(pk=task.pk).transition_one(TaskStatus.PAUSED, now=store.database_now())
        audit.record(by, "pause", task, count=task.runs.filter(status__in=_LIVE).count())


def resume(task: WarmupTask, *, by: Actor) -> int:
    """Go on: a PAUSED task's runs at their cursors, and the parked accounts that a person has seen to.

    Returns how many runs wait now. An account parked in doubt stays parked until `settle`.
    """
    with transaction.atomic():
        locked = _lock_started(task)
        now = store.database_now()
        parked = task.runs.filter(status=RunStatus.PARKED).exclude(reason=ParkReason.IN_DOUBT)
        freed = parked.transition(RunStatus.PENDING, now=now, available_at=None, reason="", detail="")
        if locked.status != TaskStatus.PAUSED and not freed:
            raise IllegalTransition(f"task '{task}' is {locked.status}: there is nothing to resume")
        _queue_again(locked, now)
        count = task.runs.filter(status=RunStatus.PENDING).count()
        audit.record(by, "resume", task, count=count)
    return count


def unpark(run: WarmupAccount, *, by: Actor) -> None:
    """Take up one parked account, which a person has seen to, at its cursor.

    Raises `IllegalTransition` for a run that is not parked, or is parked in doubt: that needs `settle`.
    """
    with transaction.atomic():
        locked = _lock_started(_task_of(run))
        now = store.database_now()
        rows = WarmupAccount.objects.filter(pk=run.pk, status=RunStatus.PARKED)
        rows = rows.exclude(reason=ParkReason.IN_DOUBT)
        if not rows.transition(RunStatus.PENDING, now=now, available_at=None, reason="", detail=""):
            raise IllegalTransition(
                f"the run of '{run.account}' is not parked, or parked in doubt: that is to be settled"
            )
        _go_on(locked, now)
        audit.record(by, "unpark", run, count=1)


def settle(run: WarmupAccount, *, happened: bool, by: Actor) -> None:
    """Settle a run parked in doubt about a `once` step: it happened, or it is to be done again."""
    with transaction.atomic():
        locked = _lock_started(_task_of(run))
        now = store.database_now()
        rows = WarmupAccount.objects.filter(pk=run.pk, status=RunStatus.PARKED, reason=ParkReason.IN_DOUBT)
        run = rows.select_for_update().select_related("account").first() or run
        if run.status != RunStatus.PARKED or run.reason != ParkReason.IN_DOUBT:
            raise IllegalTransition(f"the run of '{run.account}' is not parked in doubt")
        result = StepRecord.Result.DONE if happened else StepRecord.Result.FAILED
        StepRecord.objects.filter(run=run, index=run.cursor, result=StepRecord.Result.INTENT).update(
            result=result, ended_at=now, detail="it happened" if happened else "to be done again"
        )
        rows.transition(
            RunStatus.PENDING,
            now=now,
            cursor=run.cursor + int(happened),
            available_at=None,
            reason="",
            detail="",
        )
        _go_on(locked, now)
        audit.record(by, "settle", run, count=1, reason="it happened" if happened else "do it again")


def stop(task: WarmupTask, *, by: Actor, force: bool = False) -> int:
    """End a task: waiting runs at once, running ones as soon as their workers hear of it (about a second).

    With `force`, the running ones are STOPPED here and now and their leases taken away, so that a
    worker that hangs, or is gone, can write nothing more. Returns how many runs were still live.
    """
    with transaction.atomic():
        locked = lock_task(task.pk)
        if locked is None:
            raise NotFound(f"no task '{task}'")
        if locked.status in TASK_FINAL:
            raise IllegalTransition(f"task '{task}' is {locked.status}: it has ended already")
        now = store.database_now()
        WarmupTask.objects.filter(pk=task.pk, stop_requested_at=None).update(stop_requested_at=now)
        live = task.runs.filter(status__in=_LIVE).count()
        reason = "stopped by force" if force else "stopped by a person"
        waiting = task.runs.filter(status__in=[RunStatus.PENDING, RunStatus.PARKED])
        waiting.transition(RunStatus.STOPPED, now=now, reason=reason)
        if force:
            running = list(task.runs.active().order_by("pk").select_for_update().values_list("pk", flat=True))
            task.runs.filter(pk__in=running).transition(RunStatus.STOPPED, now=now, reason=reason, **FREE)
        if locked.status == TaskStatus.PENDING:
            WarmupTask.objects.filter(pk=task.pk).transition_one(TaskStatus.STOPPED, now=now)
        store.settle_task(task.pk, now)
        audit.record(by, "force stop" if force else "stop", task, count=live)
    return live


_LIVE = [RunStatus.PENDING, RunStatus.RUNNING]


def _task_of(run: WarmupAccount) -> WarmupTask:
    try:
        return run.task
    except WarmupTask.DoesNotExist:
        raise NotFound(f"no run {run.pk}: its task was deleted") from None


def _lock_started(task: WarmupTask) -> WarmupTask:
    locked = lock_task(task.pk)
    if locked is None:
        raise NotFound(f"no task '{task}'")
    if locked.stop_requested_at is not None and locked.status not in TASK_FINAL:
        raise IllegalTransition(f"task '{task}' is being stopped: wait until it has ended")
    return locked


def _go_on(locked: WarmupTask, now: datetime) -> None:
    """Have a task whose runs wait again go on; a paused one waits for its resume."""
    WarmupTask.objects.filter(pk=locked.pk).update(moved_at=now)
    if locked.status != TaskStatus.PAUSED:
        _queue_again(locked, now)


def _queue_again(locked: WarmupTask, now: datetime) -> None:
    WarmupTask.objects.filter(pk=locked.pk).transition(
        TaskStatus.QUEUED, now=now, frm=[TaskStatus.PAUSED, *TASK_FINAL], stop_requested_at=None, moved_at=now
    )
    _wake(locked.pk, now)


# ---- restart --------------------------------------------------------------------------------------


def restart(
    task: WarmupTask,
    *,
    which: Literal["failed", "all"],
    by: Actor,
    latest_playbook: bool = False,
    reasons: Collection[str] | None = None,
) -> int:
    """Run again from the first step: the FAILED and STOPPED runs, or all that are not running.

    With `reasons`, only runs that ended for one of these (`warmup.failures`). History stays; attempts are
    counted afresh. With `latest_playbook` the task moves to the newest version of its playbook, which only
    a restart of all of an ended task may do. Returns how many.
    """
    statuses = [RunStatus.FAILED, RunStatus.STOPPED]
    if which == "all":
        statuses += [RunStatus.COMPLETED, RunStatus.PARKED]
    with transaction.atomic():
        locked = _lock_started(task)
        now = store.database_now()
        if latest_playbook:
            _move_to_latest_playbook(locked, which)
        again = task.runs.filter(status__in=statuses)
        if reasons is not None:
            again = again.filter(reason__in=reasons)
        count = again.transition(RunStatus.PENDING, now=now, **AFRESH)
        if not count:
            raise IllegalTransition(f"task '{task}' has no run to restart")
        _go_on(locked, now)
        audit.record(by, "restart", task, count=count, reason=which)
    return count


def _move_to_latest_playbook(task: WarmupTask, which: str) -> None:
    if which != "all" or task.status not in TASK_FINAL:
        raise IllegalTransition(
            f"task '{task}': another playbook version needs a restart of all runs of an ended task"
        )
    latest = Playbook.objects.filter(name=task.playbook.name).order_by("-version")[0]
    faults = target_faults(latest.spec(), task.site.target_map())
    if faults:
        raise InvalidInput([f"playbook '{latest}': {fault}" for fault in faults])
    WarmupTask.objects.filter(pk=task.pk).update(playbook=latest)


# ---- the queue follows the database ----------------------------------------------------------------


def reconcile() -> dict[str, int]:
    """Make the queue agree with the database, which is the truth. May run anywhere, any time.

    Runs whose lease has ended, or whose worker on this host is gone, go back to the queue (or to their
    end); a task with work and no recent wake-up gets one; a task whose runs have all ended is settled.
    Returns what was done, in counts.
    """
    done = {"expired": 0, "woken": 0, "settled": 0}
    now = store.database_now()
    gone = _gone_workers()
    lost = WarmupAccount.objects.active().filter(Q(lease_until__lte=now) | Q(worker__in=gone))
    lost_by = list(lost.order_by().values_list("task_id", flat=True).distinct())
    for task_id in lost_by:
        done["expired"] += store.expire(task_id, gone=gone)
    without_live = WarmupTask.objects.active().exclude(runs__status__in=_LIVE)
    for task_id in list(without_live.values_list("pk", flat=True)):
        with transaction.atomic():
            lock_task(task_id)
            store.settle_task(task_id, now)
        done["settled"] += 1
    # A slice that was lost wakes nobody when it ends: its runs go on now, not with the next wake-up.
    done["woken"] = _wake_idle(WarmupTask.objects.filter(pk__in=lost_by), now, older_than_seconds=2)
    done["woken"] += _wake_idle(WarmupTask.objects.all(), now, older_than_seconds=WAKE_AGAIN_SECONDS)
    store.forget_old_pulses()
    return done


def _gone_workers() -> list[str]:
    """The workers of this host that hold leases and are no longer alive.

    Their leases need not be waited for: the process that could use them has ended.
    """
    workers = WarmupAccount.objects.active().order_by().values_list("worker", flat=True).distinct()
    return [worker for worker in workers if owner_is_gone(worker)]


def after_slice(task_id: int) -> None:
    """A slice has ended: a successor if work is left, and a look at what its slots may have held up."""
    now = store.database_now()
    if store.has_work(task_id):
        _wake(task_id, now, at_most=1)
    else:
        # What backs off now (its browser died, say) may be woken as soon as it is due.
        WarmupTask.objects.filter(pk=task_id).update(woken_at=None)
    site = WarmupTask.objects.filter(pk=task_id).values("site")
    _wake_idle(WarmupTask.objects.filter(site__in=site).exclude(pk=task_id), now, older_than_seconds=2)


def _wake_idle(tasks: object, now: datetime, *, older_than_seconds: int) -> int:
    """Wake the tasks among these that could go on and were not woken lately."""
    quiet = Q(woken_at=None) | Q(woken_at__lt=now - timedelta(seconds=older_than_seconds))
    ids: Sequence[int] = list(tasks.claimable().filter(quiet).values_list("pk", flat=True))  # type: ignore[attr-defined]
    woken = 0
    for task_id in ids:
        # Guarded: of two reconcilers at once, one wakes it.
        if store.has_work(task_id) and WarmupTask.objects.filter(quiet, pk=task_id).update(woken_at=now):
            _wake(task_id, now)
            woken += 1
    return woken


def _wake(task_id: int, now: datetime, *, at_most: int | None = None) -> None:
    """Enqueue as many slices as the task's free slots can use."""
    task = WarmupTask.objects.select_related("site").get(pk=task_id)
    waiting = task.runs.claimable(now).count()
    slots = min(store.free_slots(task, task.site), waiting)
    slices = max(1, math.ceil(slots / settings.WARMUP_CONTEXTS_PER_WORKER))
    WarmupTask.objects.filter(pk=task_id).update(woken_at=now)
    queue.wake(task_id, min(slices, at_most or slices))
