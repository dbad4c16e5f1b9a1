"""The sidebar: what an operator comes for first, what the machine does for itself last."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

# Group, then: title, icon, model.
GROUPS = (
    (
        _("Warm-ups"),
        (
            (_("Tasks"), "local_fire_department", "warmup.WarmupTask"),
            (_("Runs"), "directions_run", "warmup.WarmupAccount"),
            (_("Schedules"), "event_repeat", "warmup.WarmupSchedule"),
            (_("Playbooks"), "menu_book", "warmup.Playbook"),
        ),
    ),
    (
        _("Who and where"),
        (
            (_("Accounts"), "group", "core.Account"),
            (_("Sites"), "language", "core.Site"),
            (_("Proxies"), "vpn_lock", "core.Proxy"),
            (_("Saved states"), "cookie", "core.SessionState"),
        ),
    ),
    (
        _("What happened"),
        (
            (_("Log"), "receipt_long", "warmup.LogLine"),
            (_("Firings"), "alarm_on", "warmup.ScheduleFiring"),
            (_("Artifacts"), "photo_library", "warmup.Artifact"),
            (_("Daily counts"), "speed", "warmup.DailyCount"),
            (_("Audit"), "history_edu", "warmup.AuditEntry"),
        ),
    ),
    (
        _("Queue (read only)"),
        (
            (_("Clusters"), "monitor_heart", "warmup.ClusterPulse"),
            (_("Waiting"), "queue", "django_q.OrmQ"),
            (_("Done"), "task_alt", "django_q.Success"),
            (_("Failed"), "error", "django_q.Failure"),
            (_("Schedules"), "schedule", "django_q.Schedule"),
        ),
    ),
    (
        _("People"),
        (
            (_("Users"), "person", "auth.User"),
            (_("Groups"), "groups", "auth.Group"),
            (_("Log-ins"), "login", "axes.AccessLog"),
            (_("Failed log-ins"), "gpp_bad", "axes.AccessAttempt"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's navigation, with what the user may see."""
    pages = {model._meta.label: page for model, page in admin.site._registry.items()}
    groups: list[dict[str, Any]] = []
    for title, items in GROUPS:
        entries = []
        for name, icon, label in items:
            page = pages.get(label)
            if page is not None and page.has_view_or_change_permission(request):
                url = reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")
                entries.append({"title": name, "icon": icon, "link": url})
        if entries:
            groups.append({"title": title, "separator": bool(groups), "items": entries})
    return groups
