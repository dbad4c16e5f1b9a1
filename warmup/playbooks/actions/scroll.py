"""`scroll`: turn the mouse wheel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, Pixels


class ScrollStep(ActionStep):
    """Scroll down by `pixels`, or up when they are negative."""

    do: Literal["scroll"]
    pixels: Pixels


def plan(step: ScrollStep, draw: Draw) -> Planned:
    """Draws the pixels."""
    pixels = draw.whole(step.pixels)
    return Planned(f"scroll {pixels} px", {"pixels": pixels})


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Turn the wheel."""
    await context.page.wheel(args["pixels"], timeout=context.timeout)
    return ""


ACTION = Action(ScrollStep, plan, perform)
