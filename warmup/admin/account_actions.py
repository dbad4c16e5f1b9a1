"""What the list of accounts can do to chosen ones, or to all that its filter leaves, besides "Warm up..."."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import IntegrityError
from django.db.models import ProtectedError, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from core.errors import IllegalTransition
from core.models import Account
from warmup import accounts
from warmup.admin.confirm import CONFIRMED, actor, page
from warmup.admin.display import list_url
from warmup.admin.verbs import accounts_text
from warmup.forms import ProxyChoiceForm

if TYPE_CHECKING:
    from core.admin import Admin
else:
    Admin = object


class AccountActionsMixin(Admin):
    """Each asks first, on a page that posts the same choice again."""

    def get_actions(self, request: HttpRequest) -> Any:
        actions: Any = super().get_actions(request)
        # Django's own lists every account on its page, and posts them all back.
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description=_("Assign a proxy..."), permissions=["change"])
    def assign_proxy(self, request: HttpRequest, chosen: QuerySet[Account]) -> HttpResponse | None:
        """From their next turn on they go out through it."""
        form = ProxyChoiceForm(request.POST if CONFIRMED in request.POST else None)
        if form.is_valid():
            count = accounts.assign_proxy(chosen, proxy=form.chosen(), by=actor(request))
            text = _now("Assigned; this changed %(accounts)s.") % {"accounts": accounts_text(count)}
            messages.success(request, text)
            return None  # back to the list
        context = {"form": form, "accounts": accounts_text(chosen.count())}
        return page(self, request, "warmup/admin/assign_proxy.html", _("Assign a proxy"), context)

    @admin.action(description=_("Delete..."), permissions=["delete"])
    def delete_chosen(self, request: HttpRequest, chosen: QuerySet[Account]) -> HttpResponse | None:
        """All of them, or none while one has runs."""
        if CONFIRMED in request.POST:
            try:
                count = accounts.delete(chosen, by=actor(request))
            except (IllegalTransition, ProtectedError, IntegrityError):
                pass  # a run was made meanwhile: the page says so
            else:
                messages.success(request, _now("Deleted %(accounts)s.") % {"accounts": accounts_text(count)})
                return None
        context = {
            "accounts": accounts_text(chosen.count()),
            "used": accounts.in_use(chosen),
            "tasks_url": list_url("warmuptask"),
        }
        return page(self, request, "warmup/admin/delete_accounts.html", _("Delete accounts"), context)
