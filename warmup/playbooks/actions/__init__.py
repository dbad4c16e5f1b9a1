"""The actions: one file each, so that a listing of this folder is the list of features.

A file defines `ACTION`; adding a file adds an action. `repeat` is not here, as it does nothing on a page.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, get_args

from warmup.plan import PlanStep
from warmup.playbooks.action import Action, ActionContext

__all__ = ["ACTIONS", "ActionContext", "perform"]


def _collect() -> Mapping[str, Action[Any]]:
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    actions: dict[str, Action[Any]] = {}
    for module in modules:
        (name,) = get_args(module.ACTION.step.model_fields["do"].annotation)
        actions[name] = module.ACTION
    return MappingProxyType(dict(sorted(actions.items())))


# By the name that a step's `do` gives.
ACTIONS = _collect()


async def perform(step: PlanStep, context: ActionContext) -> str:
    """Carry out one step of a plan; returns one line of detail, or an empty string.

    Raises what the page raises: `core.errors.BrowserError`.
    """
    return await ACTIONS[step.do].perform(step.args, context)
