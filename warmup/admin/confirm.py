"""From a click to a verb: what will happen and to how many, then the doing and what came of it.

Nothing is changed by a GET. On the page of a task the question is a dialog; for chosen rows of a list,
and without JavaScript, it is a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from warmup import services
from warmup.admin.board import boards
from warmup.admin.display import object_url
from warmup.admin.verbs import Forecast, Result, Verb, carry_out, forecast
from warmup.audit import Actor
from warmup.forms import VerbForm
from warmup.models import WarmupTask

ERRORS_SHOWN = 10
NAMES_SHOWN = 20
CONFIRMED = "confirmed"


def actor(request: HttpRequest) -> Actor:
    """Who asks; the admin has seen to it that it is somebody."""
    return cast(Actor, request.user)


def act_on_chosen(
    verb: Verb, model_admin: ModelAdmin[Any], request: HttpRequest, chosen: QuerySet[WarmupTask]
) -> HttpResponse | None:
    """The action of the task list: asks first, then does it to each chosen task."""
    tasks = list(chosen.select_related("site", "playbook").order_by("pk"))
    if CONFIRMED in request.POST:
        report(request, carry_out(verb, tasks, by=actor(request)))
        return None  # back to the list
    ahead = forecast(verb, boards(tasks))
    names = {task.pk: task for task in tasks}
    context = {
        "ahead": ahead,
        "able": [names[pk] for pk in ahead.able[:NAMES_SHOWN]],
        "unable": [names[pk] for pk in ahead.unable[:NAMES_SHOWN]],
        "more": max(0, len(ahead.able) - NAMES_SHOWN) + max(0, len(ahead.unable) - NAMES_SHOWN),
    }
    return page(model_admin, request, "warmup/admin/confirm_verb.html", verb.title, context)


def page(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    template: str,
    title: object,
    context: Mapping[str, Any],
) -> HttpResponse:
    """A question between the choice of rows and an action; its form posts the same choice again."""
    across = request.POST.get("select_across", "0") not in {"", "0", "false"}
    selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
    return TemplateResponse(
        request,
        template,
        {
            **model_admin.admin_site.each_context(request),
            "opts": model_admin.opts,
            "title": title,
            "media": model_admin.media,
            "action": request.POST.get("action", ""),
            "across": across,
            # "All of the list" needs one of them, so that Django takes the action up.
            "selected": selected[:1] if across else selected,
            "checkbox_name": ACTION_CHECKBOX_NAME,
            "confirmed_name": CONFIRMED,
            "back_url": request.get_full_path(),
            **context,
        },
    )


def ask_or_act(
    model_admin: ModelAdmin[Any], request: HttpRequest, task: WarmupTask, verb: Verb
) -> HttpResponse:
    """The verbs of a task's page."""
    if request.method == "POST":
        form = VerbForm(data=request.POST, request=request, task=task, verb=verb.name)
        if form.is_valid() and form.cleaned_data.get("latest_playbook"):
            verb = replace(verb, carry_out=_restart_with_latest)
        report(request, carry_out(verb, [task], by=actor(request)))
        return _back_to(request, object_url(task))
    ahead = forecast(verb, boards([task]))
    form = VerbForm(request=request, task=task, verb=verb.name)
    if not request.headers.get("HX-Request"):
        context = {"ahead": ahead, "able": [task], "unable": [], "form": form, "original": task}
        context["back_url"] = object_url(task)
        return page(model_admin, request, "warmup/admin/confirm_verb.html", verb.title, context)
    dialog = {"title": f"{verb.title}: {task}", "description": _question(ahead)}
    return render(
        request,
        "unfold/helpers/dialog.html",
        {"dialog": dialog, "form": form, "form_submit_text": verb.title},
    )


def _question(ahead: Forecast) -> str:
    if not ahead.able:
        return _("This does not apply to the task as it stands now.")
    touched = ngettext(
        "It touches %(number)d account.", "It touches %(number)d accounts.", ahead.accounts
    ) % {"number": ahead.accounts}
    return f"{ahead.verb.consequence} {touched}"


def _restart_with_latest(task: WarmupTask, by: Any) -> int:
    return services.restart(task, which="all", by=by, latest_playbook=True)


def report(request: HttpRequest, result: Result) -> None:
    """Say what was done, and one sentence for each task that refused."""
    if result.tasks:
        messages.success(request, result.message)
    for error in result.errors[:ERRORS_SHOWN]:
        messages.error(request, error)
    more = len(result.errors) - ERRORS_SHOWN
    if more > 0:
        messages.error(
            request, ngettext("... and %(more)d more.", "... and %(more)d more.", more) % {"more": more}
        )


def _back_to(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect; htmx is told to have the whole page follow it."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
