"""Account runs: the list, and the page of one run, where a person settles what a run waits for."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from core.admin import EmptyState, ReadOnlyAdmin, moment
from core.errors import WarmupError
from warmup import services
from warmup.admin import polling, run_page
from warmup.admin.confirm import actor
from warmup.admin.display import link, object_url, reason_text, run_badge
from warmup.models import WarmupAccount


@admin.register(WarmupAccount)
class RunAdmin(ReadOnlyAdmin):
    """The machine moves runs; a person only answers what it asks."""

    list_display = (
        "account",
        "task_cell",
        "status_cell",
        "step_cell",
        "attempt",
        "reason_cell",
        "started",
        "completed",
    )
    list_select_related = ("account", "task")
    list_filter = ("status", "task__site")
    search_fields = ("account__username", "task__name", "reason")
    change_form_template = "warmup/admin/run_page.html"
    fields = ("status",)
    readonly_fields = fields
    empty_state = EmptyState(
        _("No runs yet"), _("They are made when a task is started: one for each of its accounts.")
    )

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Whether the user may settle what a run waits for."""
        return bool(request.user.has_perm("warmup.change_warmupaccount"))

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_control_permission(request)

    # ---- the list ----

    @admin.display(description=_("task"), ordering="task__name")
    def task_cell(self, run: WarmupAccount) -> str:
        return link(run.task)

    @admin.display(description=_("status"), ordering="status")
    def status_cell(self, run: WarmupAccount) -> str:
        return run_badge(run.status)

    @admin.display(description=_("step"))
    def step_cell(self, run: WarmupAccount) -> str:
        return f"{run.cursor} / {run.steps_total}" if run.steps_total else "-"

    @admin.display(description=_("reason"), ordering="reason")
    def reason_cell(self, run: WarmupAccount) -> str:
        return reason_text(run.status, run.reason) or "-"

    @admin.display(description=_("started"), ordering="started_at")
    def started(self, run: WarmupAccount) -> str:
        return moment(run.started_at)

    @admin.display(description=_("completed"), ordering="completed_at")
    def completed(self, run: WarmupAccount) -> str:
        return moment(run.completed_at)

    # ---- the page of one run ----

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:run_id>/live/", wrap(self.live_view, cacheable=True), name="warmup_warmupaccount_live"
            ),
            path("<int:run_id>/settle/", wrap(self.settle_view), name="warmup_warmupaccount_settle"),
            path("<int:run_id>/solved/", wrap(self.solved_view), name="warmup_warmupaccount_solved"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        run = self._find(object_id)
        if run is None or not self.has_view_permission(request, run):
            return super().change_view(request, object_id, form_url, extra_context)
        context = run_page.context(request, run, control=self.has_control_permission(request))
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def live_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """The moving parts of a run's page."""
        if not self.has_view_permission(request):
            raise PermissionDenied

        def respond() -> HttpResponse:
            run = self._find(run_id)
            if run is None:
                return HttpResponse(status=286)  # htmx: do not ask again
            context = run_page.live_context(request, run, control=self.has_control_permission(request))
            return TemplateResponse(request, "warmup/admin/parts/run_live.html", context)

        return polling.answer(request, polling.run_version(run_id), respond)

    def settle_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """It happened, or: do it again."""
        answer = request.POST.get("happened")
        run = self._asked(request, run_id)
        if isinstance(run, HttpResponse):
            return run
        if answer not in {"yes", "no"}:
            messages.error(request, _now("Say whether it happened: nothing was changed."))
        else:
            try:
                services.settle(run, happened=answer == "yes", by=actor(request))
                messages.success(request, _now("Settled: the run goes on."))
            except WarmupError as error:
                messages.error(request, str(error))
        return HttpResponseRedirect(object_url(run))

    def solved_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """A person has seen to the account."""
        run = self._asked(request, run_id)
        if isinstance(run, HttpResponse):
            return run
        try:
            services.unpark(run, by=actor(request))
            messages.success(request, _now("Solved: the run goes on where it was."))
        except WarmupError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(object_url(run))

    def _asked(self, request: HttpRequest, run_id: int) -> WarmupAccount | HttpResponse:
        """The run that a POST is about, or the answer to a request that may not be."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_control_permission(request):
            raise PermissionDenied
        run = self._find(run_id)
        return run or self.gone(request, run_id)

    def _find(self, object_id: str | int) -> WarmupAccount | None:
        text = str(object_id)
        if not text.isdecimal() or len(text) > 18:
            return None
        runs = WarmupAccount.objects.select_related(
            "account__site", "account__proxy", "task__site", "task__playbook"
        )
        return runs.filter(pk=int(text)).first()
