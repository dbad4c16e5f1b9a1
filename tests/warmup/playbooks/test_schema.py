from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given

from core.errors import InvalidInput
from tests.warmup.playbooks.examples import EVERY_ACTION, json_values, playbook, playbooks
from warmup.playbooks.actions import ACTIONS
from warmup.playbooks.fields import ActionStep, StrictModel
from warmup.playbooks.schema import RepeatStep, parse_playbook


def test_parse_every_action_is_accepted() -> None:
    spec = parse_playbook(playbook(*EVERY_ACTION))

    assert spec.name == "browse"
    assert [step.do for step in spec.steps] == [step["do"] for step in EVERY_ACTION]
    assert {step["do"] for step in EVERY_ACTION} == {*ACTIONS, "repeat"}


def test_parse_does_not_change_its_input() -> None:
    data = playbook(*EVERY_ACTION)
    before = copy.deepcopy(data)

    parse_playbook(data)

    assert data == before


@pytest.mark.parametrize("do", sorted(ACTIONS))
def test_effect_default_is_once_for_click_alone(do: str) -> None:
    (data,) = [step for step in EVERY_ACTION if step["do"] == do]

    (step,) = parse_playbook(playbook(data)).steps

    assert isinstance(step, ActionStep)
    assert step.effect == ("once" if do == "click" else "repeatable")


@pytest.mark.parametrize(
    "step",
    [
        {"do": "watch", "seconds": 0},
        {"do": "watch", "seconds": 3600},
        {"do": "pause", "seconds": {"min": 0, "max": 3600}},
        {"do": "scroll", "pixels": 100_000},
        {"do": "scroll", "pixels": {"min": -100_000, "max": -1}},
        {"do": "type", "target": "x" * 100, "text": "x" * 500},
        {"do": "type", "target": "x", "text": ""},
        {"do": "type", "target": "x", "text": {"one_of": ["x"] * 100}},
        {"do": "back", "timeout_seconds": 120},
        {"do": "back", "timeout_seconds": None, "done": None, "counts_as": None},
        {"do": "repeat", "times": 1000, "steps": [{"do": "back"}, {"do": "back"}]},
    ],
    ids=lambda step: json.dumps(step)[:60],
)
def test_parse_value_at_its_bound_is_accepted(step: dict[str, Any]) -> None:
    assert parse_playbook(playbook(step)).definition()["steps"][0]["do"] == step["do"]


def test_parse_repeat_nested_four_deep_is_accepted() -> None:
    step: dict[str, Any] = {"do": "back"}
    for _ in range(4):
        step = {"do": "repeat", "times": 1, "steps": [step]}

    spec = parse_playbook(playbook(step))

    assert isinstance(spec.steps[0], RepeatStep)


def test_parse_200_declared_steps_are_accepted() -> None:
    assert len(parse_playbook(playbook(*[{"do": "back"}] * 200)).steps) == 200


def test_definition_leaves_out_defaults_and_says_the_same_in_one_way() -> None:
    spec = parse_playbook(
        {
            "steps": [
                {"timeout_seconds": 5.0, "nth": 0, "effect": "once", "target": "like", "do": "click"},
                {"do": "watch", "seconds": {"max": 2.0, "min": 2}, "effect": "repeatable"},
                {"do": "pause", "seconds": {"max": 2.5, "min": 0.0}},
                {
                    "steps": [{"do": "click", "target": "x", "effect": "repeatable"}],
                    "times": 3,
                    "do": "repeat",
                },
                {"do": "type", "target": "x", "text": {"one_of": ["tea"]}, "secret": False},
                {"do": "type", "target": "x", "text": {"one_of": ["tea", "tea"]}},
            ],
            "name": "browse",
        }
    )

    assert json.dumps(spec.definition()) == json.dumps(
        {
            "name": "browse",
            "steps": [
                {"do": "click", "target": "like", "timeout_seconds": 5},
                {"do": "watch", "seconds": 2},
                {"do": "pause", "seconds": {"min": 0, "max": 2.5}},
                {
                    "do": "repeat",
                    "times": 3,
                    "steps": [{"do": "click", "target": "x", "effect": "repeatable"}],
                },
                {"do": "type", "target": "x", "text": "tea"},
                {"do": "type", "target": "x", "text": {"one_of": ["tea", "tea"]}},
            ],
        }
    )


def test_digest_is_that_of_the_meaning() -> None:
    spelled_out = parse_playbook(playbook({"do": "watch", "seconds": {"min": 2, "max": 2.0}}))
    short = parse_playbook(playbook({"seconds": 2, "do": "watch", "effect": "repeatable"}))
    other = parse_playbook(playbook({"do": "watch", "seconds": 2.001}))

    assert spelled_out.digest() == short.digest()
    assert short.digest() == "b914016cc5bae8418db6e3c7940af25ec3a091bbd1d651b6871bb88daf27aa5f"
    assert other.digest() != short.digest()


@given(playbooks)
def test_definition_read_again_is_the_same(data: dict[str, Any]) -> None:
    spec = parse_playbook(data)

    again = parse_playbook(json.loads(json.dumps(spec.definition())))

    assert again.definition() == spec.definition()
    assert again.digest() == spec.digest()


def test_secret_text_is_not_in_the_repr() -> None:
    spec = parse_playbook(playbook({"do": "type", "target": "box", "text": "hunter2", "secret": True}))

    assert "hunter2" not in repr(spec)


def test_spec_is_frozen() -> None:
    spec = parse_playbook(playbook({"do": "back"}))

    with pytest.raises(ValueError, match="frozen"):
        spec.name = "other"


def test_no_field_is_named_like_an_action() -> None:
    """Else the place of a fault could not be told from the branch of the union."""
    models: list[type[StrictModel]] = [RepeatStep, *(action.step for action in ACTIONS.values())]

    fields = {name for model in models for name in model.model_fields}

    assert not fields & {*ACTIONS, "repeat"}


@given(json_values)
def test_parse_any_json_gives_a_spec_or_plain_faults(data: object) -> None:
    faults: tuple[str, ...] = ()

    try:
        parse_playbook(data, place="playbooks[0]")
    except InvalidInput as error:
        faults = error.faults or ("no fault",)

    for line in faults:
        assert line.startswith("playbooks[0]")
        assert len(line.splitlines()) == 1
        assert not any(word in line for word in ("function-", "tagged-union", "Input should", "is not valid"))
