"""The load of the next 24 hours: arithmetic on plans, and what is known of how long runs take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import factories
from tests.warmup.schedule_examples import end, make_schedule
from warmup import forecast, queue, schedules
from warmup.forecast import Demand, Length, Plan, demands, load
from warmup.timetable import Interval, cron

BEGIN = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def plan(accounts: int = 10, at_once: int = 5, minutes: float = 6, **fields: Any) -> Plan:
    """Every six hours: ten accounts, five at once, six minutes each."""
    return Plan(**{"timetable": Interval(360), "accounts": accounts, "at_once": at_once,
                   "run_seconds": minutes * 60, **fields})  # fmt: skip


def test_slot_takes_as_long_as_its_accounts_one_behind_the_other() -> None:
    found, skipped = demands(plan(), BEGIN, BEGIN + DAY)

    assert skipped == 0
    assert found[0] == Demand(BEGIN + 4 * HOUR, BEGIN + 4 * HOUR + timedelta(minutes=12), 10, 5.0)
    assert [one.begin.hour for one in found] == [12, 18, 0, 6]


def test_spread_makes_it_longer_and_thinner() -> None:
    found, _skipped = demands(plan(spread_seconds=54 * 60), BEGIN, BEGIN + DAY)

    assert found[0].end - found[0].begin == HOUR
    assert found[0].at_once == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("queues", "hours", "skipped"),
    [
        (False, [9, 11, 13, 15, 17, 19, 21, 23, 1, 3, 5, 7], 11),
        # One slot waits for the end of the one before, the next finds it waiting.
        (True, [9, 10, 12, 13, 15, 16, 18, 19, 21, 22, 0, 1, 3, 4, 6, 7], 7),
    ],
)
def test_overlap_skips_or_queues_as_the_schedule_does(queues: bool, hours: list[int], skipped: int) -> None:
    """An hour's rhythm, ninety minutes' work."""
    busy = plan(accounts=75, timetable=cron("0 * * * *", "UTC"), queues=queues)

    found, left_out = demands(busy, BEGIN, BEGIN + DAY)

    assert [one.begin.hour for one in found] == hours
    assert left_out == skipped
    assert all(one.end <= other.begin for one, other in pairwise(found))


def test_hours_have_their_average_and_their_peak() -> None:
    half = timedelta(minutes=30)
    work = [
        Demand(BEGIN + half, BEGIN + 3 * half, 4, 4.0),
        Demand(BEGIN + 2 * half, BEGIN + 4 * half, 6, 6.0),
        Demand(BEGIN + 3 * half, BEGIN + 4 * half, 5, 4.0),  # takes over where the first one ends
    ]

    first, second, third, *rest = load(work, BEGIN)

    assert (first.accounts, first.average, first.peak) == (4, 2.0, 4.0)
    assert (second.accounts, second.average, second.peak) == (11, 10.0, 10.0)
    assert (third.accounts, third.average, third.peak) == (0, 0.0, 0.0)
    assert len(rest) == 22


@given(
    accounts=st.integers(0, 500),
    at_once=st.integers(1, 50),
    minutes=st.floats(0.1, 30),
    spread=st.integers(0, 120),
)
def test_no_work_is_lost_and_no_limit_is_passed(
    accounts: int, at_once: int, minutes: float, spread: int
) -> None:
    busy = plan(accounts, at_once, minutes, spread_seconds=spread * 60, timetable=Interval(24 * 60))

    found, _skipped = demands(busy, BEGIN - 9 * HOUR, BEGIN)

    done = sum(one.at_once * (one.end - one.begin).total_seconds() for one in found)
    assert done == pytest.approx(accounts * minutes * 60, rel=1e-4)
    assert all(one.at_once <= at_once + 1e-9 for one in found)


@pytest.mark.django_db
def test_run_takes_the_mean_of_the_last_or_what_the_playbook_says() -> None:
    task, other = factories.started_task(3), factories.make_playbook("other")
    assert forecast.run_lengths([task.playbook]) == {"browse": Length(11.0)}  # three steps, and the browser
    end(task, completed=3)
    for run, seconds in zip(task.runs.order_by("pk"), (10, 20, 90), strict=True):
        run.started_at, run.completed_at = BEGIN, BEGIN + timedelta(seconds=seconds)
        run.save()
    newer = factories.make_playbook(steps=[{"do": "open", "target": "feed"}])

    assert forecast.run_lengths([newer, other]) == {"browse": Length(40.0, 3), "other": Length(11.0)}


@pytest.mark.django_db
def test_run_takes_what_it_took_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "SAMPLE_TASKS", 2)
    for seconds in (1000, 10, 20):
        task = factories.started_task(2)
        end(task, completed=2)
        task.runs.update(started_at=BEGIN, completed_at=BEGIN + timedelta(seconds=seconds))
    factories.started_task(2)

    assert forecast.run_lengths([task.playbook]) == {"browse": Length(15.0, 4)}


@pytest.mark.django_db
def test_forecast_counts_the_other_active_schedules(
    settings: Any, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    settings.WARMUP_CONTEXTS_PER_WORKER = 4
    monkeypatch.setattr(queue, "live_workers", lambda: 3)
    site = factories.SiteFactory(concurrency=2)
    chosen = make_schedule(2, cron="0 12 * * *")
    everyone = make_schedule(1, site=site, all_accounts=True, cron="0 12 * * *")
    factories.AccountFactory.create_batch(4, site=site)
    factories.AccountFactory(site=site, enabled=False)
    schedules.pause(make_schedule(5, cron="0 12 * * *"), by=None)
    for number in range(5):
        make_schedule(1, cron="0 18 * * *", playbook=factories.make_playbook(f"other{number}"))
    assert forecast.account_counts([chosen, everyone]) == {chosen.pk: 2, everyone.pk: 5}

    with django_assert_max_num_queries(5):
        asked, _length, ahead = forecast.forecast(chosen, 3, BEGIN)

    assert (asked.accounts, asked.at_once) == (3, 3)
    assert (ahead.workers, ahead.capacity, ahead.slots, ahead.skipped) == (3, 12, 1, 0)
    noon, evening = ahead.hours[4], ahead.hours[10]
    assert (noon.accounts, noon.peak) == (8, 5.0)  # three of its own, and of five two at once
    assert (evening.accounts, evening.peak) == (5, 5.0)
