"""django-q2's tables, to look at only, and without ever unpickling what is in them.

Its own pages show arguments and results, whose loading runs whatever a pickle says.
"""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import EmptyState, ReadOnlyAdmin, moment


class QueueAdmin(ReadOnlyAdmin):
    """Loads the named columns and no others."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset: QuerySet[Any] = super().get_queryset(request)
        return queryset.only(*self.columns)

    columns: tuple[str, ...] = ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.columns

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.columns


class JobAdmin(QueueAdmin):
    columns = ("id", "name", "func", "started", "stopped", "success")
    list_display = ("name", "func", "begun", "ended", "success")
    search_fields = ("name", "func")
    empty_state = EmptyState(_("No jobs here"), _("Workers report the jobs that they have ended."))

    @admin.display(description=_("started"), ordering="started")
    def begun(self, job: Any) -> str:
        return moment(job.started)

    @admin.display(description=_("stopped"), ordering="stopped")
    def ended(self, job: Any) -> str:
        return moment(job.stopped)


class WaitingAdmin(QueueAdmin):
    columns = ("id", "key", "lock")
    list_display = ("id", "key", "locked")
    empty_state = EmptyState(
        _("Nothing is queued"), _("A message is only a wake-up call: what there is to do is in the tasks.")
    )

    @admin.display(description=_("locked until"), ordering="lock")
    def locked(self, message: Any) -> str:
        return moment(message.lock)


class ScheduleAdmin(QueueAdmin):
    columns = ("id", "name", "func", "next_run")
    list_display = ("name", "func", "next")
    search_fields = ("name", "func")
    empty_state = EmptyState(_("No schedules yet"), _("A starting worker makes the one that is needed."))

    @admin.display(description=_("next run"), ordering="next_run")
    def next(self, schedule: Any) -> str:
        return moment(schedule.next_run)


PAGES: dict[str, type[QueueAdmin]] = {
    "Success": JobAdmin,
    "Failure": JobAdmin,
    "OrmQ": WaitingAdmin,
    "Schedule": ScheduleAdmin,
}


def take_over() -> None:
    """Put our pages in the place of django-q2's own; those that it does not have, it needs not."""
    # Its pages must be there to be taken over, whatever the order in which Django looks for them.
    import_module(f"{apps.get_app_config('django_q').name}.admin")
    for name, page in PAGES.items():
        model = apps.get_model("django_q", name)
        if admin.site.is_registered(model):
            admin.site.unregister(model)
            admin.site.register(model, page)


take_over()
