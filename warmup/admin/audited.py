"""Pages whose changes are recorded in the audit: each row that was added, changed or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.http import HttpRequest

from warmup import audit
from warmup.admin.confirm import actor

if TYPE_CHECKING:
    from core.admin import Admin
else:
    Admin = object


class AuditedMixin(Admin):
    """Stands in front of the page's base. What Django records itself are names of fields, never values."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        audit.record(actor(request), "add", obj, reason=self.audit_reason(obj, message))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        audit.record(actor(request), "change", obj, reason=self.audit_reason(obj, message))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        audit.record_each(actor(request), "delete", queryset)
        return super().log_deletions(request, queryset)

    def audit_reason(self, _obj: models.Model, message: Any) -> str:
        """The fields that were changed."""
        return ", ".join(changed_fields(message))


def changed_fields(message: Any) -> list[str]:
    """The names of the fields in a change message of Django's."""
    parts = message if isinstance(message, list) else []
    return [str(name) for part in parts for name in part.get("changed", {}).get("fields", [])]
