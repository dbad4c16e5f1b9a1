"""What schedules start, spread, hold behind a canary, or cannot start; and what people ask of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import IllegalTransition, InvalidInput, NotFound
from core.models import Account
from tests import factories
from tests.warmup.schedule_examples import DAY, EIGHT, NINE, Clock, end, fired, last, make_schedule
from warmup import schedules, services, store, timetable
from warmup.models import AuditEntry, ScheduleFiring, WarmupSchedule, WarmupTask
from warmup.reporting import Blockers

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock(EIGHT)
    monkeypatch.setattr(store, "database_now", made)
    return made


# ---- what cannot start -----------------------------------------------------------------------------


def test_task_that_cannot_start_leaves_its_reason_and_no_task(clock: Clock) -> None:
    broken, well = make_schedule(1, name="broken"), make_schedule(1)
    Account.objects.filter(schedules=broken).update(enabled=False)
    clock.now = NINE

    assert schedules.fire_due()["fired"] == 2

    assert last(broken).status == "FAILED"
    assert "it has no enabled account" in last(broken).reason
    assert last(well).status == "STARTED"
    assert WarmupTask.objects.count() == 1
    assert schedules.fire_due()["fired"] == 0


def test_playbook_that_does_not_fit_the_site_any_more_says_so(clock: Clock) -> None:
    schedule = make_schedule(1)
    schedule.site.targets = {}
    schedule.site.save()
    clock.now = NINE

    schedules.fire_due()

    assert "steps[0].target: site has no target 'feed'" in last(schedule).reason


def test_schedule_that_nobody_understands_is_paused_and_the_others_fire(clock: Clock) -> None:
    broken, well = make_schedule(1, name="broken"), make_schedule(1)
    WarmupSchedule.objects.filter(pk=broken.pk).update(time_zone="Mars/Olympus")
    clock.now = NINE

    schedules.fire_due()

    assert last(broken).status == "FAILED"
    assert last(broken).reason == "time_zone: there is no time zone 'Mars/Olympus'; the schedule is paused"
    assert last(well).status == "STARTED"
    broken.refresh_from_db()
    assert broken.paused
    entry = AuditEntry.objects.get(verb="pause")
    assert (entry.actor_name, entry.object) == ("schedule broken", "broken")
    with pytest.raises(InvalidInput):
        schedules.resume(broken, by=None)


# ---- jitter ----------------------------------------------------------------------------------------


def test_jitter_is_the_same_for_an_account_at_every_slot(clock: Clock) -> None:
    schedule = make_schedule(5, jitter_minutes=30)
    begins: list[dict[int, timedelta]] = []
    for number in range(2):
        slot = NINE + number * DAY
        clock.now = slot + timedelta(seconds=number * 7)
        schedules.fire_due()
        task = last(schedule).task
        assert task is not None
        runs = task.runs.values_list("account", "available_at")
        begins.append({account: at - slot for account, at in runs if at is not None})
        end(task, completed=5)

    assert begins[0] == begins[1]
    assert begins[0] == {pk: timetable.jitter(schedule.pk, pk, 30) for pk in begins[0]}
    assert len(set(begins[0].values())) > 1
    assert all(timedelta(0) <= span <= timedelta(minutes=30) for span in begins[0].values())


def test_run_with_a_time_of_its_own_says_so() -> None:
    task = factories.make_task(1)

    services.start(task, by=None, not_before=lambda account: NINE)

    task.refresh_from_db()
    assert Blockers(task).of(task.runs.get()) == f"its time, {NINE.isoformat()}"


# ---- canary ----------------------------------------------------------------------------------------


def with_canary(clock: Clock, accounts: int = 10, **fields: Any) -> WarmupSchedule:
    """A schedule whose canary of four has begun."""
    schedule = make_schedule(accounts, **{"canary_accounts": 4, "canary_percent": 75, **fields})
    clock.now = NINE
    schedules.fire_due()
    return schedule


def test_canary_goes_first_and_the_others_wait(clock: Clock) -> None:
    schedule = with_canary(clock, name="morning")

    firing = last(schedule)
    assert (firing.status, firing.task, firing.completed_at) == ("CANARY", None, None)
    assert firing.canary is not None
    assert firing.canary.name == "morning 2026-03-02 09:00 canary"
    chosen = list(schedule.selected_accounts().values_list("pk", flat=True))
    assert list(firing.canary.runs.values_list("account", flat=True)) == chosen[:4]
    assert schedules.fire_due() == {"fired": 0, "decided": 0}
    assert WarmupTask.objects.count() == 1


def test_canary_that_completes_enough_starts_the_others(clock: Clock) -> None:
    schedule = with_canary(clock)
    canary = last(schedule).canary
    assert canary is not None
    end(canary, completed=3, failed=1)  # just 75 %

    assert schedules.fire_due() == {"fired": 0, "decided": 1}

    firing = last(schedule)
    assert (firing.status, firing.canary) == ("STARTED", canary)
    assert firing.reason == "canary: 3 of 4 accounts completed, 75 % are asked for"
    assert firing.task is not None
    chosen = list(schedule.selected_accounts().values_list("pk", flat=True))
    assert list(firing.task.runs.values_list("account", flat=True)) == chosen[4:]
    assert schedules.fire_due() == {"fired": 0, "decided": 0}


def test_canary_that_completes_too_few_holds_the_others_and_says_why(clock: Clock) -> None:
    schedule = with_canary(clock)
    end(last(schedule).canary, completed=2, failed=2)

    schedules.fire_due()

    firing = last(schedule)
    assert (firing.status, firing.task) == ("HELD", None)
    assert firing.reason == (
        "canary: 2 of 4 accounts completed, 75 % are asked for: the others were not started"
    )
    assert WarmupTask.objects.count() == 1
    # Held means held, and the next slot has its own canary.
    clock.forward(days=1)
    schedules.fire_due()
    assert last(schedule).status == "CANARY"


def test_canary_as_large_as_all_is_an_ordinary_task(clock: Clock) -> None:
    schedule = with_canary(clock, accounts=4)

    firing = last(schedule)
    assert (firing.status, firing.canary) == ("STARTED", None)
    assert firing.task.runs.count() == 4  # type: ignore[union-attr]


def test_canary_of_all_accounts_of_a_site(clock: Clock) -> None:
    schedule = with_canary(clock, accounts=6, all_accounts=True)
    end(last(schedule).canary, completed=4)
    factories.AccountFactory(site=schedule.site)

    schedules.fire_due()

    assert last(schedule).task.runs.count() == 3  # type: ignore[union-attr]


def test_canary_stands_in_the_way_of_the_next_slot(clock: Clock) -> None:
    schedule = with_canary(clock, cron="0 * * * *", name="hourly")
    clock.forward(hours=1)

    schedules.fire_due()

    assert last(schedule).reason == "task 'hourly 2026-03-02 09:00 canary' has not ended"


def test_canary_that_is_deleted_holds_the_others(clock: Clock) -> None:
    schedule = with_canary(clock)
    WarmupTask.objects.all().delete()

    schedules.fire_due()

    assert (last(schedule).status, last(schedule).reason) == ("HELD", "the canary was deleted")


def test_others_that_cannot_start_after_the_canary(clock: Clock) -> None:
    schedule = with_canary(clock)
    end(last(schedule).canary, completed=4)
    Account.objects.update(enabled=False)

    schedules.fire_due()

    assert last(schedule).status == "FAILED"
    assert "it has no enabled account" in last(schedule).reason


def test_others_are_spread_from_their_own_start_on(clock: Clock) -> None:
    schedule = with_canary(clock, jitter_minutes=10)
    end(last(schedule).canary, completed=4)
    clock.forward(hours=5)

    schedules.fire_due()

    for run in last(schedule).task.runs.all():  # type: ignore[union-attr]
        assert run.available_at == clock.now + timetable.jitter(schedule.pk, run.account_id, 10)


# ---- what people ask for ---------------------------------------------------------------------------


def test_pause_fires_nothing_and_resume_leaves_the_slots_of_the_pause_out(clock: Clock) -> None:
    user = factories.UserFactory()
    schedule = make_schedule(catch_up_minutes=1440)
    schedules.pause(schedule, by=user)
    clock.now = NINE + timedelta(minutes=5)
    schedules.fire_due()
    assert fired(schedule) == []

    schedules.resume(schedule, by=user)

    schedules.fire_due()
    assert fired(schedule) == []
    schedule.refresh_from_db()
    assert (schedule.paused, schedule.next_slot_at) == (False, NINE + DAY)
    entries = AuditEntry.objects.order_by("pk").values_list("actor_name", "verb", "object")
    assert list(entries) == [
        (user.username, "pause", schedule.name),
        (user.username, "resume", schedule.name),
    ]


def test_pause_decides_what_waits(clock: Clock) -> None:
    canary = with_canary(clock)
    queued = make_schedule(cron="0 * * * *", overlap="queue")
    for _ in range(2):
        clock.forward(hours=1)
        schedules.fire_due()
    assert [status for _slot, status in fired(queued)] == ["STARTED", "WAITING"]

    schedules.pause(canary, by=None)
    schedules.pause(queued, by=None)

    assert (last(canary).status, last(queued).status) == ("HELD", "SKIPPED")
    assert last(queued).reason == "the schedule was paused meanwhile"


def test_pause_and_resume_of_what_is_so_already_are_refused() -> None:
    schedule = make_schedule()
    with pytest.raises(IllegalTransition, match="is not paused"):
        schedules.resume(schedule, by=None)
    schedules.pause(schedule, by=None)

    with pytest.raises(IllegalTransition, match="is paused already"):
        schedules.pause(schedule, by=None)


def test_run_now_starts_out_of_turn_also_while_paused(clock: Clock) -> None:
    user = factories.UserFactory()
    schedule = make_schedule()
    schedules.pause(schedule, by=None)

    firing = schedules.run_now(schedule, by=user)

    assert (firing.status, firing.by_hand, firing.slot) == ("STARTED", True, EIGHT)
    assert firing.task.created_by == user  # type: ignore[union-attr]
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor_name, entry.verb, entry.count) == (user.username, "run now", 3)


def test_run_now_twice_starts_once(clock: Clock) -> None:
    schedule = make_schedule()
    schedules.run_now(schedule, by=None)

    with pytest.raises(IllegalTransition, match="has not ended"):
        schedules.run_now(schedule, by=None)

    end(last(schedule).task, completed=3)
    with pytest.raises(IllegalTransition, match="at this very moment"):
        schedules.run_now(schedule, by=None)
    assert WarmupTask.objects.count() == 1


def test_run_now_that_cannot_start_changes_nothing() -> None:
    schedule = make_schedule(0)

    with pytest.raises(InvalidInput, match="no enabled account"):
        schedules.run_now(schedule, by=None)

    assert not ScheduleFiring.objects.exists()
    assert not AuditEntry.objects.exists()


def test_verbs_of_a_schedule_that_is_gone() -> None:
    schedule = make_schedule()
    WarmupSchedule.objects.all().delete()

    for verb in (schedules.pause, schedules.resume, schedules.run_now):
        with pytest.raises(NotFound):
            verb(schedule, by=None)


def test_edit_fires_by_the_old_rules_what_was_due_by_them(clock: Clock) -> None:
    schedule = make_schedule()
    clock.now = NINE + timedelta(seconds=2)
    schedule.cron = "30 12 * * *"

    schedules.save(schedule, ("cron",))

    assert fired(schedule) == [(NINE, "STARTED")]
    schedule.refresh_from_db()
    assert schedule.next_slot_at == datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def test_edit_writes_the_named_fields_only(clock: Clock) -> None:
    stale = make_schedule(name="old")
    schedules.pause(WarmupSchedule.objects.get(), by=None)
    stale.name = "new"

    schedules.save(stale, ("name",))

    stale.refresh_from_db()
    assert (stale.name, stale.paused) == ("new", True)


def test_firings_outlive_their_tasks(clock: Clock) -> None:
    schedule = make_schedule(1)
    clock.now = NINE
    schedules.fire_due()
    WarmupTask.objects.all().delete()

    assert (last(schedule).status, last(schedule).task) == ("STARTED", None)
    schedules.save(schedule, ("name",))
    schedules.fire_due()
    assert not WarmupTask.objects.exists()
