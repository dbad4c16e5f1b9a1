"""What every page of the admin stands on."""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext as _now

if TYPE_CHECKING:
    UnfoldAdmin = admin.ModelAdmin[Any]
else:
    from unfold.admin import ModelAdmin as UnfoldAdmin


Text = str | Promise
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class EmptyState:
    """What a list says as long as it has no rows: what is missing, and what to do first."""

    title: Text
    text: Text
    command: str = ""  # shown as something to type


class Admin(UnfoldAdmin):
    """The base of all our pages."""

    list_per_page = 50
    list_max_show_all = 200
    empty_state: EmptyState | None = None
    # Rows that go with a row and have pages that allow no deletion: they do not stand in the way of it.
    owned: tuple[type[models.Model], ...] = ()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Django's summary, without asking for a permission to delete what the machine keeps."""
        deleted, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        own = {model._meta.verbose_name for model in self.owned}
        # What is in use is not deleted at all: no permission to delete its users is wanted.
        lacking = set() if protected else {name for name in perms_needed if name not in own}
        return deleted, counts, lacking, protected

    def gone(self, request: HttpRequest, object_id: object) -> HttpResponse:
        """Django's answer for a row that is not there: a message on the index."""
        answer: HttpResponse = self._get_obj_does_not_exist_redirect(  # type: ignore[attr-defined]
            request, self.opts, str(object_id)
        )
        return answer


class ReadOnlyAdmin(Admin):
    """Pages of what the machine owns: to look at, and nothing else."""

    actions = None

    def has_add_permission(self, request: HttpRequest, *args: object) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


# ---- times ----------------------------------------------------------------------------------------


def moment(value: datetime | None, *, now: datetime | None = None) -> str:
    """`3 minutes ago` or `in 20 s`, as HTML with the exact time on hover."""
    if value is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact(value), relative(value, now=now)
    )


def exact(value: datetime) -> str:
    """`2030-05-06 07:08:09 UTC`, in the time zone of the settings."""
    return formats.date_format(timezone.localtime(value), "Y-m-d H:i:s T")


def relative(value: datetime, *, now: datetime | None = None) -> str:
    """How long ago, or how long until."""
    now = now or timezone.now()
    seconds = (now - value).total_seconds()
    if abs(seconds) < 60:
        span = _now("%(seconds)d s") % {"seconds": abs(seconds)}
    else:
        span = timesince(min(value, now), max(value, now), depth=1)
    return (_now("%(span)s ago") if seconds >= 0 else _now("in %(span)s")) % {"span": span}


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 10:
        return _now("%(seconds).1f s") % {"seconds": seconds}
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return _now("%(seconds)d s") % {"seconds": rest}
    if minutes < 60:
        return _now("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    return _now("%(hours)d h %(minutes)d min") % {"hours": minutes // 60, "minutes": minutes % 60}
