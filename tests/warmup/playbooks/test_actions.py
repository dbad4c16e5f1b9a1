from __future__ import annotations

import pkgutil
from dataclasses import replace
from typing import Any

import pytest

from core.errors import ElementMissing
from core.page import Page
from core.types import Target
from tests.warmup.playbooks.examples import EVERY_ACTION, playbook
from tests.warmup.playbooks.recording import SITE, RecordingPage
from warmup.plan import PlanStep
from warmup.playbooks import actions
from warmup.playbooks.action import Deadline
from warmup.playbooks.actions import ACTIONS, ActionContext, perform
from warmup.playbooks.expand import expand
from warmup.playbooks.schema import parse_playbook

TIMEOUT = 12.5


def step_of(**data: object) -> PlanStep:
    (step,) = expand(parse_playbook(playbook(data)), 7)
    return step


class Bench:
    """A page, the screenshots that were kept, and the context that holds both."""

    def __init__(self, *links: str, **targets: Target) -> None:
        self.page = RecordingPage(found_links=list(links))
        self.kept: list[tuple[str, bytes]] = []
        site = replace(SITE, targets={**SITE.targets, **targets})
        page: Page = self.page
        self.context = ActionContext(page, site, TIMEOUT, self._keep)

    async def _keep(self, name: str, png: bytes) -> None:
        self.kept.append((name, png))


def test_registry_is_the_folder() -> None:
    files = {found.name for found in pkgutil.iter_modules(actions.__path__)}

    assert {name.removesuffix("_text") for name in files} == set(ACTIONS)
    assert list(ACTIONS) == sorted(ACTIONS)


@pytest.mark.parametrize(
    ("data", "label", "calls"),
    [
        ({"do": "open", "target": "feed"}, "open feed", [("goto", "http://reel.test/feed")]),
        ({"do": "scroll", "pixels": 900}, "scroll 900 px", [("wheel", 900)]),
        ({"do": "scroll", "pixels": -5}, "scroll -5 px", [("wheel", -5)]),
        ({"do": "watch", "seconds": 2.4}, "watch 2.4 s", [("dwell", 2.4)]),
        ({"do": "pause", "seconds": 3}, "pause 3 s", [("dwell", 3.0)]),
        ({"do": "click", "target": "like"}, "click like", [("click", ".like", 0)]),
        ({"do": "click", "target": "like", "nth": 1}, "click like (match 2)", [("click", ".like", 1)]),
        ({"do": "type", "target": "box", "text": "hi"}, "type 'hi' into box", [("fill", "#q", "hi", False)]),
        (
            {"do": "type", "target": "box", "text": "hunter2", "secret": True},
            "type a secret into box",
            [("fill", "#q", "hunter2", True)],
        ),
        (
            {"do": "search", "target": "search", "box": "box", "text": "tea", "results": "results"},
            "search 'tea'",
            [
                ("goto", "http://reel.test/search"),
                ("fill", "#q", "tea", False),
                ("press", "#q", "Enter"),
                ("wait_visible", ".hit"),
            ],
        ),
        ({"do": "back"}, "back", [("back",)]),
        ({"do": "expect", "target": "card"}, "expect card", [("wait_visible", ".card")]),
        ({"do": "screenshot", "name": "end"}, "screenshot end", [("screenshot",)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_perform_makes_its_calls(
    data: dict[str, Any], label: str, calls: list[tuple[Any, ...]]
) -> None:
    bench = Bench()
    step = step_of(**data)

    detail = await perform(step, bench.context)

    assert step.label == label
    assert bench.page.calls == calls
    assert all(0 < timeout <= TIMEOUT for timeout in bench.page.timeouts)
    assert detail == ""


async def test_perform_screenshot_hands_the_picture_over() -> None:
    bench = Bench()

    await perform(step_of(do="screenshot", name="end"), bench.context)

    assert bench.kept == [("end", b"PNG")]


@pytest.mark.parametrize(
    ("choice", "expected"), [(0.0, "/a"), (0.333, "/a"), (0.334, "/b"), (0.667, "/c"), (0.999, "/c")]
)
async def test_perform_visit_follows_the_chosen_link(choice: float, expected: str) -> None:
    bench = Bench("http://reel.test/a", "http://reel.test/b?token=x", "http://reel.test/c")
    step = replace(step_of(do="visit", target="card"), args={"target": "card", "choice": choice})

    detail = await perform(step, bench.context)

    assert bench.page.calls[0] == ("links", ".card")
    assert bench.page.calls[1][1].startswith(f"http://reel.test{expected}")
    assert detail == f"link {'abc'.index(expected[1]) + 1} of 3: {expected}"


async def test_perform_visit_first_leaves_out_what_is_not_of_the_site() -> None:
    bench = Bench(
        "http://elsewhere.test/",
        "http://cdn.test/",
        "http://[half",
        "ftp://reel.test/",
        "HTTP://A.CDN.test:81/x",
    )
    step = step_of(do="visit", target="card")

    detail = await perform(step, bench.context)

    assert step.label == "visit the first link of card"
    assert bench.page.calls == [("links", ".card"), ("goto", "HTTP://A.CDN.test:81/x")]
    assert detail == "link 1 of 1: /x"


@pytest.mark.parametrize("links", [[], ["http://elsewhere.test/"]])
async def test_perform_visit_without_a_link_of_the_site_raises(links: list[str]) -> None:
    bench = Bench(*links)
    step = step_of(do="visit", target="card", pick="random")

    assert step.label == "visit a random link of card"
    with pytest.raises(ElementMissing, match="no link of target 'card' stays on the site"):
        await perform(step, bench.context)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"do": "open", "target": "gone"}, "site 'reel' has no path for target 'gone'"),
        ({"do": "open", "target": "card"}, "site 'reel' has no path for target 'card'"),
        ({"do": "click", "target": "feed"}, "site 'reel' has no selector for target 'feed'"),
        ({"do": "click", "target": "empty"}, "site 'reel' has no selector for target 'empty'"),
    ],
)
async def test_perform_target_that_the_site_lost_raises(data: dict[str, Any], message: str) -> None:
    bench = Bench(empty=Target("empty", selector=""))

    with pytest.raises(ElementMissing, match=message):
        await perform(step_of(**data), bench.context)

    assert bench.page.calls == []


async def test_perform_step_with_unknown_targets_calls_nothing_on_the_page() -> None:
    bench = Bench()
    step = step_of(do="search", target="search", box="box", text="tea", results="gone")

    with pytest.raises(ElementMissing):
        await perform(step, bench.context)

    assert bench.page.calls == []


async def test_perform_calls_of_one_step_share_its_timeout() -> None:
    bench = Bench()

    await perform(
        step_of(do="search", target="search", box="box", text="tea", results="results"), bench.context
    )

    assert bench.page.timeouts == sorted(bench.page.timeouts, reverse=True)


async def test_deadline_that_is_over_leaves_more_than_nothing() -> None:
    assert Deadline(-1).left() == 0.001


def test_plan_every_action_has_args_for_its_perform() -> None:
    for data in EVERY_ACTION[:-1]:
        assert set(step_of(**data).args) <= {*data, "nth", "secret", "choice"} - {"do", "done", "counts_as"}
