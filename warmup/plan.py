"""A run's plan: the concrete steps that `playbooks.expand` makes, as the runner walks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# What repeating a step means. `repeatable`: nothing (a scroll). `once`: it must not happen twice (a
# like). `ask`: like `once`, but a doubt is always settled by a person.
Effect = Literal["repeatable", "once", "ask"]


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One concrete step. `index` is its 0-based position in the plan: the run's cursor counts these."""

    index: int
    place: str  # where the playbook declares it: "steps[1].steps[0]"
    do: str  # the action's name
    label: str  # one line for a person: "scroll 900 px"
    args: Mapping[str, Any] = field(default_factory=dict)  # concrete JSON values, as the action planned them
    effect: Effect = "repeatable"
    done: str | None = None  # CSS selector that is visible once a `once` step has happened
    counts_as: str | None = None  # the daily limit that it uses up
    timeout_seconds: float | None = None  # None: the setting's
    dwell_seconds: float = 0.0  # how long it lasts by intention, on top of which the timeout counts


Plan = tuple[PlanStep, ...]
