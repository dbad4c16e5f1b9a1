"""`click`: click an element. Done once only, unless the step says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from warmup.plan import Effect
from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import MAX_NTH, ActionStep, SelectorTarget
from warmup.playbooks.text import shown


class ClickStep(ActionStep):
    """Click the `nth` (0-based) visible match of `target`."""

    do: Literal["click"]
    target: SelectorTarget
    nth: Annotated[int, Field(ge=0, le=MAX_NTH)] = 0
    effect: Effect = "once"


def plan(step: ClickStep, _draw: Draw) -> Planned:
    """Nothing is drawn."""
    which = f" (match {step.nth + 1})" if step.nth else ""
    return Planned(f"click {shown(step.target)}{which}", {"target": step.target, "nth": step.nth})


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Click it."""
    selector = context.selector(args["target"])
    await context.page.click(selector, nth=args["nth"], timeout=context.timeout)
    return ""


ACTION = Action(ClickStep, plan, perform)
