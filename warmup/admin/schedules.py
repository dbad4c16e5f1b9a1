"""Schedules: the list, the form with its preview, their verbs; and what their slots came to."""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList

from core.admin import Admin, EmptyState, moment
from warmup import schedules
from warmup.admin import schedule_page
from warmup.admin.audited import AuditedMixin
from warmup.admin.display import link
from warmup.admin.records import LongListAdmin
from warmup.admin.schedule_verbs import VERBS, act_on_chosen, ask_or_act
from warmup.forms import ScheduleForm
from warmup.forms.schedule import CANARY, WHAT, WHAT_IF, WHEN
from warmup.models import ScheduleFiring, WarmupSchedule

NAMES_SHOWN = 20


class ScheduleChangeList(ChangeList):  # type: ignore[misc]  # unfold has no types
    """Gives every schedule of the page its last firing, all of them in one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: list[WarmupSchedule] = list(self.result_list)
        firings = schedule_page.last_firings(self.result_list)
        for schedule in self.result_list:
            schedule.last = firings.get(schedule.pk)  # type: ignore[attr-defined]


@admin.register(WarmupSchedule)
class ScheduleAdmin(AuditedMixin, Admin):
    """When which task starts by itself."""

    form = ScheduleForm
    list_display = ("name", "state", "rhythm_cell", "site", "playbook", "next_time", "last_result")
    list_select_related = ("site", "playbook")
    list_filter = ("paused", "site")
    search_fields = ("name", "site__name", "playbook__name")
    autocomplete_fields = ("accounts",)
    fieldsets = (
        (None, {"fields": ("name",)}),
        (_("What is started"), {"fields": WHAT}),
        (_("When"), {"fields": WHEN}),
        (_("When the one before has not ended, or nobody worked"), {"fields": WHAT_IF}),
        (_("Canary"), {"fields": CANARY}),
    )
    change_form_outer_before_template = "warmup/admin/schedule_head.html"
    change_form_after_template = "warmup/admin/schedule_ahead.html"
    change_form_outer_after_template = "warmup/admin/schedule_firings.html"
    owned = (ScheduleFiring,)
    empty_state = EmptyState(
        _("No schedules yet"),
        _("Add one: at each of its times it starts a task. Sites, playbooks and accounts come first."),
    )

    # ---- the list ----

    def get_queryset(self, request: HttpRequest) -> QuerySet[WarmupSchedule]:
        latest = ScheduleFiring.objects.filter(schedule=OuterRef("pk")).order_by("-slot").values("pk")[:1]
        queryset: QuerySet[WarmupSchedule] = super().get_queryset(request)
        return queryset.annotate(last_firing=Subquery(latest))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ScheduleChangeList

    def get_actions(self, request: HttpRequest) -> Any:
        actions: Any = super().get_actions(request)
        if self.has_change_permission(request):
            for verb in VERBS.values():
                actions[verb.name] = (partial(act_on_chosen, verb), verb.name, str(verb.title))
        return actions

    @admin.display(description=_("state"), ordering="paused")
    def state(self, schedule: WarmupSchedule) -> str:
        return schedule_page.state(schedule)

    @admin.display(description=_("rhythm"))
    def rhythm_cell(self, schedule: WarmupSchedule) -> str:
        return schedule_page.rhythm(schedule)

    @admin.display(description=_("next"), ordering="next_slot_at")
    def next_time(self, schedule: WarmupSchedule) -> str:
        return schedule_page.next_time(schedule)

    @admin.display(description=_("last"))
    def last_result(self, schedule: WarmupSchedule) -> str:
        firing: ScheduleFiring | None = schedule.last  # type: ignore[attr-defined]
        if firing is None:
            return schedule_page.result(None)
        return format_html("{} {}", moment(firing.slot), schedule_page.result(firing))

    # ---- the form ----

    def save_model(self, request: HttpRequest, obj: WarmupSchedule, form: ScheduleForm, change: bool) -> None:
        fields = [name for name in form.fields if name != "accounts"]
        schedules.save(obj, tuple(fields))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        context = schedule_page.form_context(request, None) | (extra_context or {})
        return super().add_view(request, form_url, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        schedule = self.get_object(request, object_id)
        if schedule is None or not self.has_view_or_change_permission(request, schedule):
            return super().change_view(request, object_id, form_url, extra_context)
        control = self.has_change_permission(request, schedule)
        context = schedule_page.context(request, schedule, control=control) | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)

    # ---- further pages ----

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("preview/", wrap(self.preview_view), name="warmup_warmupschedule_preview"),
            path(
                "<int:schedule_id>/verb/<str:name>/", wrap(self.verb_view), name="warmup_warmupschedule_verb"
            ),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The next times and the load of what the form says: a POST that changes nothing."""
        schedule = self.get_object(request, request.GET.get("schedule", ""))
        allowed = (
            self.has_change_permission(request, schedule) if schedule else self.has_add_permission(request)
        )
        if not allowed:
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form_class = self.get_form(request, schedule, change=schedule is not None)
        form: Any = form_class(request.POST, instance=schedule)
        preview = schedule_page.preview_of_form(form)
        return TemplateResponse(request, "warmup/admin/parts/schedule_preview.html", preview)

    def verb_view(self, request: HttpRequest, schedule_id: int, name: str) -> HttpResponse:
        """Asks about a verb on GET, carries it out on POST."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        schedule = self.get_queryset(request).filter(pk=schedule_id).first()
        if schedule is None or name not in VERBS:
            return self.gone(request, schedule_id)
        return ask_or_act(self, request, schedule, VERBS[name])

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Counts instead of thousands of firings; the tasks stay."""
        rows = list(objs)
        counts = {
            str(self.opts.verbose_name_plural): len(rows),
            str(ScheduleFiring._meta.verbose_name_plural): ScheduleFiring.objects.filter(
                schedule__in=rows
            ).count(),
        }
        lacking = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return [format_html("{}", row) for row in rows[:NAMES_SHOWN]], counts, lacking, []


@admin.register(ScheduleFiring)
class FiringAdmin(LongListAdmin):
    list_display = (
        "slot_cell",
        "schedule_cell",
        "status_cell",
        "reason",
        "canary_cell",
        "task_cell",
        "by_hand",
    )
    list_select_related = ("schedule", "task", "canary")
    list_filter = ("status", "schedule")
    search_fields = ("schedule__name", "reason")
    ordering = ("-slot",)
    fields = (
        "schedule",
        "slot",
        "status",
        "reason",
        "by_hand",
        "canary",
        "task",
        "created_at",
        "completed_at",
    )
    readonly_fields = fields
    empty_state = EmptyState(
        _("No slot of a schedule has come yet"), _("Each leaves a line here: what it started, or why not.")
    )

    @admin.display(description=_("slot"), ordering="slot")
    def slot_cell(self, firing: ScheduleFiring) -> str:
        return moment(firing.slot)

    @admin.display(description=_("schedule"), ordering="schedule__name")
    def schedule_cell(self, firing: ScheduleFiring) -> str:
        return link(firing.schedule)

    @admin.display(description=_("status"), ordering="status")
    def status_cell(self, firing: ScheduleFiring) -> str:
        return schedule_page.firing_badge(firing.status)

    @admin.display(description=_("canary"))
    def canary_cell(self, firing: ScheduleFiring) -> str:
        return link(firing.canary)

    @admin.display(description=_("task"))
    def task_cell(self, firing: ScheduleFiring) -> str:
        return link(firing.task)
