"""Proxies; their credentials are written and never shown."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import Admin, EmptyState
from core.models import Proxy
from warmup.admin.audited import AuditedMixin
from warmup.admin.secret_forms import SecretFormMixin
from warmup.forms import ProxyForm


@admin.register(Proxy)
class ProxyAdmin(SecretFormMixin, AuditedMixin, Admin):
    form = ProxyForm
    list_display = ("name", "server", "accounts")
    search_fields = ("name", "server")
    plain_fields = ("name", "server")
    secret_fields = ("username", "password")
    empty_state = EmptyState(
        _("No proxies yet"),
        _("Accounts go out directly. Add a proxy here, then choose it on the pages of accounts."),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Proxy]:
        queryset: QuerySet[Proxy] = super().get_queryset(request)
        return queryset.annotate(number=Count("accounts"))

    @admin.display(description=_("accounts"), ordering="number")
    def accounts(self, proxy: Proxy) -> int:
        return proxy.number  # type: ignore[attr-defined, no-any-return]
