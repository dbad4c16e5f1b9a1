"""A playbook's steps as a person reads them: what is done first, then how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from warmup.models import Playbook
from warmup.playbooks.text import plain

# Keys that name what the step is about: they stand behind the action without their own name.
MAIN = ("target", "text", "name", "times", "seconds", "pixels")
UNITS = {"seconds": "s", "timeout_seconds": "s", "pixels": "px", "times": "x"}


@dataclass(frozen=True, slots=True)
class ReadableStep:
    """One declared step; `repeat` has further ones."""

    do: str
    main: str
    details: str
    steps: tuple[ReadableStep, ...] = ()


def readable(steps: Sequence[dict[str, Any]]) -> tuple[ReadableStep, ...]:
    """The steps of a definition, in order."""
    return tuple(_readable(step) for step in steps)


def _readable(step: dict[str, Any]) -> ReadableStep:
    rest = {key: value for key, value in step.items() if key not in {"do", "steps"}}
    main = [_value(key, rest.pop(key)) for key in MAIN if key in rest]
    details = [
        f"{key.removesuffix('_seconds').replace('_', ' ')}: {_value(key, value)}"
        for key, value in rest.items()
    ]
    return ReadableStep(
        do=step["do"],
        main=", ".join(main),
        details=", ".join(details),
        steps=readable(step.get("steps", ())),
    )


def _value(key: str, value: Any) -> str:
    """`3 to 6 x`, `900 px`, `tea or coffee`."""
    unit = f" {UNITS[key]}" if key in UNITS else ""
    if isinstance(value, dict) and "min" in value:
        span = _("%(min)s to %(max)s") % {"min": plain(value["min"]), "max": plain(value["max"])}
        return f"{span}{unit}"
    if isinstance(value, dict) and "one_of" in value:
        return str(_(" or ")).join(f"“{text}”" for text in value["one_of"])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{plain(value)}{unit}"
    return f"“{value}”" if key == "text" else str(value)


def steps_html(playbook: Playbook) -> SafeString:
    """The steps of a playbook as a nested list."""
    return render_to_string(
        "warmup/admin/parts/steps.html", {"steps": readable(playbook.definition.get("steps", []))}
    )
