"""Which targets a playbook uses, and what a site lacks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from core.types import Target
from warmup.playbooks.fields import Need, Needs
from warmup.playbooks.schema import PlaybookSpec, RepeatStep, Step
from warmup.playbooks.text import hint, quoted


def targets_used(spec: PlaybookSpec) -> list[tuple[str, str, Need]]:
    """Place, name and need (`path` or `selector`) of every target, in the order of the steps."""
    return list(_used(spec.steps, "steps"))


def target_faults(spec: PlaybookSpec, targets: Mapping[str, Target], *, site: str = "") -> list[str]:
    """One line for every target that a site with `targets` lacks; `site` is the slug to name in them."""
    name_of_site = f"site {quoted(site)}" if site else "site"
    of_site = f" of site {quoted(site)}" if site else ""
    faults = []
    for place, name, need in targets_used(spec):
        target = targets.get(name)
        if target is None:
            faults.append(f"{place}: {name_of_site} has no target {quoted(name)}{hint(name, targets)}")
        elif not getattr(target, need):
            faults.append(f"{place}: target {quoted(name)}{of_site} has no {need}")
    return faults


def _used(steps: Sequence[Step], place: str) -> Iterator[tuple[str, str, Need]]:
    for number, step in enumerate(steps):
        if isinstance(step, RepeatStep):
            yield from _used(step.steps, f"{place}[{number}].steps")
            continue
        for name, field in type(step).model_fields.items():
            for mark in field.metadata:
                if isinstance(mark, Needs):
                    yield f"{place}[{number}].{name}", getattr(step, name), mark.what
