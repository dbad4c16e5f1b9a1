"""People: users, groups, and their log-ins. Who locks himself out is let in again here."""

# ruff: noqa: ARG002  # the signatures are Django's

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core.admin import Admin, EmptyState, ReadOnlyAdmin, moment
from warmup import audit
from warmup.admin.audited import AuditedMixin, changed_fields
from warmup.admin.confirm import actor

if TYPE_CHECKING:
    UserAdminBase = auth_admin.UserAdmin[User]
    GroupAdminBase = auth_admin.GroupAdmin
else:
    from unfold.admin import ModelAdmin as UnfoldAdmin

    class UserAdminBase(auth_admin.UserAdmin, UnfoldAdmin):
        pass

    class GroupAdminBase(auth_admin.GroupAdmin, UnfoldAdmin):
        pass


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(AuditedMixin, UserAdminBase):
    """Django's page for users. Superusers, and single permissions, are for superusers."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def audit_reason(self, obj: Model, message: Any) -> str:
        """The fields, and what was made of those that say what the user may do."""
        fields = changed_fields(message)
        reason = ", ".join(fields)
        if isinstance(obj, User) and fields:
            groups = ", ".join(obj.groups.order_by("name").values_list("name", flat=True)) or "-"
            marks = [name for name in ("is_active", "is_staff", "is_superuser") if getattr(obj, name)]
            reason += f"; now: groups {groups}; {', '.join(marks) or 'inactive'}"
        return reason


def _may_touch(request: HttpRequest, obj: User | None) -> bool:
    return bool(request.user.is_superuser or obj is None or not obj.is_superuser)


@admin.register(Group)
class GroupAdmin(AuditedMixin, GroupAdminBase):
    """Django's page for groups, in this admin's look."""


@admin.register(AccessAttempt)
class FailedLogInAdmin(Admin):
    """Deleting the failures of a user, or of an address, lets it log in again."""

    list_display = ("username", "ip_address", "failures_since_start", "last")
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "failures_since_start", "attempt_time", "user_agent")
    readonly_fields = fields
    empty_state = EmptyState(
        _("No failed log-ins"), _("Five failures lock for half an hour. Delete them here to unlock sooner.")
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for attempt in queryset:
            audit.record(actor(request), "unlock", f"{attempt.username} from {attempt.ip_address}")
        return super().log_deletions(request, queryset)

    @admin.display(description=_("last failure"), ordering="attempt_time")
    def last(self, attempt: AccessAttempt) -> str:
        return moment(attempt.attempt_time)


@admin.register(AccessLog)
class LogInAdmin(ReadOnlyAdmin):
    """Who logged in, when, and from where."""

    list_display = ("username", "ip_address", "began", "ended")
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "attempt_time", "logout_time", "user_agent")
    readonly_fields = fields
    empty_state = EmptyState(_("No log-ins yet"), _("Each log-in to the admin leaves a line here."))

    @admin.display(description=_("logged in"), ordering="attempt_time")
    def began(self, log_in: AccessLog) -> str:
        return moment(log_in.attempt_time)

    @admin.display(description=_("logged out"), ordering="logout_time")
    def ended(self, log_in: AccessLog) -> str:
        return moment(log_in.logout_time)
