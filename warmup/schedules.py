"""Schedules: what is due is made and started, once for each slot whatever happens.

A slot is a row (schedule, slot) that is unique, made in the transaction that starts its task and moves the
schedule on. So it does not matter who looks, how often, or whose clock goes back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice, takewhile
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet

from core.errors import IllegalTransition, InvalidInput, NotFound, WarmupError
from core.models import Account
from core.text import one_line
from warmup import audit, creating, store
from warmup.audit import Actor, Machine
from warmup.models import ScheduleFiring, WarmupSchedule, WarmupTask
from warmup.states import FiringStatus, RunStatus

log = structlog.get_logger(__name__)

# A slot is looked at within a minute, when all is well: that is not late, whatever the catch-up window.
GRACE = timedelta(minutes=2)
COUNTED = 1000
_INSTANT = timedelta(microseconds=1)


# ---- what beats ------------------------------------------------------------------------------------


def fire_due() -> dict[str, int]:
    """Start what is due, and what waited for a task to end. May run anywhere, any time.

    Returns how many slots were `fired` (whatever came of them) and how many that waited were `decided`.
    """
    now = store.database_now()
    done = {"fired": 0, "decided": 0}
    for pk in list(WarmupSchedule.objects.due(now).values_list("pk", flat=True)):
        done["fired"] += _fire_slots(pk, now)
    waiting = ScheduleFiring.objects.open().order_by().values_list("schedule", flat=True)
    for pk in list(waiting.distinct()):
        done["decided"] += _decide_open(pk, now)
    return done


def _lock(pk: int) -> WarmupSchedule | None:
    return WarmupSchedule.objects.select_for_update(no_key=True).filter(pk=pk).first()


def _fire_slots(pk: int, now: datetime) -> int:
    """Every slot of a schedule that has come and was not looked at."""
    with transaction.atomic():
        schedule = _lock(pk)
        if schedule is None or schedule.paused or not schedule.next_slot_at or schedule.next_slot_at > now:
            return 0  # somebody was faster
        try:
            slots, next_slot = _due_slots(schedule, schedule.next_slot_at, now), schedule.next_after(now)
        except InvalidInput as error:  # its time zone is no more, say: the others must not suffer
            _set_aside(schedule, schedule.next_slot_at, error, now)
            return 1
        fired = [_fire(schedule, slot, now, by=Machine(f"schedule {schedule}")) for slot in slots]
        WarmupSchedule.objects.filter(pk=pk).update(next_slot_at=next_slot)
        return sum(firing is not None for firing in fired)


def _due_slots(schedule: WarmupSchedule, first: datetime, now: datetime) -> list[datetime]:
    """The slots from `first` to now that the catch-up window allows; one row says which it does not."""
    table, window = schedule.timetable(), now - max(schedule.catch_up(), GRACE)
    late = takewhile(lambda slot: slot < window, table.slots(first - _INSTANT))
    missed = list(islice(late, COUNTED))
    if missed:
        number = f"{len(missed)}{' or more' if len(missed) == COUNTED else ''}"
        reason = f"slots from here on: {number}; later than the {schedule.catch_up_minutes} min of catch-up"
        _record(schedule, missed[0], FiringStatus.MISSED, reason, now)
    begin = max(first, window) - _INSTANT
    return list(takewhile(lambda slot: slot <= now, table.slots(begin)))


def _record(schedule: WarmupSchedule, slot: datetime, status: str, reason: str, now: datetime) -> None:
    firing, new = ScheduleFiring.objects.get_or_create(schedule=schedule, slot=slot)
    if new:
        _move(firing, status, now, reason=reason)


def _set_aside(schedule: WarmupSchedule, slot: datetime, error: WarmupError, now: datetime) -> None:
    log.error("schedule_set_aside", schedule=schedule.pk, error=str(error))
    _record(schedule, slot, FiringStatus.FAILED, f"{error}; the schedule is paused", now)
    WarmupSchedule.objects.filter(pk=schedule.pk).update(paused=True)
    audit.record(Machine(f"schedule {schedule}"), "pause", schedule, reason=str(error))


# ---- one slot --------------------------------------------------------------------------------------


def _fire(
    schedule: WarmupSchedule, slot: datetime, now: datetime, *, by: Actor, by_hand: bool = False
) -> ScheduleFiring | None:
    """What a slot comes to; None when it has had its turn. The caller holds the schedule's lock."""
    firing, new = ScheduleFiring.objects.get_or_create(
        schedule=schedule, slot=slot, defaults={"by_hand": by_hand}
    )
    if not new:
        return None
    others = schedule.firings.going_on().exclude(pk=firing.pk)
    before = others.select_related("task", "canary").first()
    if before is None:
        _begin(schedule, firing, slot, now, by=by)
    elif schedule.overlap == schedule.Overlap.QUEUE and not others.filter(status=FiringStatus.WAITING):
        ScheduleFiring.objects.filter(pk=firing.pk).update(reason=f"waits for the end of {_what(before)}")
    else:
        _move(firing, FiringStatus.SKIPPED, now, reason=f"{_what(before)} has not ended")
    return firing


def _what(firing: ScheduleFiring) -> str:
    task = firing.task or firing.canary
    return f"task '{task}'" if task else f"the slot of {firing.slot:%Y-%m-%d %H:%M} UTC"


def _begin(
    schedule: WarmupSchedule, firing: ScheduleFiring, slot: datetime, now: datetime, *, by: Actor
) -> None:
    """Start the task of a firing, or its canary. `slot` is from when the accounts' times count."""
    accounts, first = schedule.selected_accounts(), schedule.canary_accounts
    try:
        if first and accounts.count() > first:
            few = Account.objects.filter(pk__in=accounts.values("pk")[:first])
            task = _start(schedule, firing, few, slot, by=by, suffix=" canary")
            _move(firing, FiringStatus.CANARY, now, canary=task)
        else:
            task = _start(schedule, firing, None if schedule.all_accounts else accounts, slot, by=by)
            _move(firing, FiringStatus.STARTED, now, task=task)
    except WarmupError as error:
        _move(firing, FiringStatus.FAILED, now, reason=str(error))


def _start(
    schedule: WarmupSchedule,
    firing: ScheduleFiring,
    accounts: QuerySet[Account] | None,
    slot: datetime,
    *,
    by: Actor,
    suffix: str = "",
) -> WarmupTask:
    local = firing.slot.astimezone(schedule.wall_clock())
    definition = creating.Definition(
        name=_free_name(f"{schedule.name} {local:%Y-%m-%d %H:%M}{suffix}"),
        playbook=schedule.present_playbook(),
        site=schedule.site,
        concurrency=schedule.concurrency,
        delay_min_seconds=schedule.delay_min_seconds,
        delay_max_seconds=schedule.delay_max_seconds,
        seed=_seed(firing),
    )
    not_before = (lambda account: schedule.begins(account, slot)) if schedule.jitter_minutes else None
    return creating.create_and_start(definition, accounts=accounts, by=by, not_before=not_before)[0]


def _free_name(name: str) -> str:
    """`name`, or with a number when there is a task of that name."""
    taken = set(WarmupTask.objects.filter(name__startswith=name).values_list("name", flat=True))
    numbered = (f"{name} ({number})" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def _seed(firing: ScheduleFiring) -> int:
    """Other plans at each slot, and the same ones if a slot is looked at again."""
    key = f"{firing.schedule_id}:{firing.slot.timestamp()}".encode()
    return int.from_bytes(sha256(key).digest()[:8], "big") >> 1


def _move(firing: ScheduleFiring, status: str, now: datetime, *, reason: str = "", **tasks: Any) -> None:
    """Move a firing on, with its `task` or `canary`."""
    rows = ScheduleFiring.objects.filter(pk=firing.pk)
    rows.transition_one(status, now=now, reason=one_line(reason, 500) if reason else "", **tasks)
    log.info("schedule_fired", schedule=firing.schedule_id, slot=firing.slot.isoformat(), status=status)


# ---- what waited -----------------------------------------------------------------------------------


def _decide_open(pk: int, now: datetime) -> int:
    """The firings of a schedule whose canary, or the task before them, has ended."""
    decided = 0
    with transaction.atomic():
        schedule = _lock(pk)
        if schedule is None:
            return 0
        by = Machine(f"schedule {schedule}")
        for firing in schedule.firings.open().select_related("canary").order_by("slot"):
            if firing.status == FiringStatus.CANARY:
                decided += _after_canary(schedule, firing, now, by=by)
            elif not schedule.firings.going_on().exclude(pk=firing.pk).exists():
                _begin(schedule, firing, now, now, by=by)
                decided += 1
    return decided


def _after_canary(schedule: WarmupSchedule, firing: ScheduleFiring, now: datetime, *, by: Actor) -> bool:
    """Start the other accounts if enough of the canary completed; False while it has not ended."""
    canary = firing.canary
    if canary is None:
        _move(firing, FiringStatus.HELD, now, reason="the canary was deleted")
        return True
    if not canary.is_final:
        return False
    counts = canary.runs.counts()
    completed, total = counts[RunStatus.COMPLETED], sum(counts.values())
    verdict = f"canary: {completed} of {total} accounts completed, {schedule.canary_percent} % are asked for"
    if completed * 100 < total * schedule.canary_percent:
        _move(firing, FiringStatus.HELD, now, reason=f"{verdict}: the others were not started")
        return True
    others = schedule.selected_accounts().exclude(runs__task=canary)
    try:
        task = _start(schedule, firing, others, now, by=by)
        _move(firing, FiringStatus.STARTED, now, reason=verdict, task=task)
    except WarmupError as error:
        _move(firing, FiringStatus.FAILED, now, reason=f"{verdict}; {error}")
    return True


# ---- what people ask for ---------------------------------------------------------------------------


def save(schedule: WarmupSchedule, fields: tuple[str, ...]) -> None:
    """Save a new schedule, or these fields of one: its next slot is the first one from now on.

    What is due by the old rules is fired by the old rules. Raises `InvalidInput`.
    """
    with transaction.atomic():
        now = store.database_now()
        new = schedule._state.adding
        if not new:
            _fire_slots(schedule.pk, now)
        schedule.next_slot_at = schedule.next_after(now)
        schedule.save(update_fields=None if new else [*fields, "next_slot_at"])


def pause(schedule: WarmupSchedule, *, by: Actor) -> None:
    """Nothing more is started: a slot that waits is skipped, and the accounts behind a canary are held."""
    with transaction.atomic():
        locked, now = _locked(schedule), store.database_now()
        if locked.paused:
            raise IllegalTransition(f"schedule '{schedule}' is paused already")
        WarmupSchedule.objects.filter(pk=schedule.pk).update(paused=True)
        for firing in locked.firings.open():
            held = firing.status == FiringStatus.CANARY
            status = FiringStatus.HELD if held else FiringStatus.SKIPPED
            _move(firing, status, now, reason="the schedule was paused meanwhile")
        audit.record(by, "pause", schedule)


def resume(schedule: WarmupSchedule, *, by: Actor) -> None:
    """Go on with the next slot from now on; those of the pause are left out."""
    with transaction.atomic():
        locked = _locked(schedule)
        if not locked.paused:
            raise IllegalTransition(f"schedule '{schedule}' is not paused")
        next_slot = locked.next_after(store.database_now())
        WarmupSchedule.objects.filter(pk=schedule.pk).update(paused=False, next_slot_at=next_slot)
        audit.record(by, "resume", schedule)


def run_now(schedule: WarmupSchedule, *, by: Actor) -> ScheduleFiring:
    """A slot out of turn, also of a paused schedule.

    Raises `IllegalTransition` while a task of it has not ended, `InvalidInput` when it cannot start.
    """
    with transaction.atomic():
        locked, now = _locked(schedule), store.database_now()
        before = locked.firings.going_on().select_related("task", "canary").first()
        if before is not None:
            raise IllegalTransition(f"schedule '{schedule}': {_what(before)} has not ended")
        firing = _fire(locked, now, now, by=by, by_hand=True)
        if firing is None:
            raise IllegalTransition(f"schedule '{schedule}' has been run at this very moment")
        firing.refresh_from_db()
        if firing.status == FiringStatus.FAILED:
            raise InvalidInput([firing.reason])
        task = firing.task or firing.canary
        audit.record(by, "run now", schedule, count=task.runs.count() if task else 0)
    return firing


def _locked(schedule: WarmupSchedule) -> WarmupSchedule:
    locked = _lock(schedule.pk)
    if locked is None:
        raise NotFound(f"no schedule '{schedule}'")
    return locked
