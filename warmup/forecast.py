"""What schedules will ask of the workers in the next 24 hours, against what the workers can take.

An estimate: a slot's accounts are taken as evenly spread over the time that they need. What runs already,
and tasks that people start, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from statistics import median

from django.conf import settings
from django.db.models import Count, Q

from warmup import queue
from warmup.models import Playbook, WarmupAccount, WarmupSchedule, WarmupTask
from warmup.playbooks.expand import expand
from warmup.states import RunStatus
from warmup.timetable import Timetable

HOUR = timedelta(hours=1)
HOURS = 24
# Where no run of a playbook has completed yet: its dwelling, and this for each step and for the browser.
STEP_SECONDS, OPENING_SECONDS = 2.0, 5.0
SAMPLE_TASKS, SAMPLE_RUNS, SAMPLE_PLANS = 20, 200, 5


@dataclass(frozen=True, slots=True)
class Length:
    """How long a run takes: the median of the last `runs`, or, with none, what the playbook says."""

    seconds: float
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule asks for at each slot."""

    timetable: Timetable
    accounts: int
    at_once: int
    run_seconds: float
    spread_seconds: float = 0.0
    queues: bool = False

    @property
    def slot_seconds(self) -> float:
        """How long a slot's task takes."""
        work = self.accounts * self.run_seconds
        return max(work / self.at_once, self.spread_seconds + self.run_seconds) if self.accounts else 0.0


@dataclass(frozen=True, slots=True)
class Demand:
    """The work of one slot."""

    begin: datetime
    end: datetime
    accounts: int
    at_once: float  # on average


@dataclass(frozen=True, slots=True)
class HourLoad:
    """An hour of the forecast: how many accounts begin, how many run at once on average and at most."""

    begin: datetime
    accounts: int
    average: float
    peak: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """24 hours; `skipped` of the `slots` of the schedule that was asked about would be skipped."""

    hours: tuple[HourLoad, ...]
    workers: int
    contexts: int
    slots: int
    skipped: int

    @property
    def capacity(self) -> int:
        """How many accounts the workers take at once."""
        return self.workers * self.contexts

    @property
    def busiest(self) -> HourLoad:
        """The hour with the highest peak."""
        return max(self.hours, key=lambda hour: hour.peak)


def demands(plan: Plan, begin: datetime, end: datetime) -> tuple[list[Demand], int]:
    """The work of a plan's slots, and how many of them are skipped since the one before has not ended."""
    found: list[Demand] = []
    free, skipped = begin, 0
    length = timedelta(seconds=plan.slot_seconds)
    for slot in takewhile(lambda slot: slot < end, plan.timetable.slots(begin)):
        if slot < free and not (plan.queues and (not found or found[-1].begin <= slot)):
            skipped += 1
            continue
        start = max(slot, free)
        free = start + length
        if length:
            at_once = plan.accounts * plan.run_seconds / plan.slot_seconds
            found.append(Demand(start, free, plan.accounts, at_once))
    return found, skipped


def load(work: Sequence[Demand], begin: datetime) -> tuple[HourLoad, ...]:
    """The hours from `begin`, the present one, to the one in which the 24 end."""
    return tuple(_hour(work, begin + number * HOUR) for number in range(HOURS + 1))


def _hour(work: Sequence[Demand], begin: datetime) -> HourLoad:
    end = begin + HOUR
    here = [one for one in work if one.begin < end and one.end > begin]
    moments = {max(one.begin, begin) for one in here}
    return HourLoad(
        begin=begin,
        accounts=sum(one.accounts for one in here if one.begin >= begin),
        average=sum(one.at_once * ((min(one.end, end) - max(one.begin, begin)) / HOUR) for one in here),
        peak=max(
            (sum(one.at_once for one in here if one.begin <= at < one.end) for at in moments), default=0.0
        ),
    )


# ---- what is known ---------------------------------------------------------------------------------


def forecast(proposed: Plan, others: Iterable[Plan], now: datetime) -> Forecast:
    """The next 24 hours with `proposed` among the other plans."""
    begin, end = now.replace(minute=0, second=0, microsecond=0), now + HOURS * HOUR
    own, skipped = demands(proposed, now, end)
    work = list(own)
    for plan in others:
        work += demands(plan, now, end)[0]
    return Forecast(
        hours=load(work, begin),
        workers=queue.live_workers() or settings.QCLUSTER_WORKERS,
        contexts=settings.WARMUP_CONTEXTS_PER_WORKER,
        slots=len(own) + skipped,
        skipped=skipped,
    )


def plan_of(schedule: WarmupSchedule, accounts: int, length: Length) -> Plan:
    """The plan of a schedule, saved or not, for so many accounts."""
    limit = schedule.site.concurrency
    delay = (schedule.delay_min_seconds + schedule.delay_max_seconds) / 2
    return Plan(
        timetable=schedule.timetable(),
        accounts=accounts,
        at_once=max(1, min(schedule.concurrency, limit or schedule.concurrency, accounts or 1)),
        run_seconds=length.seconds + delay,
        spread_seconds=schedule.jitter_minutes * 60,
        queues=schedule.overlap == WarmupSchedule.Overlap.QUEUE,
    )


def plans(*, without: int = 0) -> list[Plan]:
    """The plans of the schedules that are not paused; without the one that is being changed."""
    rows = WarmupSchedule.objects.filter(paused=False).exclude(pk=without).order_by()
    schedules = list(rows.select_related("site", "playbook"))
    sizes = account_counts(schedules)
    lengths: dict[str, Length] = {}
    for schedule in schedules:
        name = schedule.playbook.name
        lengths[name] = lengths.get(name) or run_length(schedule.playbook)
    return [plan_of(one, sizes[one.pk], lengths[one.playbook.name]) for one in schedules]


def account_counts(schedules: Iterable[WarmupSchedule]) -> dict[int, int]:
    """How many accounts a slot of each of these schedules takes, in two queries."""
    rows = WarmupSchedule.objects.filter(pk__in=[schedule.pk for schedule in schedules]).order_by()
    chosen = Count("accounts", filter=Q(accounts__enabled=True))
    of_site = Count("site__accounts", filter=Q(site__accounts__enabled=True))
    return {
        **dict(rows.filter(all_accounts=False).annotate(size=chosen).values_list("pk", "size")),
        **dict(rows.filter(all_accounts=True).annotate(size=of_site).values_list("pk", "size")),
    }


def run_length(playbook: Playbook) -> Length:
    """How long a run of a playbook (of any version) takes."""
    tasks = WarmupTask.objects.filter(playbook__name=playbook.name).order_by("-pk").values("pk")
    runs = WarmupAccount.objects.filter(
        task__in=list(tasks[:SAMPLE_TASKS].values_list("pk", flat=True)),
        status=RunStatus.COMPLETED,
        started_at__isnull=False,
    )
    times = list(runs.order_by("-pk").values_list("started_at", "completed_at")[:SAMPLE_RUNS])
    seconds = [(ended - began).total_seconds() for began, ended in times if began and ended]
    if seconds:
        return Length(median(seconds), len(seconds))
    spec = playbook.spec()
    samples = [expand(spec, seed) for seed in range(SAMPLE_PLANS)]
    said = [sum(step.dwell_seconds + STEP_SECONDS for step in steps) for steps in samples]
    return Length(OPENING_SECONDS + sum(said) / len(said))
