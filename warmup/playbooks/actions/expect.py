"""`expect`: go on only when an element is visible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, SelectorTarget
from warmup.playbooks.text import shown


class ExpectStep(ActionStep):
    """Wait until a match of `target` is visible; the run fails when none is by the timeout."""

    do: Literal["expect"]
    target: SelectorTarget


def plan(step: ExpectStep, _draw: Draw) -> Planned:
    """Nothing is drawn."""
    return Planned(f"expect {shown(step.target)}", {"target": step.target})


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Wait; raises `ElementMissing`."""
    await context.page.wait_visible(context.selector(args["target"]), timeout=context.timeout)
    return ""


ACTION = Action(ExpectStep, plan, perform)
