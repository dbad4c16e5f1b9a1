"""`back`: go one entry back in the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep


class BackStep(ActionStep):
    """Go back, or stay where there is nothing to go back to."""

    do: Literal["back"]


def plan(_step: BackStep, _draw: Draw) -> Planned:
    """Nothing is drawn."""
    return Planned("back")


async def perform(_args: Mapping[str, Any], context: ActionContext) -> str:
    """Go back."""
    await context.page.back(timeout=context.timeout)
    return ""


ACTION = Action(BackStep, plan, perform)
