"""When a schedule is due, in exact UTC moments: pure, without a database and without a clock.

A cron expression speaks of the wall clock of a place. Its slot is the first moment at which that clock
shows the time, or a later one: a time that a change to summer time leaves out comes at the first moment
after the gap, and a time that the change back shows twice comes the first time only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterError, croniter

from core.errors import InvalidInput

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 29 February is at most eight years away: what does not come in nine never does.
HORIZON_DAYS = 9 * 366

# What croniter knows beyond cron (seconds, `L`, `#`, `W`, `?`, `@daily`, hashes) is refused.
_FIELD = re.compile(r"[0-9a-z*,/-]+")
_NAME = re.compile(r"[a-z]+")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# croniter takes 5-5 for the whole range, cron for 5.
_EQUAL_RANGE = re.compile(r"(?<!\w)(\w+)-\1(?!\w)")


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes of a place's wall clock that a cron expression names."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    either_day: bool  # both day fields are restricted: a day that fits one of them is enough
    zone: ZoneInfo

    def slots(self, after: datetime) -> Iterator[datetime]:
        """The slots later than `after`, in order, in UTC; ends when none comes for nine years."""
        last = after
        day = after.astimezone(self.zone).date()  # what is named earlier has been shown by then
        give_up = day + timedelta(days=HORIZON_DAYS)
        while day < give_up:
            if self._has(day):
                for slot in self._slots_of(day):
                    if slot > last:
                        last, give_up = slot, day + timedelta(days=HORIZON_DAYS)
                        yield slot
            day += timedelta(days=1)

    def _has(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_date, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (by_date or by_weekday) if self.either_day else (by_date and by_weekday)

    def _slots_of(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                yield first_moment(datetime.combine(day, time(hour, minute)), self.zone)


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many minutes, counted from 1970-01-01 00:00 UTC: no edit moves it, nor does a time zone."""

    minutes: int

    def slots(self, after: datetime) -> Iterator[datetime]:
        """The slots later than `after`, in order, in UTC."""
        step = timedelta(minutes=self.minutes)
        slot = EPOCH + ((after - EPOCH) // step) * step
        while True:
            slot += step
            yield slot


Timetable = Cron | Interval


def cron(expression: str, zone: str) -> Cron:
    """Five fields of cron; raises `InvalidInput` for what they are not, and for what never comes."""
    fields = expression.lower().split()
    if len(fields) != len(FIELDS):
        raise InvalidInput([f"cron: must be five fields ({', '.join(FIELDS)}), not {len(fields)}"])
    for name, text in zip(FIELDS, fields, strict=True):
        unknown = set(_NAME.findall(text)) - {*_MONTHS, *_DAYS}
        if not _FIELD.fullmatch(text) or unknown:
            raise InvalidInput([f"cron: {name}: '{text}' is not numbers, names, * , - and /"])
        if _EQUAL_RANGE.search(text):
            raise InvalidInput([f"cron: {name}: '{text}' is a range of one: write the one"])
    try:
        lists, _ = croniter.expand(" ".join(fields))
    except (CroniterError, ValueError, TypeError, KeyError):
        raise InvalidInput([f"cron: '{expression}' is not a cron expression"]) from None
    everything = [values == ["*"] for values in lists]
    minutes, hours, days, months, weekdays = (
        tuple(range(low, high + 1)) if whole else tuple(sorted(int(value) for value in values))
        for values, whole, (low, high) in zip(lists, everything, RANGES, strict=True)
    )
    made = Cron(
        minutes,
        hours,
        frozenset(days),
        frozenset(months),
        frozenset(weekdays),
        either_day=not (everything[2] or everything[4]),
        zone=time_zone(zone),
    )
    if next(made.slots(EPOCH), None) is None:
        raise InvalidInput([f"cron: '{expression}' names a day that never comes"])
    return made


def time_zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name; raises `InvalidInput`."""
    if name not in available_timezones():
        raise InvalidInput([f"time_zone: there is no time zone '{name}'"])
    return ZoneInfo(name)


def first_moment(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which the wall clock of `zone` shows `local` or a later time."""
    moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # In a gap: by the old offset the moment lies behind the change, by the new one before it.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset, behind = moment.astimezone(zone).utcoffset(), moment
    while behind - before > timedelta(seconds=1):
        middle = before + (behind - before) // timedelta(seconds=2) * timedelta(seconds=1)
        if middle.astimezone(zone).utcoffset() == offset:
            behind = middle
        else:
            before = middle
    return behind


def jitter(schedule_id: int, account_id: int, spread_minutes: int) -> timedelta:
    """How long after a slot an account begins: the same at every slot, in whole seconds."""
    key = f"{schedule_id}:{account_id}".encode()
    return timedelta(seconds=int.from_bytes(sha256(key).digest()[:8], "big") % (spread_minutes * 60 + 1))
