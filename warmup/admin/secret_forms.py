"""Pages of rows that have a secret: it is written, never shown, and kept out of error reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from core.permissions import may_use_secrets
from warmup.forms import AccountForm, ProxyForm

if TYPE_CHECKING:
    from core.admin import Admin
else:
    Admin = object


class SecretFormMixin(Admin):
    """Shows the secret fields of its form to those who may change the row and use the secrets of accounts.

    For others the form has no such fields: what they post of them counts for nothing.
    """

    plain_fields: tuple[str, ...]
    secret_fields: tuple[str, ...]
    kept_fields: tuple[str, ...] = ()  # read only, once the row exists

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets: list[tuple[Any, dict[str, Any]]] = [
            (None, {"fields": (*self.plain_fields, *(self.kept_fields if obj else ()))})
        ]
        if not may_use_secrets(request.user):
            return fieldsets
        if obj is None and self.has_add_permission(request):
            fieldsets.append((_("Secrets"), {"fields": self.secret_fields}))
        elif obj is not None and self.has_change_permission(request, obj):
            fieldsets.append((_("Secrets"), {"fields": (*self.secret_fields, "forget")}))
        return fieldsets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if not may_use_secrets(request.user):
            for name in (*self.secret_fields, "forget"):
                form.base_fields.pop(name, None)
        return form

    @method_decorator(sensitive_post_parameters("username", "password"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: AccountForm | ProxyForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        form.save_secret(obj)
