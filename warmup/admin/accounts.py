"""Accounts: their pages, and "Warm up...", which makes a task of the chosen ones and starts it."""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from core.admin import Admin, EmptyState
from core.models import Account, SessionState, Site
from warmup.admin.account_actions import AccountActionsMixin
from warmup.admin.account_health import (
    AccountHealthMixin,
    FailuresFilter,
    LastWarmUpFilter,
    SavedStateFilter,
    history,
)
from warmup.admin.audited import AuditedMixin
from warmup.admin.confirm import CONFIRMED, actor, page
from warmup.admin.display import list_url, object_url
from warmup.admin.secret_forms import SecretFormMixin
from warmup.admin.session_states import versions
from warmup.admin.transfer import AccountTransferMixin
from warmup.admin.verbs import accounts_text
from warmup.forms import AccountForm, WarmUpForm, newest_playbooks
from warmup.models import DailyCount


@admin.register(Account)
class AccountAdmin(
    SecretFormMixin, AuditedMixin, AccountTransferMixin, AccountActionsMixin, AccountHealthMixin, Admin
):
    form = AccountForm
    list_display = (
        "username",
        "site",
        "enabled",
        "proxy",
        "warmed_up",
        "logged_in",
        "state_age",
        "failures",
    )
    list_select_related = ("site", "proxy")
    list_filter = ("site", "enabled", "proxy", LastWarmUpFilter, FailuresFilter, SavedStateFilter)
    search_fields = ("username", "site__name", "site__slug")
    actions = ("warm_up", "assign_proxy", "delete_chosen")
    change_form_outer_after_template = "warmup/admin/account_history.html"
    plain_fields = ("site", "username", "proxy", "enabled")
    secret_fields = ("password",)
    kept_fields = ("warmed_up", "logged_in", "failures_in_a_row", "saved_state", "runs")
    owned = (SessionState, DailyCount)
    empty_state = EmptyState(
        _("No accounts yet"),
        _("Add one here, import a file, or load one that has sites and playbooks too:"),
        "manage.py warmup load FILE",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> tuple[str, ...]:
        """An account stays on its site: its state and its history belong there."""
        return ("site", *self.kept_fields) if obj else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The account, and below it what its runs came to, for those who may see runs."""
        context = dict(extra_context or {})
        account = self.get_object(request, object_id)
        if account is not None and request.user.has_perm("warmup.view_warmupaccount"):
            context |= history(account)
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description=_("saved states"))
    def saved_state(self, account: Account) -> str:
        return versions(account) or _now("none yet")

    @admin.display(description=_("runs"))
    def runs(self, account: Account) -> str:
        url = list_url("warmupaccount", account__id__exact=account.pk)
        return format_html('<a class="text-link" href="{}">{}</a>', url, account.runs.count())

    # ---- Warm up... ----

    def has_warm_up_permission(self, request: HttpRequest) -> bool:
        """Whether the user may make and start tasks."""
        return bool(request.user.has_perm("warmup.add_warmuptask"))

    @admin.action(description=_("Warm up..."), permissions=["warm_up"])
    def warm_up(self, request: HttpRequest, chosen: QuerySet[Account]) -> HttpResponse | None:
        """Asks how, then makes and starts the task."""
        sites = _sites_of(chosen)
        problem = _problem(sites)
        if problem:
            messages.error(request, problem)
            return None  # back to the list
        ((site, number, enabled),) = sites
        form = WarmUpForm(data=request.POST if CONFIRMED in request.POST else None, site=site)
        if form.is_bound and form.is_valid():
            made = form.create_and_start(chosen, by=actor(request))
            if made:
                task, count = made
                text = _now("Warming up %(accounts)s:") % {"accounts": accounts_text(count)}
                link = format_html('{} <a class="text-link" href="{}">{}</a>', text, object_url(task), task)
                messages.success(request, link)
                return HttpResponseRedirect(object_url(task))
        context = {
            "form": form,
            "site": site,
            "number": number,
            "enabled": enabled,
            "left_out": number - enabled,
        }
        return page(self, request, "warmup/admin/warm_up.html", _("Warm up"), context)


def _sites_of(accounts: QuerySet[Account]) -> list[tuple[Site, int, int]]:
    """The sites of these accounts, with how many there are and how many of them are enabled."""
    rows = (
        accounts.order_by()
        .values("site_id")
        .annotate(number=Count("pk"), usable=Count("pk", filter=Q(enabled=True)))
        .values_list("site_id", "number", "usable")
    )
    numbers = {site_id: (number, usable) for site_id, number, usable in rows}
    return [(site, *numbers[site.pk]) for site in Site.objects.filter(pk__in=numbers)]


def _problem(sites: list[tuple[Site, int, int]]) -> str:
    """Why these accounts cannot be warmed up together; empty when they can."""
    if len(sites) > 1:
        names = ", ".join(str(site) for site, _number, _usable in sites)
        text = _now(
            "A task is for accounts of one site, and these are of several (%(sites)s): filter by site first."
        )
        return text % {"sites": names}
    if not sites or not sites[0][2]:
        return _now("None of the chosen accounts is enabled: there is nothing to warm up.")
    if not newest_playbooks().exists():
        return _now("There is no playbook yet: add one first.")
    return ""
