"""Data as text in a form, and the faults of a load file's entry under the fields that they are about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from pydantic import BaseModel, ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from core.errors import InvalidInput
from warmup.playbooks.documents import read_document
from warmup.playbooks.faults import cleaned_keys, faults_of

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    ModelForm = forms.ModelForm

E = TypeVar("E", bound=BaseModel)


class DocumentField(forms.CharField):
    """JSON (or YAML) as text; its value is the data, or `empty` when there is none."""

    def __init__(self, *, empty: Any = None, rows: int = 8, **kwargs: Any) -> None:
        self.empty = empty
        widget = UnfoldAdminTextareaWidget(
            attrs={"rows": rows, "class": "wu-document", "spellcheck": "false"}
        )
        super().__init__(widget=widget, strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Data as indented JSON; what a person typed as it is."""
        if isinstance(value, str):
            return value
        return "" if value in (None, {}, []) else json.dumps(value, indent=2, ensure_ascii=False)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except forms.ValidationError:
            return True

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return self.empty
        try:
            data, faults = read_document(text)
        except InvalidInput as error:
            raise forms.ValidationError(list(error.faults)) from None
        if faults:
            raise forms.ValidationError(faults)
        return data


def add_faults(form: forms.BaseForm, faults: Iterable[str], fields: Mapping[str, str]) -> None:
    """Put each fault under the field that its place begins with; the others above the form."""
    for fault in faults:
        place = fault.partition(":")[0]
        found = [
            field
            for start, field in fields.items()
            if place == start or place.startswith((f"{start}.", f"{start}["))
        ]
        form.add_error(found[-1] if found else None, fault)


def check_entry(
    form: forms.BaseForm, model: type[E], data: Mapping[str, Any], fields: Mapping[str, str], *, whole: str
) -> E | None:
    """One entry of a load file made of a form's data; None when its faults are among the form's errors."""
    faults: list[str] = []
    cleaned = cleaned_keys(dict(data), place="", faults=faults)
    try:
        entry = model.model_validate(cleaned)
    except ValidationError as error:
        faults += faults_of(error, model, place="", whole=whole)
    # What a field of the form found by itself is said already.
    add_faults(form, [fault for fault in faults if fault.partition(":")[0] not in form.errors], fields)
    return None if form.errors else entry
