"""The examples of docs/playbooks.md are right."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.warmup.playbooks.examples import playbook
from warmup.playbooks.actions import ACTIONS
from warmup.playbooks.schema import parse_playbook

GUIDE = (Path(__file__).parents[3] / "docs" / "playbooks.md").read_text()


def test_guide_playbook_is_valid() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)

    assert parse_playbook(json.loads(text)).name == "browse"


def test_guide_has_a_valid_example_of_every_action() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\{.*?\})` \|", GUIDE, re.MULTILINE)
    steps = [json.loads(example.replace("[...]", '[{"do": "back"}]')) for _, example in rows]

    spec = parse_playbook(playbook(*steps))

    assert [step.do for step in spec.steps] == [name for name, _ in rows]
    assert {name for name, _ in rows} == {*ACTIONS, "repeat"}
