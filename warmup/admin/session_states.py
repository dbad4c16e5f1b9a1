"""Saved browser states: what is in each version, without a value, and the way back to an older one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core.admin import NOTHING, EmptyState, ReadOnlyAdmin, exact, moment
from core.errors import WarmupError
from core.models import Account, SessionState
from core.permissions import may_use_secrets
from warmup.admin.confirm import actor
from warmup.admin.display import object_url
from warmup.rollback import roll_back

FACTS = ("account", "site", "saved", "is_newest", "size_bytes", "cookies", "origins", "first", "last")


@admin.register(SessionState)
class SessionStateAdmin(ReadOnlyAdmin):
    """What is in a version stays sealed; nothing here opens one but the way back."""

    list_display = ("id", *FACTS)
    list_select_related = ("account__site",)
    list_filter = ("account__site",)
    search_fields = ("account__username",)
    change_form_outer_before_template = "warmup/admin/session_state_tools.html"
    fields = (*FACTS, "names_of_cookies", "names_of_origins")
    readonly_fields = fields
    empty_state = EmptyState(
        _("No saved states yet"),
        _("A browser's state is saved at the end of each warm-up that leaves its account logged in."),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SessionState]:
        newer = SessionState.objects.filter(account=OuterRef("account"), pk__gt=OuterRef("pk"))
        states: QuerySet[SessionState] = super().get_queryset(request).select_related("account__site")
        return states.annotate(newest=~Exists(newer)).defer("sealed")

    @admin.display(description=_("site"), ordering="account__site__name")
    def site(self, state: SessionState) -> str:
        return str(state.account.site)

    @admin.display(description=_("saved"), ordering="created_at")
    def saved(self, state: SessionState) -> str:
        return moment(state.created_at)

    @admin.display(description=_("newest"), boolean=True)
    def is_newest(self, state: Any) -> bool:
        return bool(state.newest)

    @admin.display(description=_("first log-in cookie expires"), ordering="expires_first")
    def first(self, state: SessionState) -> str:
        return moment(state.expires_first)

    @admin.display(description=_("last log-in cookie expires"), ordering="expires_last")
    def last(self, state: SessionState) -> str:
        return moment(state.expires_last)

    @admin.display(description=_("names of cookies"))
    def names_of_cookies(self, state: SessionState) -> str:
        return _lines(state.cookie_names, more=state.cookies > len(state.cookie_names))

    @admin.display(description=_("names of origins"))
    def names_of_origins(self, state: SessionState) -> str:
        return _lines(state.origin_names)

    # ---- the way back ----

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.roll_back_view)
        own = path("<int:version_id>/roll-back/", view, name="core_sessionstate_roll_back")
        return [own, *super().get_urls()]

    def has_roll_back_permission(self, request: HttpRequest) -> bool:
        """Whether the user may make an older state the one that runs begin with."""
        return self.has_view_permission(request) and may_use_secrets(request.user)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of a version, which leads to the question to those who may go back."""
        may = {"may_roll_back": self.has_roll_back_permission(request)}
        return super().change_view(request, object_id, form_url, may | (extra_context or {}))

    def roll_back_view(self, request: HttpRequest, version_id: int) -> HttpResponse:
        """Asks; does it when the question is posted."""
        if not self.has_roll_back_permission(request):
            raise PermissionDenied
        version: SessionState | None = self.get_object(request, str(version_id))
        if version is None:
            return self.gone(request, version_id)
        if request.method == "POST":
            return self._roll_back(request, version)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _now("Go back to this state"),
            "version": version,
            "saved": self.saved(version),
            "first": self.first(version),
            "last": self.last(version),
            "back_url": object_url(version),
        }
        return TemplateResponse(request, "warmup/admin/roll_back_state.html", context)

    def _roll_back(self, request: HttpRequest, version: SessionState) -> HttpResponse:
        try:
            restored = roll_back(version, by=actor(request))
        except WarmupError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:core_sessionstate_changelist"))
        text = _now("The next run of %(account)s begins with the state that was saved %(saved)s.")
        messages.success(request, text % {"account": version.account, "saved": exact(version.created_at)})
        return HttpResponseRedirect(object_url(restored))


def versions(account: Account) -> str:
    """The versions of an account's state for its page, the newest first; each leads to its own page."""
    rows = [
        (object_url(state), moment(state.created_at), _cookies(state.cookies), _origins(state.origins))
        for state in account.states.order_by("-pk").defer("sealed")
    ]
    return format_html_join("", '<div><a class="text-link" href="{}">{}</a>: {}, {}</div>', rows)


def _cookies(number: int) -> str:
    return ngettext("%(number)d cookie", "%(number)d cookies", number) % {"number": number}


def _origins(number: int) -> str:
    return ngettext("%(number)d origin", "%(number)d origins", number) % {"number": number}


def _lines(names: Iterable[str], *, more: bool = False) -> str:
    rows = [(name,) for name in names] + ([("...",)] if more else [])
    return format_html_join("", "<div>{}</div>", rows) or NOTHING
