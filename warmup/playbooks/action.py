"""What an action is made of: a step's model, its plan, and what it does on a page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from core.errors import ElementMissing
from core.page import Page
from core.types import SiteSpec
from warmup.playbooks.draw import Draw
from warmup.playbooks.fields import ActionStep, Args, Need
from warmup.playbooks.text import quoted

S = TypeVar("S", bound=ActionStep)


@dataclass(frozen=True, slots=True)
class Planned:
    """A concrete step: its arguments, one line for a person, and the seconds that it lasts by intention."""

    label: str
    args: Args = field(default_factory=dict)
    dwell_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ActionContext:
    """What an action has to work with.

    `timeout` is how many seconds the step may take, its dwell aside. `keep_screenshot` gets a name and
    a PNG; it may get the same name again, from a step that is repeated.
    """

    page: Page
    site: SiteSpec
    timeout: float
    keep_screenshot: Callable[[str, bytes], Awaitable[None]]

    def path(self, target: str) -> str:
        """The path of a target; raises `ElementMissing` when the site defines none."""
        return self._part(target, "path")

    def selector(self, target: str) -> str:
        """The selector of a target; raises `ElementMissing` when the site defines none."""
        return self._part(target, "selector")

    def _part(self, name: str, need: Need) -> str:
        # A site may have been edited since the task was made.
        part: str | None = getattr(self.site.targets.get(name), need, None)
        if not part:
            raise ElementMissing(f"site {quoted(self.site.slug)} has no {need} for target {quoted(name)}")
        return part


class Deadline:
    """What is left of a step's timeout, for an action that makes several calls."""

    def __init__(self, timeout: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + timeout

    def left(self) -> float:
        """Seconds, always more than 0: Playwright reads 0 as "for ever"."""
        return max(self._end - self._clock(), 0.001)


@dataclass(frozen=True, slots=True)
class Action(Generic[S]):
    """One entry of the registry.

    `plan` is pure: whatever it chooses, it draws. `perform` chooses nothing, returns one line for the
    run's log or an empty string, and raises only what the page raises (`core.errors.BrowserError`).
    """

    step: type[S]
    plan: Callable[[S, Draw], Planned]
    perform: Callable[[Mapping[str, Any], ActionContext], Awaitable[str]]
