"""`screenshot`: keep a picture of the page among the run's artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, Name
from warmup.playbooks.text import shown


class ScreenshotStep(ActionStep):
    """Keep what is to be seen as `name`."""

    do: Literal["screenshot"]
    name: Name


def plan(step: ScreenshotStep, _draw: Draw) -> Planned:
    """Nothing is drawn."""
    return Planned(f"screenshot {shown(step.name)}", {"name": step.name})


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Take the picture and hand it over."""
    png = await context.page.screenshot(timeout=context.timeout)
    await context.keep_screenshot(args["name"], png)
    return ""


ACTION = Action(ScreenshotStep, plan, perform)
