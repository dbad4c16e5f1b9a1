"""The health of accounts at a glance: columns, filters, and what the runs of one account came to."""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from core.admin import duration, moment
from core.models import Account, SessionState
from warmup.admin.display import BAD, GOOD, WARN, label, list_url, object_url, reason_text, run_badge
from warmup.models import WarmupAccount

if TYPE_CHECKING:
    from core.admin import Admin

    Filter = admin.SimpleListFilter
else:
    Admin = object
    Filter = admin.SimpleListFilter

MANY_FAILURES = 3  # in a row
OLD_DAYS = 7
RUNS_SHOWN = 20


def with_health(accounts: QuerySet[Account]) -> QuerySet[Account]:
    """The accounts with `state_saved_at` and `state_expires_at`, of the newest saved state."""
    newest = SessionState.objects.filter(account=OuterRef("pk")).order_by("-pk")
    return accounts.annotate(
        state_saved_at=Subquery(newest.values("created_at")[:1]),
        state_expires_at=Subquery(newest.values("expires_last")[:1]),
    )


class AccountHealthMixin(Admin):
    """Columns of the list. Ascending, what needs a look comes first: never warmed up, never logged in."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return with_health(super().get_queryset(request))

    @admin.display(description=_("last warm-up"), ordering=F("last_warmup_at").asc(nulls_first=True))
    def warmed_up(self, account: Account) -> str:
        return moment(account.last_warmup_at)

    @admin.display(description=_("last log-in"), ordering=F("last_login_at").asc(nulls_first=True))
    def logged_in(self, account: Account) -> str:
        return moment(account.last_login_at)

    @admin.display(description=_("state saved"), ordering=F("state_saved_at").asc(nulls_first=True))
    def state_age(self, account: Any) -> str:
        if account.state_saved_at is None:
            return label(WARN, _now("none yet"))
        saved = moment(account.state_saved_at)
        if account.state_expires_at is None or account.state_expires_at > timezone.now():
            return saved
        return format_html("{} {}", saved, label(BAD, _now("log-in expired")))

    @admin.display(description=_("failures in a row"), ordering="failures_in_a_row")
    def failures(self, account: Account) -> str:
        number = account.failures_in_a_row
        return label(BAD if number >= MANY_FAILURES else WARN if number else GOOD, number)


# ---- filters --------------------------------------------------------------------------------------


class LastWarmUpFilter(Filter):
    """When accounts were last warmed up."""

    title = _("last warm-up")
    parameter_name = "warmed_up"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("day", _("In the last 24 hours")), ("old", _("More than 7 days ago")), ("never", _("Never"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        now = timezone.now()
        found = {
            "day": Q(last_warmup_at__gte=now - timedelta(days=1)),
            "old": Q(last_warmup_at__lt=now - timedelta(days=OLD_DAYS)),
            "never": Q(last_warmup_at=None),
        }
        return queryset.filter(found.get(self.value() or "", Q()))


class FailuresFilter(Filter):
    """How often in a row the runs of accounts have failed."""

    title = _("failures in a row")
    parameter_name = "failures"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("0", _("None")), ("1", _("1 or more")), ("3", _("3 or more"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        found = {
            "0": Q(failures_in_a_row=0),
            "1": Q(failures_in_a_row__gte=1),
            "3": Q(failures_in_a_row__gte=MANY_FAILURES),
        }
        return queryset.filter(found.get(self.value() or "", Q()))


class SavedStateFilter(Filter):
    """How good the newest saved state of accounts can be."""

    title = _("saved state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("none", _("None yet")), ("old", _("More than 7 days old")), ("expired", _("Log-in expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        now = timezone.now()
        found = {
            "none": Q(state_saved_at=None),
            "old": Q(state_saved_at__lt=now - timedelta(days=OLD_DAYS)),
            "expired": Q(state_expires_at__lte=now),
        }
        return queryset.filter(found.get(self.value() or "", Q()))


# ---- history ----------------------------------------------------------------------------------------


def history(account: Account) -> dict[str, Any]:
    """The latest runs of an account for its page."""
    runs = account.runs.select_related("task__playbook").order_by("-pk")[:RUNS_SHOWN]
    return {
        "history": [_run(run) for run in runs],
        "history_url": list_url("warmupaccount", account__id__exact=account.pk),
    }


def _run(run: WarmupAccount) -> dict[str, Any]:
    took = None
    if run.started_at and run.completed_at:
        took = (run.completed_at - run.started_at).total_seconds()
    return {
        "url": object_url(run),
        "task": run.task,
        "playbook": run.task.playbook,
        "badge": run_badge(run.status),
        "steps": f"{run.cursor} / {run.steps_total}" if run.steps_total else "-",
        "attempt": run.attempt,
        "started": moment(run.started_at),
        "took": duration(took),
        "reason": reason_text(run.status, run.reason),
    }
