"""Schedules: once for each slot whatever happens, late starts and overlap."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from tests import factories
from tests.warmup.schedule_examples import DAY, EIGHT, HOUR, NINE, Clock, end, fired, last, make_schedule
from warmup import schedules, services, store
from warmup.models import AuditEntry, ScheduleFiring, WarmupSchedule, WarmupTask
from warmup.states import FiringStatus, TaskStatus

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(EIGHT)
    monkeypatch.setattr(store, "database_now", made)
    return made


# ---- a slot ----------------------------------------------------------------------------------------


def test_slot_that_comes_makes_and_starts_a_task(clock: Clock) -> None:
    schedule = make_schedule(3, name="morning", concurrency=2, delay_min_seconds=1, delay_max_seconds=4)
    assert schedules.fire_due() == {"fired": 0, "decided": 0}
    clock.now = NINE + timedelta(seconds=4)

    assert schedules.fire_due() == {"fired": 1, "decided": 0}

    firing = last(schedule)
    task = firing.task
    assert task is not None
    assert (firing.slot, firing.status, firing.completed_at) == (NINE, FiringStatus.STARTED, clock.now)
    assert (task.name, task.status, task.created_by) == ("morning 2026-03-02 09:00", TaskStatus.QUEUED, None)
    assert (task.site, task.playbook, task.concurrency) == (schedule.site, schedule.playbook, 2)
    assert (task.delay_min_seconds, task.delay_max_seconds) == (1, 4)
    assert set(task.runs.values_list("account", "available_at")) == {
        (account.pk, None) for account in schedule.accounts.all()
    }
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name, entry.verb, entry.count) == (None, "schedule morning", "start", 3)
    schedule.refresh_from_db()
    assert schedule.next_slot_at == NINE + DAY


def test_all_accounts_are_those_of_the_slot(clock: Clock) -> None:
    schedule = make_schedule(2, all_accounts=True)
    factories.AccountFactory(site=schedule.site)
    factories.AccountFactory(site=schedule.site, enabled=False)
    clock.now = NINE

    schedules.fire_due()

    assert WarmupTask.objects.get().runs.count() == 3


@pytest.mark.parametrize(("newest", "version"), [(True, 2), (False, 1)])
def test_newest_version_of_the_playbook_or_the_chosen_one(clock: Clock, newest: bool, version: int) -> None:
    make_schedule(1, newest_playbook=newest)
    factories.make_playbook(steps=[{"do": "open", "target": "feed"}])
    clock.now = NINE

    schedules.fire_due()

    assert WarmupTask.objects.get().playbook.version == version


def test_plans_differ_from_slot_to_slot(clock: Clock) -> None:
    schedule = make_schedule(1)
    for number in range(2):
        clock.now = NINE + number * DAY
        schedules.fire_due()
        end(last(schedule).task, completed=1)

    first, second = WarmupTask.objects.order_by("pk")
    assert first.seed != second.seed


def test_task_whose_name_is_taken_gets_a_number(clock: Clock) -> None:
    schedule = make_schedule(1, name="morning")
    for name in ("morning 2026-03-02 09:00", "morning 2026-03-02 09:00 (2)"):
        factories.make_task(1, name=name)
    clock.now = NINE

    schedules.fire_due()

    assert last(schedule).task.name == "morning 2026-03-02 09:00 (3)"  # type: ignore[union-attr]


def test_interval_fires_exactly(clock: Clock) -> None:
    schedule = make_schedule(1, rhythm="interval", interval_minutes=90, cron="")
    for _ in range(10):
        clock.forward(minutes=15)
        if schedules.fire_due()["fired"]:
            end(last(schedule).task, completed=1)

    assert fired(schedule) == [(NINE, "STARTED"), (NINE + timedelta(minutes=90), "STARTED")]


@pytest.mark.parametrize(
    ("zone", "at", "begin", "shown"),
    [
        ("Europe/Berlin", "30 2 * * *", "2026-03-27T12:00+00:00", ["28 02:30", "29 03:00", "30 02:30"]),
        ("Europe/Berlin", "30 2 * * *", "2026-10-23T12:00+00:00", ["24 02:30", "25 02:30", "26 02:30"]),
        ("Africa/Cairo", "15 0 * * *", "2026-04-22T12:00+00:00", ["23 00:15", "24 01:00", "25 00:15"]),
    ],
)
def test_once_a_day_where_the_clock_jumps(
    clock: Clock, zone: str, at: str, begin: str, shown: list[str]
) -> None:
    clock.now = datetime.fromisoformat(begin)
    schedule = make_schedule(1, cron=at, time_zone=zone, canary_accounts=0)

    for _ in range(3 * 24 * 4):
        clock.forward(minutes=15)
        if schedules.fire_due()["fired"]:
            end(last(schedule).task, completed=1)

    local = [slot.astimezone(schedule.wall_clock()) for slot, _status in fired(schedule)]
    assert [f"{slot:%d %H:%M}" for slot in local] == shown
    assert {status for _slot, status in fired(schedule)} == {"STARTED"}


# ---- once ------------------------------------------------------------------------------------------


def test_slot_is_fired_once_however_often_it_is_looked_at(clock: Clock) -> None:
    schedule = make_schedule()
    clock.now = NINE

    results = [schedules.fire_due()["fired"] for _ in range(5)]

    assert results == [1, 0, 0, 0, 0]
    assert fired(schedule) == [(NINE, "STARTED")]


def test_clock_that_goes_back_fires_nothing_again(clock: Clock) -> None:
    schedule = make_schedule()
    clock.now = NINE + timedelta(seconds=3)
    schedules.fire_due()
    end(last(schedule).task, completed=3)
    clock.now = NINE - HOUR
    schedules.fire_due()
    # An edit sets the next slot by the clock: back to one that had its turn.
    schedules.save(schedule, ("name",))
    schedule.refresh_from_db()
    assert schedule.next_slot_at == NINE

    clock.now = NINE + timedelta(seconds=1)
    schedules.fire_due()

    assert fired(schedule) == [(NINE, "STARTED")]
    schedule.refresh_from_db()
    assert schedule.next_slot_at == NINE + DAY


def test_slot_whose_transaction_fails_is_fired_later(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = make_schedule()
    clock.now = NINE
    start = services.start

    def breaks(*args: Any, **kwargs: Any) -> int:
        start(*args, **kwargs)
        raise DatabaseError("gone")

    monkeypatch.setattr(services, "start", breaks)
    with pytest.raises(DatabaseError):
        schedules.fire_due()
    assert (fired(schedule), WarmupTask.objects.count()) == ([], 0)
    monkeypatch.setattr(services, "start", start)

    schedules.fire_due()

    assert fired(schedule) == [(NINE, "STARTED")]


def test_database_refuses_a_second_firing_of_a_slot() -> None:
    schedule = make_schedule()
    ScheduleFiring.objects.create(schedule=schedule, slot=NINE)

    with pytest.raises(IntegrityError), transaction.atomic():
        ScheduleFiring.objects.create(schedule=schedule, slot=NINE)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("locks", [True, False])
def test_many_reconcilers_at_once_fire_a_slot_once(
    clock: Clock, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make_schedule(2, overlap="queue")
    clock.now = NINE
    if not locks:  # the constraint is enough by itself
        monkeypatch.setattr(schedules, "_lock", lambda pk: WarmupSchedule.objects.get(pk=pk))
    together, results = threading.Barrier(6), []

    def look() -> None:
        together.wait()
        try:
            results.append(schedules.fire_due()["fired"])
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [0, 0, 0, 0, 0, 1]
    assert fired(schedule) == [(NINE, "STARTED")]
    assert WarmupTask.objects.count() == 1


# ---- late ------------------------------------------------------------------------------------------


def test_late_start_within_the_catch_up_window_fires(clock: Clock) -> None:
    schedule = make_schedule(catch_up_minutes=60)
    clock.now = NINE + timedelta(minutes=60)

    schedules.fire_due()

    assert fired(schedule) == [(NINE, "STARTED")]


def test_late_start_beyond_the_catch_up_window_is_missed(clock: Clock) -> None:
    schedule = make_schedule(catch_up_minutes=60)
    clock.now = NINE + timedelta(minutes=60, seconds=1)

    schedules.fire_due()
    schedules.fire_due()

    assert fired(schedule) == [(NINE, "MISSED")]
    assert last(schedule).reason == "slots from here on: 1; later than the 60 min of catch-up"
    assert not WarmupTask.objects.exists()
    schedule.refresh_from_db()
    assert schedule.next_slot_at == NINE + DAY


def test_slot_that_a_beat_finds_is_not_late_even_without_catch_up(clock: Clock) -> None:
    schedule = make_schedule(catch_up_minutes=0)
    clock.now = NINE + timedelta(seconds=119)

    schedules.fire_due()

    assert fired(schedule) == [(NINE, "STARTED")]


def test_long_outage_is_one_row_and_what_is_in_the_window(clock: Clock) -> None:
    schedule = make_schedule(cron="0 * * * *", catch_up_minutes=90)
    clock.now = NINE + timedelta(days=2, minutes=30)

    schedules.fire_due()

    at = NINE + timedelta(days=2)
    assert fired(schedule) == [(NINE, "MISSED"), (at - HOUR, "STARTED"), (at, "SKIPPED")]
    assert schedule.firings.get(slot=NINE).reason.startswith("slots from here on: 47;")


def test_outage_of_thousands_of_slots_is_counted_up_to_a_thousand(clock: Clock) -> None:
    schedule = make_schedule(cron="* * * * *", catch_up_minutes=0)
    clock.forward(days=30)

    schedules.fire_due()

    assert schedule.firings.get(status="MISSED").reason.startswith("slots from here on: 1000 or more;")
    assert schedule.firings.count() == 4  # and those of the last two minutes


# ---- overlap ---------------------------------------------------------------------------------------


def test_overlap_is_skipped_with_its_reason(clock: Clock) -> None:
    schedule = make_schedule(cron="0 * * * *", name="hourly")
    for _ in range(2):
        clock.forward(hours=1)
        schedules.fire_due()

    assert [status for _slot, status in fired(schedule)] == ["STARTED", "SKIPPED"]
    assert last(schedule).reason == "task 'hourly 2026-03-02 09:00' has not ended"


def test_overlap_that_queues_waits_for_the_end_of_the_task(clock: Clock) -> None:
    schedule = make_schedule(1, cron="0 * * * *", overlap="queue", name="hourly", jitter_minutes=10)
    for _ in range(3):
        clock.forward(hours=1)
        schedules.fire_due()
    assert [status for _slot, status in fired(schedule)] == ["STARTED", "WAITING", "SKIPPED"]
    assert (
        schedule.firings.get(status="WAITING").reason == "waits for the end of task 'hourly 2026-03-02 09:00'"
    )
    end(schedule.firings.get(status="STARTED").task, completed=1)

    assert schedules.fire_due() == {"fired": 0, "decided": 1}

    waited = schedule.firings.get(slot=NINE + HOUR)
    assert (waited.status, waited.reason) == ("STARTED", "")
    # It begins now: the time of its slot is over.
    assert waited.task.runs.get().available_at >= clock.now


def test_paused_task_has_not_ended(clock: Clock) -> None:
    schedule = make_schedule(cron="0 * * * *")
    clock.forward(hours=1)
    schedules.fire_due()
    task = last(schedule).task
    assert task is not None
    services.pause(task, by=None)
    clock.forward(hours=1)

    schedules.fire_due()

    assert last(schedule).status == "SKIPPED"


def test_parked_accounts_of_an_ended_task_stand_in_nobodys_way(clock: Clock) -> None:
    schedule = make_schedule(1, cron="0 * * * *")
    clock.forward(hours=1)
    schedules.fire_due()
    factories.end(last(schedule).task, factories.Outcome("PARKED", reason="challenge"))  # type: ignore[arg-type]
    clock.forward(hours=1)

    schedules.fire_due()

    assert last(schedule).status == "STARTED"
