"""Sites: edited by the rules of the load file."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import Admin, EmptyState
from core.models import Site
from warmup.admin.audited import AuditedMixin
from warmup.forms import SiteForm


@admin.register(Site)
class SiteAdmin(AuditedMixin, Admin):
    form = SiteForm
    list_display = ("name", "slug", "base_url", "accounts", "concurrency")
    search_fields = ("name", "slug", "base_url")
    fieldsets = (
        (None, {"fields": ("name", "slug", "base_url", "allowed_hosts", "allow_private_addresses")}),
        (_("What playbooks find there"), {"fields": ("targets",)}),
        (_("Logging in"), {"fields": ("logged_in", "log_in", "challenges")}),
        (_("Limits"), {"fields": ("concurrency", "daily_limits")}),
    )
    empty_state = EmptyState(
        _("No sites yet"), _("Add one here, or load a file that describes it:"), "manage.py warmup load FILE"
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Site]:
        queryset: QuerySet[Site] = super().get_queryset(request)
        return queryset.annotate(number=Count("accounts"))

    @admin.display(description=_("accounts"), ordering="number")
    def accounts(self, site: Site) -> int:
        return site.number  # type: ignore[attr-defined, no-any-return]
