"""Playbooks: adding makes a new version; a version is never changed."""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from core.admin import Admin, EmptyState, moment
from warmup.admin.audited import AuditedMixin
from warmup.admin.display import object_url
from warmup.admin.steps import steps_html
from warmup.forms import PlaybookForm
from warmup.models import Playbook
from warmup.playbooks.schema import PlaybookSpec

ATTEMPTS = 3  # two people who save at once get one version each


def _save_version(spec: PlaybookSpec, attempts: int = ATTEMPTS) -> tuple[Playbook, bool]:
    try:
        with transaction.atomic():
            return Playbook.save_version(spec)
    except IntegrityError:
        if attempts == 1:
            raise
    return _save_version(spec, attempts - 1)


@admin.register(Playbook)
class PlaybookAdmin(AuditedMixin, Admin):
    """What a playbook does, in words and as it is stored."""

    form = PlaybookForm
    list_display = ("name", "version", "steps_declared", "saved")
    search_fields = ("name",)
    change_form_outer_before_template = "warmup/admin/playbook_tools.html"
    empty_state = EmptyState(
        _("No playbooks yet"),
        _("Add one here, or load a file that has some:"),
        "manage.py warmup load FILE",
    )

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: a changed playbook is a new version."""
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Playbook | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("name", "steps")})]
        return [
            (None, {"fields": ("name", "version", "saved", "digest")}),
            (_("Steps"), {"fields": ("in_words",)}),
            (_("Definition"), {"fields": ("as_stored",), "classes": ("collapse",)}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Playbook | None = None) -> tuple[str, ...]:
        return () if obj is None else ("name", "version", "saved", "digest", "in_words", "as_stored")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, one_button | (extra_context or {}))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """`?from=ID`: begin with that version."""
        wanted = request.GET.get("from", "")
        source = (
            Playbook.objects.filter(pk=wanted).first() if wanted.isdecimal() and len(wanted) < 19 else None
        )
        return {"name": source.name, "steps": source.definition["steps"]} if source else {}

    def save_model(self, request: HttpRequest, obj: Playbook, form: PlaybookForm, change: bool) -> None:
        """The newest version when it says the same already, else a new one."""
        playbook, obj.is_new = _save_version(form.spec)  # type: ignore[attr-defined]
        obj.pk, obj.version = playbook.pk, playbook.version

    def log_addition(self, request: HttpRequest, obj: Playbook, message: Any) -> Any:
        return super().log_addition(request, obj, message) if obj.is_new else None  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: Playbook, post_url_continue: Any = None
    ) -> HttpResponse:
        if obj.is_new:  # type: ignore[attr-defined]
            text = _now("Saved as %(playbook)s. Tasks that were made before keep their version.")
            messages.success(request, text % {"playbook": obj})
        else:
            text = _now("%(playbook)s says the same already: nothing new was saved.")
            messages.info(request, text % {"playbook": obj})
        return HttpResponseRedirect(object_url(obj))

    @admin.display(description=_("saved"), ordering="created_at")
    def saved(self, playbook: Playbook) -> str:
        return moment(playbook.created_at)

    @admin.display(description=_("steps"))
    def steps_declared(self, playbook: Playbook) -> int:
        return len(playbook.definition.get("steps", []))

    @admin.display(description=_("what it does"))
    def in_words(self, playbook: Playbook) -> str:
        return steps_html(playbook)

    @admin.display(description=_("JSON"))
    def as_stored(self, playbook: Playbook) -> str:
        return format_html(
            '<pre class="wu-code">{}</pre>', json.dumps(playbook.definition, indent=2, ensure_ascii=False)
        )
