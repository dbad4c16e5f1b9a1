from __future__ import annotations

import pytest

from core.types import Target
from tests.warmup.playbooks.examples import EVERY_ACTION, playbook
from tests.warmup.playbooks.recording import SITE
from warmup.playbooks.schema import parse_playbook
from warmup.playbooks.targets import target_faults, targets_used


def test_targets_used_in_the_order_of_the_steps() -> None:
    nested = {"do": "repeat", "times": 1, "steps": [{"do": "back"}, {"do": "click", "target": "like"}]}
    spec = parse_playbook(playbook(*EVERY_ACTION[:-1], nested))

    assert targets_used(spec) == [
        ("steps[0].target", "feed", "path"),
        ("steps[3].target", "like", "selector"),
        ("steps[4].target", "box", "selector"),
        ("steps[5].target", "search", "path"),
        ("steps[5].box", "box", "selector"),
        ("steps[5].results", "results", "selector"),
        ("steps[6].target", "card", "selector"),
        ("steps[9].target", "card", "selector"),
        ("steps[11].steps[1].target", "like", "selector"),
    ]


def test_target_faults_none_when_the_site_has_all() -> None:
    assert target_faults(parse_playbook(playbook(*EVERY_ACTION)), SITE.targets) == []


@pytest.mark.parametrize(
    ("site", "lines"),
    [
        (
            "",
            [
                "steps[0].target: target 'card' has no path",
                "steps[1].steps[0].target: site has no target 'lik' (did you mean 'like'?)",
                "steps[2].target: site has no target 'zzz'",
            ],
        ),
        (
            "reel",
            [
                "steps[0].target: target 'card' of site 'reel' has no path",
                "steps[1].steps[0].target: site 'reel' has no target 'lik' (did you mean 'like'?)",
                "steps[2].target: site 'reel' has no target 'zzz'",
            ],
        ),
    ],
)
def test_target_faults_one_line_for_each_lack(site: str, lines: list[str]) -> None:
    spec = parse_playbook(
        playbook(
            {"do": "open", "target": "card"},
            {"do": "repeat", "times": 1, "steps": [{"do": "click", "target": "lik"}]},
            {"do": "visit", "target": "zzz"},
        )
    )

    assert target_faults(spec, SITE.targets, site=site) == lines


def test_target_faults_selector_missing() -> None:
    spec = parse_playbook(playbook({"do": "click", "target": "feed"}))

    assert target_faults(spec, {"feed": Target("feed", path="/feed")}) == [
        "steps[0].target: target 'feed' has no selector"
    ]
