"""`visit`: follow one of the links that a target matches, if it stays on the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from core.errors import ElementMissing
from warmup.playbooks.action import Action, ActionContext, Deadline, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, SelectorTarget
from warmup.playbooks.hosts import host_of, is_allowed
from warmup.playbooks.text import quoted, shown


class VisitStep(ActionStep):
    """Follow the first, or a random one, of the links that `target` matches."""

    do: Literal["visit"]
    target: SelectorTarget
    pick: Literal["first", "random"] = "first"


def plan(step: VisitStep, draw: Draw) -> Planned:
    """Draws `choice`, from 0 up to 1: how many links there are is known on the page only."""
    if step.pick == "first":
        return Planned(
            f"visit the first link of {shown(step.target)}", {"target": step.target, "choice": 0.0}
        )
    args = {"target": step.target, "choice": draw.fraction()}
    return Planned(f"visit a random link of {shown(step.target)}", args)


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Go to the chosen link; raises `ElementMissing` when no link stays on the site."""
    deadline = Deadline(context.timeout)
    found = await context.page.links(context.selector(args["target"]), timeout=deadline.left())
    links = [link for link in found if is_allowed(host_of(link) or "", context.site.allowed_hosts)]
    if not links:
        raise ElementMissing(f"no link of target {quoted(args['target'])} stays on the site")
    index = int(args["choice"] * len(links))
    await context.page.goto(links[index], timeout=deadline.left())
    # The path alone: a query may hold a token.
    return f"link {index + 1} of {len(links)}: {shown(urlsplit(links[index]).path)}"


ACTION = Action(VisitStep, plan, perform)
