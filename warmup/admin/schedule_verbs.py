"""What can be asked of schedules: pause, resume, run now. Asked about on GET, carried out on POST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm

from core.admin import Text
from core.errors import WarmupError
from warmup import schedules
from warmup.admin.confirm import CONFIRMED, NAMES_SHOWN, actor, page
from warmup.admin.display import object_url
from warmup.audit import Actor
from warmup.models import WarmupSchedule

TEMPLATE = "warmup/admin/confirm_schedule.html"


@dataclass(frozen=True, slots=True)
class ScheduleVerb:
    """One thing that can be asked of a schedule."""

    name: str
    title: Text
    past: Text  # what a message begins with
    icon: str
    consequence: Text
    applies: Callable[[WarmupSchedule], bool]
    carry_out: Callable[[WarmupSchedule, Actor], object]


VERBS: Mapping[str, ScheduleVerb] = {
    verb.name: verb
    for verb in (
        ScheduleVerb(
            "pause",
            _("Pause"),
            _("Paused"),
            "pause",
            _(
                "Nothing more is started. A slot that waits for a task is skipped, and accounts behind a"
                " canary are held. Tasks that have started go on."
            ),
            lambda schedule: not schedule.paused,
            lambda schedule, by: schedules.pause(schedule, by=by),
        ),
        ScheduleVerb(
            "resume",
            _("Resume"),
            _("Resumed"),
            "resume",
            _("It goes on with the next slot from now on. The slots of the pause are not made up for."),
            lambda schedule: schedule.paused,
            lambda schedule, by: schedules.resume(schedule, by=by),
        ),
        ScheduleVerb(
            "run_now",
            _("Run now"),
            _("Started"),
            "play_arrow",
            _("A task is made and started at once, as at a slot, with its canary and its spread."),
            lambda _schedule: True,
            lambda schedule, by: schedules.run_now(schedule, by=by),
        ),
    )
}


def valid_verbs(schedule: WarmupSchedule) -> list[ScheduleVerb]:
    """The verbs worth offering."""
    return [verb for verb in VERBS.values() if verb.applies(schedule)]


def act_on_chosen(
    verb: ScheduleVerb,
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    chosen: QuerySet[WarmupSchedule],
) -> HttpResponse | None:
    """The action of the list: asks first, then does it to each chosen schedule."""
    rows = list(chosen.order_by("name"))
    if CONFIRMED in request.POST:
        _carry_out(request, verb, rows)
        return None  # back to the list
    able = [schedule for schedule in rows if verb.applies(schedule)]
    unable = [schedule for schedule in rows if not verb.applies(schedule)]
    context = {
        "verb": verb,
        "able": able[:NAMES_SHOWN],
        "unable": unable[:NAMES_SHOWN],
        "more": max(0, len(able) - NAMES_SHOWN) + max(0, len(unable) - NAMES_SHOWN),
    }
    return page(model_admin, request, TEMPLATE, verb.title, context)


def ask_or_act(
    model_admin: ModelAdmin[Any], request: HttpRequest, schedule: WarmupSchedule, verb: ScheduleVerb
) -> HttpResponse:
    """The verbs of a schedule's page."""
    url = object_url(schedule)
    asked_by_htmx = bool(request.headers.get("HX-Request"))
    if request.method == "POST":
        _carry_out(request, verb, [schedule])
        return HttpResponse(headers={"HX-Redirect": url}) if asked_by_htmx else HttpResponseRedirect(url)
    if not asked_by_htmx:
        context = {"verb": verb, "able": [schedule], "unable": [], "more": 0, "back_url": url}
        return page(model_admin, request, TEMPLATE, verb.title, context)
    dialog = {"title": f"{verb.title}: {schedule}", "description": verb.consequence}
    form = BaseDialogForm(request=request, object_id=schedule.pk)
    context = {"dialog": dialog, "form": form, "form_submit_text": verb.title}
    return render(request, "unfold/helpers/dialog.html", context)


def _carry_out(request: HttpRequest, verb: ScheduleVerb, rows: list[WarmupSchedule]) -> None:
    done = []
    for schedule in rows:
        try:
            verb.carry_out(schedule, actor(request))
            done.append(str(schedule))
        except WarmupError as error:
            messages.error(request, str(error))
    if done:
        text = _now("%(past)s: %(names)s.")
        messages.success(request, text % {"past": verb.past, "names": ", ".join(done[:NAMES_SHOWN])})
