"""New versions of playbooks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from warmup.forms.fields import DocumentField, ModelForm, add_faults
from warmup.models import Playbook
from warmup.models.playbook import RE_ENTER
from warmup.playbooks.schema import PlaybookSpec, check_playbook
from warmup.playbooks.secret_texts import missing


class PlaybookForm(ModelForm):
    """A new version of a playbook; a fault stands under its field, with its place."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("A name that exists gets a new version; the others stay as they are."),
    )
    steps = DocumentField(
        label=_("Steps"),
        rows=20,
        help_text=_(
            'A list in JSON or YAML: [{"do": "open", "target": "feed"}, {"do": "scroll", "pixels": 900}]'
        ),
    )

    class Meta:
        model = Playbook
        fields = ("name",)

    spec: PlaybookSpec

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "name" in data and "steps" in data:
            spec, faults = check_playbook({"name": data["name"], "steps": data["steps"]})
            if spec is not None:
                faults = [f"{place}: {RE_ENTER}" for place in missing(spec.definition())]
            add_faults(self, faults, {"name": "name", "steps": "steps"})
            if spec is not None:
                self.spec = spec
        return data
