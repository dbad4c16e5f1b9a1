"""What schedules will ask of the workers in the next 24 hours, against what the workers can take.

An estimate: a slot's accounts are taken as evenly spread over the time that they need. What runs already,
and tasks that people start, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from django.conf import settings
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Window
from django.db.models.functions import RowNumber

from warmup import queue
from warmup.models import Playbook, WarmupAccount, WarmupSchedule, WarmupTask
from warmup.playbooks.expand import expand
from warmup.states import RunStatus
from warmup.timetable import Timetable

HOUR = timedelta(hours=1)
HOURS = 24
# Where no run of a playbook has completed yet: its dwelling, and this for each step and for the browser.
STEP_SECONDS, OPENING_SECONDS = 2.0, 5.0
SAMPLE_TASKS, SAMPLE_PLANS = 5, 5


@dataclass(frozen=True, slots=True)
class Length:
    """How long a run takes: the mean of the last `runs`, or, with none, what the playbook says."""

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


def forecast(schedule: WarmupSchedule, accounts: int, now: datetime) -> tuple[Plan, Length, Forecast]:
    """The next 24 hours with a schedule, saved or not, for so many accounts, among the other active ones."""
    others = WarmupSchedule.objects.filter(paused=False).exclude(pk=schedule.pk or 0).order_by()
    rows = list(others.select_related("site", "playbook"))
    sizes = account_counts(rows)
    lengths = run_lengths([schedule.playbook, *(other.playbook for other in rows)])
    length = lengths[schedule.playbook.name]
    proposed = plan_of(schedule, accounts, length)
    plans = [plan_of(other, sizes[other.pk], lengths[other.playbook.name]) for other in rows]
    return proposed, length, ahead(proposed, plans, now)


def ahead(proposed: Plan, others: Iterable[Plan], now: datetime) -> Forecast:
    """The next 24 hours of `proposed` among other plans."""
    begin, end = now.replace(minute=0, second=0, microsecond=0), now + HOURS * HOUR
    own, skipped = demands(proposed, now, end)
    work = [*own, *(demand for plan in others for demand in demands(plan, now, end)[0])]
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


def account_counts(schedules: Iterable[WarmupSchedule]) -> dict[int, int]:
    """How many accounts a slot of each of these schedules takes, in two queries."""
    rows = WarmupSchedule.objects.filter(pk__in=[schedule.pk for schedule in schedules]).order_by()
    chosen = Count("accounts", filter=Q(accounts__enabled=True))
    of_site = Count("site__accounts", filter=Q(site__accounts__enabled=True))
    return {
        **dict(rows.filter(all_accounts=False).annotate(size=chosen).values_list("pk", "size")),
        **dict(rows.filter(all_accounts=True).annotate(size=of_site).values_list("pk", "size")),
    }


def run_lengths(playbooks: Iterable[Playbook]) -> dict[str, Length]:
    """How long the runs of these playbooks (of any version) take, by their names; in two queries."""
    found = {playbook.name: playbook for playbook in playbooks}
    rank = Window(RowNumber(), partition_by=F("playbook__name"), order_by=F("pk").desc())
    completed = WarmupAccount.objects.filter(task=OuterRef("pk"), status=RunStatus.COMPLETED)
    tasks = WarmupTask.objects.filter(Exists(completed), playbook__name__in=found).order_by()
    ranked = tasks.annotate(rank=rank).filter(rank__lte=SAMPLE_TASKS)
    latest = list(ranked.values_list("pk", flat=True))
    measured = (
        WarmupAccount.objects.filter(task__in=latest, status=RunStatus.COMPLETED, started_at__isnull=False)
        .order_by()
        .values_list("task__playbook__name")
        .annotate(mean=Avg(F("completed_at") - F("started_at")), runs=Count("pk"))
    )
    lengths = {name: Length(mean.total_seconds(), runs) for name, mean, runs in measured}
    return {name: lengths.get(name) or _said(playbook) for name, playbook in found.items()}


def _said(playbook: Playbook) -> Length:
    """What the playbook itself says."""
    spec = playbook.spec()
    plans = [expand(spec, seed) for seed in range(SAMPLE_PLANS)]
    seconds = sum(step.dwell_seconds + STEP_SECONDS for steps in plans for step in steps)
    return Length(OPENING_SECONDS + seconds / SAMPLE_PLANS)
