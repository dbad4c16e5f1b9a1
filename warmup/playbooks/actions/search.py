"""`search`: open the search page, ask for something and wait for results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from warmup.playbooks.action import Action, ActionContext, Deadline, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, PathTarget, SelectorTarget, Text
from warmup.playbooks.text import quoted


class SearchStep(ActionStep):
    """Open `target`, put `text` into `box`, press Enter and wait until one of `results` is visible."""

    do: Literal["search"]
    target: PathTarget
    box: SelectorTarget
    text: Text
    results: SelectorTarget


def plan(step: SearchStep, draw: Draw) -> Planned:
    """Draws the text."""
    text = draw.text(step.text)
    args = {"target": step.target, "box": step.box, "text": text, "results": step.results}
    return Planned(f"search {quoted(text)}", args)


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Four calls on the page, within one timeout."""
    url = context.site.url(context.path(args["target"]))
    box, results = context.selector(args["box"]), context.selector(args["results"])
    deadline = Deadline(context.timeout)
    await context.page.goto(url, timeout=deadline.left())
    await context.page.fill(box, args["text"], timeout=deadline.left())
    await context.page.press(box, "Enter", timeout=deadline.left())
    await context.page.wait_visible(results, timeout=deadline.left())
    return ""


ACTION = Action(SearchStep, plan, perform)
