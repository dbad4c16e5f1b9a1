"""`open`: go to the path of a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, PathTarget
from warmup.playbooks.text import shown


class OpenStep(ActionStep):
    """Open the path of `target`."""

    do: Literal["open"]
    target: PathTarget


def plan(step: OpenStep, _draw: Draw) -> Planned:
    """Nothing is drawn."""
    return Planned(f"open {shown(step.target)}", {"target": step.target})


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Navigate, and wait for the DOM."""
    url = context.site.url(context.path(args["target"]))
    await context.page.goto(url, timeout=context.timeout)
    return ""


ACTION = Action(OpenStep, plan, perform)
