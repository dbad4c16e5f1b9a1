"""`type`: put text into a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from warmup.playbooks.action import Action, ActionContext, Planned
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, SelectorTarget, Text
from warmup.playbooks.text import quoted, shown


class TypeStep(ActionStep):
    """Replace the text of the field `target`; a `secret` text is never shown."""

    do: Literal["type"]
    target: SelectorTarget
    text: Annotated[Text, Field(repr=False)]
    secret: bool = False


class SecretText(str):
    """A text that does not show when a plan is printed or logged."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def plan(step: TypeStep, draw: Draw) -> Planned:
    """Draws the text. `args["secret"]` says that `args["text"]` must not be shown."""
    text = draw.text(step.text)
    what = "a secret" if step.secret else quoted(text)
    args = {
        "target": step.target,
        "text": SecretText(text) if step.secret else text,
        "secret": step.secret,
    }
    return Planned(f"type {what} into {shown(step.target)}", args)


async def perform(args: Mapping[str, Any], context: ActionContext) -> str:
    """Fill the field."""
    selector = context.selector(args["target"])
    await context.page.fill(selector, str(args["text"]), secret=args["secret"], timeout=context.timeout)
    return ""


ACTION = Action(TypeStep, plan, perform)
