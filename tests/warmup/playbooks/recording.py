"""A page that records the calls of an action and answers them from memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.page import PageEvent
from core.types import SiteSpec, StorageState, Target

SITE = SiteSpec(
    slug="reel",
    base_url="http://reel.test",
    allowed_hosts=("reel.test", "*.cdn.test"),
    targets={
        "feed": Target("feed", path="/feed"),
        "card": Target("card", selector=".card"),
        "like": Target("like", selector=".like"),
        "search": Target("search", path="/search"),
        "box": Target("box", selector="#q"),
        "results": Target("results", selector=".hit"),
    },
)


@dataclass
class RecordingPage:
    """Keeps each call as a name, its arguments and its timeout."""

    found_links: list[str] = field(default_factory=list)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    url: str = "about:blank"
    navigations: int = 0
    events: list[PageEvent] = field(default_factory=list)

    def _record(self, timeout: float, *call: Any) -> None:
        self.calls.append(call)
        self.timeouts.append(timeout)

    async def goto(self, url: str, *, timeout: float) -> None:
        self._record(timeout, "goto", url)

    async def back(self, *, timeout: float) -> None:
        self._record(timeout, "back")

    async def click(self, selector: str, *, nth: int = 0, timeout: float) -> None:
        self._record(timeout, "click", selector, nth)

    async def fill(self, selector: str, text: str, *, secret: bool = False, timeout: float) -> None:
        assert type(text) is str
        self._record(timeout, "fill", selector, text, secret)

    async def press(self, selector: str, key: str, *, timeout: float) -> None:
        self._record(timeout, "press", selector, key)

    async def wheel(self, pixels: int, *, timeout: float) -> None:
        self._record(timeout, "wheel", pixels)

    # What no action may ask of a page: looking and saving are the runner's (`warmup.gate`, `warmup.runner`).

    async def is_visible(self, selector: str, *, timeout: float) -> bool:
        raise AssertionError("no action looks whether something is visible")

    async def wait_visible(self, selector: str, *, timeout: float) -> None:
        self._record(timeout, "wait_visible", selector)

    async def links(self, selector: str, *, timeout: float) -> list[str]:
        self._record(timeout, "links", selector)
        return self.found_links

    async def dwell(self, seconds: float) -> None:
        self.calls.append(("dwell", seconds))

    async def screenshot(self, *, timeout: float) -> bytes:
        self._record(timeout, "screenshot")
        return b"PNG"

    async def html(self, *, timeout: float) -> str:
        raise AssertionError("no action takes the page's HTML")

    async def storage_state(self, *, timeout: float) -> StorageState:
        raise AssertionError("no action takes the storage state")
