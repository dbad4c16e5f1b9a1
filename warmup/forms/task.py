"""Making a task of chosen accounts, and what a verb asks besides "really?"."""

from __future__ import annotations

import random
from typing import Any

from django import forms
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from core.errors import InvalidInput
from core.models import Account, Site
from warmup import creating
from warmup.audit import Actor
from warmup.forms.fields import ModelForm, add_faults, check_entry
from warmup.loadfile import TaskEntry
from warmup.models import Playbook, WarmupTask
from warmup.playbooks.targets import target_faults

# Where a load file names what the form's fields are about.
PLACES = {
    "name": "name",
    "concurrency": "concurrency",
    "seed": "seed",
    "delay_seconds": "delay_max_seconds",
    "delay_seconds.min": "delay_min_seconds",
}


def newest_playbooks() -> QuerySet[Playbook]:
    """The newest version of each playbook."""
    newest = Playbook.objects.filter(name=OuterRef("name")).order_by("-version").values("pk")[:1]
    return Playbook.objects.filter(pk=Subquery(newest)).order_by("name")


class WarmUpForm(ModelForm):
    """A task for chosen accounts of one site."""

    class Meta:
        model = WarmupTask
        fields = ("playbook", "name", "concurrency", "delay_min_seconds", "delay_max_seconds", "seed")
        labels = {
            "delay_min_seconds": _("Shortest delay (s)"),
            "delay_max_seconds": _("Longest delay (s)"),
        }
        widgets = {
            "playbook": UnfoldAdminSelectWidget,
            "name": UnfoldAdminTextInputWidget,
            "concurrency": UnfoldAdminIntegerFieldWidget(attrs={"min": 1}),
            "delay_min_seconds": UnfoldAdminDecimalFieldWidget(attrs={"min": 0, "step": "any"}),
            "delay_max_seconds": UnfoldAdminDecimalFieldWidget(attrs={"min": 0, "step": "any"}),
            "seed": UnfoldAdminIntegerFieldWidget,
        }

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, **{"prefix": "task", **kwargs})
        self.site = site
        playbook: Any = self.fields["playbook"]
        playbook.queryset = newest_playbooks()
        playbook.empty_label = None
        self.initial.setdefault("seed", random.randrange(1, 1_000_000))
        self.initial.setdefault(
            "name", _now("Warm-up %(time)s") % {"time": f"{timezone.localtime():%Y-%m-%d %H:%M:%S}"}
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        known = {name: data[name] for name in ("name", "concurrency", "seed") if name in data}
        delay = {"min": data.get("delay_min_seconds", 0), "max": data.get("delay_max_seconds", 3600)}
        entry = {"playbook": "any", "site": "any", "accounts": "all", "delay_seconds": delay, **known}
        check_entry(self, TaskEntry, entry, PLACES, whole="task")
        if playbook := data.get("playbook"):
            for fault in target_faults(playbook.spec(), self.site.target_map()):
                self.add_error("playbook", fault)
        return data

    def create_and_start(self, accounts: QuerySet[Account], *, by: Actor) -> tuple[WarmupTask, int] | None:
        """The started task and how many accounts it has; None when it cannot be: the errors say why."""
        definition = creating.Definition(site=self.site, **self.cleaned_data)
        try:
            return creating.create_and_start(definition, accounts=accounts, by=by)
        except InvalidInput as error:
            add_faults(self, error.faults, PLACES)
        return None


class VerbForm(BaseDialogForm):  # type: ignore[misc]  # unfold has no types
    """What a verb asks besides "really?"."""

    def __init__(self, *, request: HttpRequest, task: WarmupTask, verb: str, data: Any = None) -> None:
        super().__init__(request=request, object_id=task.pk, data=data)
        latest = Playbook.objects.filter(name=task.playbook.name).order_by("-version").first()
        if verb == "restart_all" and task.is_final and latest and latest != task.playbook:
            label = _("Use version %(version)d of the playbook instead of version %(old)d")
            self.fields["latest_playbook"] = forms.BooleanField(
                label=str(label) % {"version": latest.version, "old": task.playbook.version},
                required=False,
                widget=UnfoldBooleanWidget,
            )
