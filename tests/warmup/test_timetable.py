"""When schedules are due: exact across daylight saving, and what cron means."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from warmup.timetable import EPOCH, Interval, cron, first_moment, jitter, time_zone

FIRST, LAST = date(2025, 1, 1), date(2026, 12, 31)
# Two hours, one hour and half an hour; at midnight and before it; summer as the negative exception; none.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/Nuuk",
    "Africa/Cairo",
    "America/Santiago",
    "America/Havana",
    "Europe/Dublin",
    "Asia/Kathmandu",
)
MINUTE = timedelta(minutes=1)
STARTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on a wall there shows."""
    return moment.astimezone(zone).replace(tzinfo=None)


def watched(local: datetime, zone: ZoneInfo) -> datetime:
    """The first minute in which somebody who looks at that clock each minute sees `local` or later."""
    start = local.replace(tzinfo=UTC) - timedelta(hours=27)
    early, late = (moment.astimezone(zone).utcoffset() for moment in (start, start + timedelta(hours=54)))
    if early == late:
        assert early is not None
        return local.replace(tzinfo=UTC) - early
    while wall(start, zone) < local:
        start += MINUTE
    return start


@pytest.mark.parametrize("name", ZONES)
@settings(max_examples=10, deadline=None)
@given(minute_of_day=st.integers(0, 24 * 60 - 1))
def test_a_daily_slot_comes_once_for_each_local_day(name: str, minute_of_day: int) -> None:
    zone = ZoneInfo(name)
    hour, minute = divmod(minute_of_day, 60)
    begin = datetime(2025, 1, 1, hour, minute)  # noqa: DTZ001
    days = [begin + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    expected = [watched(local, zone) for local in days]

    found = list(
        takewhile(
            lambda slot: slot <= expected[-1],
            cron(f"{minute} {hour} * * *", name).slots(expected[0] - MINUTE),
        )
    )

    assert found == expected
    assert len(set(found)) == len(days)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("expression", ["* * * * *", "*/5 * * * *", "0 * * * *"])
def test_each_shown_time_comes_once_where_the_clock_jumps(name: str, expression: str) -> None:
    zone = ZoneInfo(name)
    clock = datetime(2025, 1, 1, tzinfo=UTC)
    changes = [
        hour
        for hour in (clock + timedelta(hours=number) for number in range(2 * 8760))
        if hour.astimezone(zone).utcoffset() != (hour + timedelta(hours=1)).astimezone(zone).utcoffset()
    ]
    wanted = cron(expression, name)

    for change in changes:
        before, after = change - timedelta(hours=6), change + timedelta(hours=6)
        found = list(takewhile(lambda slot, end=after: slot <= end, wanted.slots(before)))  # type: ignore[misc]

        # A moment is a slot when the clock gets past a named minute that it had not yet got to.
        seen, expected, moment = wall(before, zone), [], before + MINUTE
        while moment <= after:
            shown = wall(moment, zone)
            passed = (seen + MINUTE * number for number in range(1, int((shown - seen) / MINUTE) + 1))
            if any(local.minute in wanted.minutes for local in passed):
                expected.append(moment)
            seen, moment = max(seen, shown), moment + MINUTE
        assert found == expected
    assert bool(changes) == (name != "Asia/Kathmandu")


@pytest.mark.parametrize(
    ("zone", "local", "moment"),
    [
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T03:00+02:00"),  # left out
        ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T03:00+02:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30+02:00"),  # twice
        ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T03:00+01:00"),
        ("Africa/Cairo", "2026-04-24T00:15", "2026-04-24T01:00+03:00"),
        ("America/Nuuk", "2026-03-28T23:30", "2026-03-29T00:00-01:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-04T02:30+11:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-31T00:00+14:00"),  # a whole day left out
    ],
)
def test_first_moment(zone: str, local: str, moment: str) -> None:
    found = first_moment(datetime.fromisoformat(local), ZoneInfo(zone))

    assert (found, found.tzinfo) == (datetime.fromisoformat(moment), UTC)


_number = st.integers(0, 6)
_part = st.one_of(
    st.just("*"),
    st.sampled_from(["*/2", "*/3"]),
    _number.map(lambda n: str(n + 1)),
    st.tuples(_number, _number).filter(lambda ab: ab[0] != ab[1]).map(lambda ab: f"{ab[0] + 1}-{ab[1] + 1}"),
    st.lists(_number, min_size=2, max_size=3).map(lambda many: ",".join(str(n + 1) for n in many)),
    _number.map(lambda n: f"{n + 1}/2"),
)


@settings(max_examples=200, deadline=None)
@given(fields=st.tuples(_part, _part, _part, _part, _part), begin=STARTS)
def test_where_no_clock_jumps_cron_means_what_croniter_means(
    fields: tuple[str, ...], begin: datetime
) -> None:
    expression = " ".join(fields)
    theirs = croniter(expression, begin, ret_type=datetime)

    ours = list(islice(cron(expression, "UTC").slots(begin), 20))

    assert ours == [theirs.get_next() for _ in range(20)]


@pytest.mark.parametrize("expression", ["30 6 * * mon-fri", "0 0 29 2 *", "15 22-3 * * *", "0 9 1 * 7"])
def test_slots_go_on_from_any_slot(expression: str) -> None:
    wanted = cron(expression, "Europe/Berlin")

    slots = list(islice(wanted.slots(EPOCH), 50))

    assert all(one < other for one, other in pairwise(slots))
    assert all(next(wanted.slots(one)) == other for one, other in pairwise(slots))


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("", "must be five fields"),
        ("@daily", "must be five fields"),
        ("0 6 * * * *", "must be five fields .*, not 6"),
        ("60 * * * *", "is not a cron expression"),
        ("*/0 * * * *", "is not a cron expression"),
        ("mon * * * *", "is not a cron expression"),
        ("a * * * *", "minute: 'a' is not numbers"),
        ("0 0 L * *", "day of month: 'l' is not numbers"),
        ("0 0 15w * *", "day of month: '15w' is not numbers"),
        ("0 0 ? * *", "day of month"),
        ("0 0 * * 1#2", "day of week"),
        ("H * * * *", "minute: 'h'"),
        ("5-5 * * * *", "a range of one"),
        ("0 0 30 2 *", "never comes"),
    ],
)
def test_cron_refuses_what_it_is_not(expression: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        cron(expression, "UTC")


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "europe/berlin"])
def test_time_zone_that_is_not_there(name: str) -> None:
    with pytest.raises(InvalidInput, match="there is no time zone"):
        time_zone(name)


@given(minutes=st.integers(1, 10080), begin=STARTS)
def test_an_interval_is_exact_and_does_not_move(minutes: int, begin: datetime) -> None:
    first, second = islice(Interval(minutes).slots(begin), 2)

    assert begin < first <= begin + timedelta(minutes=minutes)
    assert second - first == timedelta(minutes=minutes)
    assert (first - EPOCH) % timedelta(minutes=minutes) == timedelta(0)
    assert next(Interval(minutes).slots(first)) == second


def test_jitter_is_stable_spread_and_within_its_bounds() -> None:
    offsets = [jitter(1, account, 30) for account in range(1000)]

    assert offsets == [jitter(1, account, 30) for account in range(1000)]
    assert offsets != [jitter(2, account, 30) for account in range(1000)]
    assert min(offsets) >= timedelta(0)
    assert max(offsets) <= timedelta(minutes=30)
    thirds = [sum(part <= offset < part + timedelta(minutes=10) for offset in offsets) for part in
              (timedelta(minutes=10 * number) for number in range(3))]  # fmt: skip
    assert min(thirds) > 250
    assert jitter(1, 1, 0) == timedelta(0)
