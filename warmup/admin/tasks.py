"""Warm-up tasks: the list, with its verbs, and the deletion. The page of one task is in `task_page`."""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList

from core.admin import Admin, EmptyState, moment
from core.errors import WarmupError
from warmup.admin import deletion, failures, polling, task_page
from warmup.admin.board import Board, boards
from warmup.admin.confirm import act_on_chosen, actor, ask_or_act
from warmup.admin.display import counts, link, meter, task_badge
from warmup.admin.verbs import VERBS
from warmup.models import WarmupTask

NAMES_SHOWN = 20


class TaskChangeList(ChangeList):  # type: ignore[misc]  # unfold has no types
    """Gives every task of the page its board, all of them in two queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: list[WarmupTask] = list(self.result_list)
        self.board = poll(self.result_list)


def poll(tasks: Sequence[WarmupTask], *, again: bool = False) -> dict[str, Any]:
    """Give each task its moving `cells`; returns those, and whether and where to ask for them again.

    `again`: for htmx, to take the place of the cells that the page has.
    """
    stands = boards(tasks)
    for task in tasks:
        task.cells = cells(task, stands[task.pk], again=again)  # type: ignore[attr-defined]
    ids = ",".join(str(task.pk) for task in tasks)
    return {
        "rows": [task.cells for task in tasks],  # type: ignore[attr-defined]
        "moving": any(board.moving for board in stands.values()),
        "url": f"{reverse('admin:warmup_warmuptask_board')}?ids={ids}",
    }


@admin.register(WarmupTask)
class TaskAdmin(Admin):
    """Nothing of a task is edited here: its status moves along its verbs."""

    list_display = (
        "name",
        "status_cell",
        "progress_cell",
        "counts_cell",
        "site_cell",
        "playbook_cell",
        "started",
        "completed",
    )
    list_select_related = ("site", "playbook")
    list_filter = ("status", "site")
    search_fields = ("name", "playbook__name", "site__name")
    list_after_template = "warmup/admin/task_poller.html"
    change_form_template = "warmup/admin/task_page.html"
    delete_confirmation_template = "warmup/admin/delete_task.html"
    delete_selected_confirmation_template = "warmup/admin/delete_task.html"
    fields = ("name",)
    readonly_fields = ("name",)
    empty_state = EmptyState(
        _("No tasks yet"),
        _("Choose accounts in the list of accounts and “Warm up...”, or load a file:"),
        "manage.py warmup load FILE",
    )

    # ---- who may what ----

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: the form would write a stale status back."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_control_permission(request)

    def has_control_permission(self, request: HttpRequest) -> bool:
        """Whether the user may start, stop and so on."""
        return bool(request.user.has_perm("warmup.change_warmuptask"))

    # ---- the list ----

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TaskChangeList

    @admin.display(description=_("status"), ordering="status")
    def status_cell(self, task: WarmupTask) -> str:
        return shown(task, "status")

    @admin.display(description=_("progress"))
    def progress_cell(self, task: WarmupTask) -> str:
        return shown(task, "progress")

    @admin.display(description=_("accounts"))
    def counts_cell(self, task: WarmupTask) -> str:
        return shown(task, "counts")

    @admin.display(description=_("started"), ordering="started_at")
    def started(self, task: WarmupTask) -> str:
        return shown(task, "started")

    @admin.display(description=_("completed"), ordering="completed_at")
    def completed(self, task: WarmupTask) -> str:
        return shown(task, "completed")

    @admin.display(description=_("site"), ordering="site__name")
    def site_cell(self, task: WarmupTask) -> str:
        return link(task.site)

    @admin.display(description=_("playbook"), ordering="playbook__name")
    def playbook_cell(self, task: WarmupTask) -> str:
        return link(task.playbook)

    def get_actions(self, request: HttpRequest) -> Any:
        actions: Any = super().get_actions(request)
        if self.has_control_permission(request):
            for verb in VERBS.values():
                actions[verb.name] = (partial(act_on_chosen, verb), verb.name, str(verb.title))
        return actions

    # ---- further pages ----

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("board/", wrap(self.board_view, cacheable=True), name="warmup_warmuptask_board"),
            path("<int:task_id>/live/", wrap(self.live_view, cacheable=True), name="warmup_warmuptask_live"),
            path("<int:task_id>/verb/<str:name>/", wrap(self.verb_view), name="warmup_warmuptask_verb"),
            path(
                "<int:task_id>/failures/<str:key>/restart/",
                wrap(self.restart_cluster_view),
                name="warmup_warmuptask_restart_cluster",
            ),
            *super().get_urls(),
        ]

    def board_view(self, request: HttpRequest) -> HttpResponse:
        """The moving cells of the tasks `ids`, and whether to ask again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        wanted = [
            int(word) for word in request.GET.get("ids", "").split(",") if word.isdecimal() and len(word) < 19
        ]
        ids = wanted[: self.list_max_show_all]

        def respond() -> HttpResponse:
            board = poll(list(self.get_queryset(request).filter(pk__in=ids)), again=True)
            return TemplateResponse(request, "warmup/admin/parts/board.html", {"board": board})

        return polling.answer(request, polling.tasks_version(ids), respond)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        task = self.get_object(request, object_id)
        if task is None or not self.has_view_permission(request, task):
            return super().change_view(request, object_id, form_url, extra_context)
        control = self.has_control_permission(request)
        context = task_page.context(request, task, control=control) | (extra_context or {})
        return super().change_view(request, object_id, form_url, context)

    def live_view(self, request: HttpRequest, task_id: int) -> HttpResponse:
        """The moving parts of a task's page."""
        if not self.has_view_permission(request):
            raise PermissionDenied

        def respond() -> HttpResponse:
            task = self.get_queryset(request).select_related("site", "playbook").filter(pk=task_id).first()
            if task is None:
                return HttpResponse(status=286)  # htmx: do not ask again
            control = self.has_control_permission(request)
            context = task_page.live_context(request, task, control=control)
            return TemplateResponse(request, "warmup/admin/parts/task_live.html", context)

        return polling.answer(request, polling.tasks_version([task_id]), respond)

    def verb_view(self, request: HttpRequest, task_id: int, name: str) -> HttpResponse:
        """Asks about a verb on GET, carries it out on POST."""
        if not self.has_control_permission(request):
            raise PermissionDenied
        task = self.get_queryset(request).select_related("site", "playbook").filter(pk=task_id).first()
        if task is None or name not in VERBS:
            return self.gone(request, task_id)
        return ask_or_act(self, request, task, VERBS[name])

    def restart_cluster_view(self, request: HttpRequest, task_id: int, key: str) -> HttpResponse:
        """Starts the runs that failed alike again: asks on GET, does it on POST."""
        if not self.has_control_permission(request):
            raise PermissionDenied
        task = self.get_queryset(request).select_related("site", "playbook").filter(pk=task_id).first()
        if task is None:
            return self.gone(request, task_id)
        verb = failures.restart_verb(task, key)
        if verb is None:
            messages.info(request, _("These failures are gone: their runs were started again."))
            return HttpResponseRedirect(reverse("admin:warmup_warmuptask_change", args=[task_id]))
        return ask_or_act(self, request, task, verb)

    # ---- deletion ----

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Counts instead of hundreds of thousands of rows, and the reasons against it."""
        tasks = list(objs)
        refusals = [reason for reason in map(deletion.refusal, tasks) if reason]
        names = [format_html("{}", task) for task in tasks[:NAMES_SHOWN]]
        needed = set() if self.has_delete_permission(request) else {self.opts.verbose_name}
        return names, deletion.belongings(tasks), needed, refusals[:NAMES_SHOWN]

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except WarmupError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:warmup_warmuptask_change", args=[object_id]))

    def delete_model(self, request: HttpRequest, obj: WarmupTask) -> None:
        deletion.delete(obj, by=actor(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[WarmupTask]) -> None:
        for task in queryset:
            try:
                deletion.delete(task, by=actor(request))
            except WarmupError as error:
                self.message_user(request, str(error), messages.ERROR)


def shown(task: Any, name: str) -> str:
    """A cell that `poll` has made."""
    cell: str = task.cells[name]
    return cell


def cells(task: WarmupTask, board: Board, *, again: bool) -> dict[str, str]:
    """What moves of a task in the list; each in an element of its own that a poll can replace."""
    contents = {
        "status": task_badge(board.status),
        "progress": meter(board, task.name),
        "counts": counts(board),
        "started": moment(task.started_at),
        "completed": moment(task.completed_at),
    }
    mark = mark_safe(' hx-swap-oob="true"') if again else ""
    return {
        name: format_html('<span id="task-{}-{}"{}>{}</span>', task.pk, name, mark, content)
        for name, content in contents.items()
    }
