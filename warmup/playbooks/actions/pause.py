"""`pause`: let some time pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import DwellStep
from warmup.playbooks.text import plain


class PauseStep(DwellStep):
    """Wait for `seconds`, between two actions."""

    do: Literal["pause"]


def plan(step: PauseStep, draw: Draw) -> Planned:
    """Draws the seconds."""
    seconds = draw.number(step.seconds)
    return Planned(f"pause {plain(seconds)} s", {"seconds": seconds}, seconds)


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Let the page live."""
    await context.page.dwell(args["seconds"])
    return ""


ACTION = Action(PauseStep, plan, perform)
