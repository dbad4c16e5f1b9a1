"""Schedules: what they start by the rules of a load file's tasks, and when by those of the timetable."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from core.errors import InvalidInput
from warmup.forms.fields import ModelForm, add_faults, check_entry
from warmup.forms.task import PLACES, newest_playbooks
from warmup.loadfile import TaskEntry
from warmup.models import Playbook, WarmupSchedule
from warmup.playbooks.targets import target_faults

WHAT = (
    "site",
    "playbook",
    "newest_playbook",
    "all_accounts",
    "accounts",
    "concurrency",
    "delay_min_seconds",
    "delay_max_seconds",
)
WHEN = ("rhythm", "cron", "interval_minutes", "time_zone", "jitter_minutes")
WHAT_IF = ("overlap", "catch_up_minutes")
CANARY = ("canary_accounts", "canary_percent")
NAMES_SHOWN = 5


class ScheduleForm(ModelForm):
    """A schedule; what is wrong stands under its field."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        initial="UTC",
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
        widget=UnfoldAdminSelectWidget,
        help_text=_("Whose wall clock the cron expression means."),
    )

    class Meta:
        model = WarmupSchedule
        fields = ("name", *WHAT, *WHEN, *WHAT_IF, *CANARY)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields.get("playbook")
        if field is not None:  # a page leaves the fields out for those who may only look
            kept = Q(pk__in=newest_playbooks().values("pk")) | Q(pk=self.instance.playbook_id)
            field.queryset = Playbook.objects.filter(kept)

    def clean_cron(self) -> str:
        return " ".join(self.cleaned_data["cron"].split())

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        self._check_task(data)
        self._check_rhythm(data)
        self._check_accounts(data)
        return data

    def _check_task(self, data: dict[str, Any]) -> None:
        known = {name: data[name] for name in ("name", "concurrency") if name in data}
        delay = {"min": data.get("delay_min_seconds", 0), "max": data.get("delay_max_seconds", 3600)}
        entry = {"playbook": "any", "site": "any", "accounts": "all", "delay_seconds": delay, **known}
        check_entry(self, TaskEntry, entry, PLACES, whole="schedule")
        playbook, site = data.get("playbook"), data.get("site")
        if playbook and site:
            for fault in target_faults(playbook.spec(), site.target_map()):
                self.add_error("playbook", fault)

    def _check_rhythm(self, data: dict[str, Any]) -> None:
        interval = data.get("rhythm") == WarmupSchedule.Rhythm.INTERVAL
        if interval and data.get("interval_minutes", 0) is None:
            self.add_error("interval_minutes", _("How often?"))
        if interval or not {"rhythm", "cron", "time_zone"} <= set(data):
            return
        schedule = WarmupSchedule(cron=data["cron"], time_zone=data["time_zone"])
        try:
            schedule.timetable()
        except InvalidInput as error:
            add_faults(self, error.faults, {"cron": "cron", "time_zone": "time_zone"})

    def _check_accounts(self, data: dict[str, Any]) -> None:
        accounts, site = data.get("accounts"), data.get("site")
        if data.get("all_accounts") or accounts is None:
            return
        if not accounts.exists():
            self.add_error("accounts", _("Choose accounts, or all accounts."))
        elif site and (others := list(accounts.exclude(site=site)[:NAMES_SHOWN])):
            names = ", ".join(str(account) for account in others)
            text = _("Not accounts of site %(site)s: %(names)s.")
            self.add_error("accounts", text % {"site": site, "names": names})
