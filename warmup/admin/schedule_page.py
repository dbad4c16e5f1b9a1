"""What the pages of schedules show: how it stands, when it comes, what it will ask of the workers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.admin import NOTHING, duration, moment, relative
from core.errors import InvalidInput
from core.models import Account
from warmup import forecast, schedules
from warmup.admin.display import BAD, BUSY, GOOD, INFO, PLAIN, WARN, badge, label, link, list_url, task_badge
from warmup.admin.schedule_verbs import valid_verbs
from warmup.forms.schedule import CANARY, WHAT, WHEN, ScheduleForm
from warmup.models import ScheduleFiring, WarmupSchedule
from warmup.states import FiringStatus

NEXT_TIMES = 5
FIRINGS_SHOWN = 20

FIRING_LABELS: Mapping[str, str] = {
    FiringStatus.WAITING: BUSY,
    FiringStatus.CANARY: INFO,
    FiringStatus.STARTED: GOOD,
    FiringStatus.HELD: BAD,
    FiringStatus.SKIPPED: WARN,
    FiringStatus.MISSED: WARN,
    FiringStatus.FAILED: BAD,
}


def firing_badge(status: str) -> SafeString:
    """What a slot came to, as a coloured label."""
    return badge(status, FiringStatus, FIRING_LABELS)


def state(schedule: WarmupSchedule) -> SafeString:
    """Active or paused."""
    return label(WARN, _("Paused")) if schedule.paused else label(PLAIN, _("Active"))


def rhythm(schedule: WarmupSchedule) -> str:
    """`30 6 * * mon-fri, Europe/Berlin` or `every 90 minutes`."""
    if schedule.rhythm == WarmupSchedule.Rhythm.CRON:
        return f"{schedule.cron}, {schedule.time_zone}"
    minutes = schedule.interval_minutes or 0
    return ngettext("every minute", "every %(minutes)d minutes", minutes) % {"minutes": minutes}


def local_time(slot: datetime, zone: tzinfo) -> str:
    """`Mon 2026-03-02 09:00 CET`: what the clock there shows."""
    return formats.date_format(slot.astimezone(zone), "D Y-m-d H:i T")


def next_time(schedule: WarmupSchedule) -> str:
    """When it starts next, as HTML; a dash while it is paused. What is due long since, nobody looked at."""
    if schedule.paused or schedule.next_slot_at is None:
        return NOTHING
    shown = moment(schedule.next_slot_at)
    late = timezone.now() - schedule.next_slot_at > schedules.GRACE
    return format_html("{} {}", label(BAD, _("Due; no worker looks")), shown) if late else shown


def result(firing: ScheduleFiring | None) -> str:
    """What came of a slot: its status, its tasks with theirs, and the reason, as HTML."""
    if firing is None:
        return NOTHING
    tasks = [task for task in (firing.canary, firing.task) if task is not None]
    linked = format_html_join(
        mark_safe(""), " {} {}", ((link(task), task_badge(task.status)) for task in tasks)
    )
    return format_html("{}{}", firing_badge(firing.status), linked)


def last_firings(rows: list[WarmupSchedule]) -> dict[int, ScheduleFiring]:
    """The last slot of each of these schedules, which have its id as `last_firing`; in one query."""
    ids = [schedule.last_firing for schedule in rows]  # type: ignore[attr-defined]
    firings = ScheduleFiring.objects.filter(pk__in=ids).select_related("task", "canary")
    return {firing.schedule_id: firing for firing in firings}


# ---- the page --------------------------------------------------------------------------------------


def context(request: HttpRequest, schedule: WarmupSchedule, *, control: bool) -> dict[str, Any]:
    """What the page of a saved schedule shows besides its form."""
    firings = schedule.firings.select_related("task", "canary").order_by("-slot")[:FIRINGS_SHOWN]
    try:
        zone: tzinfo = schedule.wall_clock()
    except InvalidInput:
        zone = timezone.get_default_timezone()
    return {
        "schedule": schedule,
        "state": state(schedule),
        "next_time": next_time(schedule),
        "controls": [
            {"verb": verb, "url": reverse("admin:warmup_warmupschedule_verb", args=[schedule.pk, verb.name])}
            for verb in (valid_verbs(schedule) if control else [])
        ],
        "firings": [
            {"slot": local_time(firing.slot, zone), "result": result(firing), "firing": firing}
            for firing in firings
        ],
        "firings_url": list_url("schedulefiring", schedule__id__exact=schedule.pk),
        # Who may change it is shown the whole by the form's own asking.
        **preview_of_saved(schedule, with_load=not control),
        **form_context(request, schedule),
    }


def form_context(_request: HttpRequest, schedule: WarmupSchedule | None) -> dict[str, Any]:
    """Where the form asks for its preview."""
    url = reverse("admin:warmup_warmupschedule_preview")
    return {"preview_url": f"{url}?schedule={schedule.pk}" if schedule else url}


# ---- the preview -----------------------------------------------------------------------------------


def preview_of_saved(schedule: WarmupSchedule, *, with_load: bool) -> dict[str, Any]:
    """The preview of a schedule as it is stored."""
    try:
        load = _load(schedule, schedule.selected_accounts()) if with_load else {"loading": True}
        return _times(schedule) | load
    except InvalidInput as error:
        return {"faults": list(error.faults)}


def preview_of_form(form: ScheduleForm) -> dict[str, Any]:
    """The preview of what a form says; of what it does not say yet, there is none."""
    form.is_valid()
    wrong = [(str(form.fields[name].label), form.errors[name]) for name in WHEN if name in form.errors]
    if wrong:
        return {"faults": [f"{name}: {fault}" for name, faults in wrong for fault in faults]}
    schedule: WarmupSchedule = form.instance
    times = _times(schedule)
    if any(name in form.errors for name in (*WHAT, *CANARY)):
        return times
    data = form.cleaned_data
    chosen = data["site"].accounts.all() if data["all_accounts"] else data["accounts"]
    return times | _load(schedule, chosen.filter(enabled=True))


def _times(schedule: WarmupSchedule) -> dict[str, Any]:
    now = timezone.now()
    slots = islice(schedule.timetable().slots(now), NEXT_TIMES)
    zone = schedule.wall_clock()
    return {
        "times": [
            {"at": local_time(slot, zone), "in": relative(slot, now=now), "iso": slot} for slot in slots
        ]
    }


def _load(schedule: WarmupSchedule, accounts: QuerySet[Account]) -> dict[str, Any]:
    now, number = timezone.now(), accounts.count()
    plan, length, ahead = forecast.forecast(schedule, number, now)
    zone = schedule.wall_clock()
    top = max(ahead.busiest.peak, ahead.capacity)
    return {
        "accounts_number": number,
        "canary_number": min(schedule.canary_accounts, number) if schedule.canary_accounts < number else 0,
        "run_takes": duration(plan.run_seconds),
        "run_sample": length.runs,
        "slot_takes": duration(plan.slot_seconds),
        "at_once": plan.at_once,
        "ahead": ahead,
        "over": ahead.busiest.peak > ahead.capacity,
        "busiest_at": local_time(ahead.busiest.begin, zone),
        "busiest_peak": _number(ahead.busiest.peak),
        "hours": [
            {
                "at": local_time(hour.begin, zone),
                "accounts": hour.accounts,
                "average": _number(hour.average),
                "peak": _number(hour.peak),
                "average_width": round(100 * hour.average / top, 1),
                "peak_width": round(100 * hour.peak / top, 1),
                "capacity_at": round(100 * ahead.capacity / top, 1),
                "over": hour.peak > ahead.capacity,
            }
            for hour in ahead.hours
            if hour.peak
        ],
    }


def _number(value: float) -> str:
    """`0.4` below ten, whole from there on."""
    return formats.number_format(round(value, 1) if value < 10 else round(value))
