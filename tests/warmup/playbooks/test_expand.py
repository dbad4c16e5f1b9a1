from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.warmup.playbooks.examples import EVERY_ACTION, playbook, playbooks
from warmup.plan import PlanStep
from warmup.playbooks.expand import expand, run_seed, start_delay, worst_case_steps
from warmup.playbooks.fields import DWELL_SLICE_SECONDS
from warmup.playbooks.schema import parse_playbook

seeds = st.integers(0, 2**63 - 1)


def plan_of(*steps: object, seed: int = 7) -> tuple[PlanStep, ...]:
    return expand(parse_playbook(playbook(*steps)), seed)


def labels(plan: tuple[PlanStep, ...]) -> list[str]:
    return [step.label for step in plan]


# ---- fixed values ---------------------------------------------------------------------------------


def test_expand_golden_plan() -> None:
    """These values are a promise: runs that wait in a database have their cursors in such plans."""
    plan = plan_of(*EVERY_ACTION)

    assert labels(plan) == [
        "open feed",
        "scroll -836 px",
        "watch 1.425 s",
        "click like (match 3)",
        "type 'hello' into box",
        "search 'coffee'",
        "visit a random link of card",
        "back",
        "pause 0.5 s",
        "expect card",
        "screenshot end",
        "back",
        "back",
    ]
    assert plan[3] == PlanStep(
        index=3,
        place="steps[3]",
        do="click",
        label="click like (match 3)",
        args={"target": "like", "nth": 2},
        effect="once",
        done=".liked",
        counts_as="like",
    )
    assert plan[6].args == {"target": "card", "choice": 0.748}
    assert plan[9].timeout_seconds == 5
    assert [(step.index, step.place, step.effect) for step in plan[-2:]] == [
        (11, "steps[11].steps[0]", "ask"),
        (12, "steps[11].steps[0]", "ask"),
    ]


def test_run_seed_fixed_values() -> None:
    assert run_seed(7, "reel", "anna") == 5624540774324912640
    assert run_seed(7, "reel", "bob") == 475145332298555177
    assert run_seed(-1, "reel", "\U0001f600") == 774798793328135161


def test_start_delay_fixed_values() -> None:
    assert start_delay(7, 0, 1) == 0.391
    assert start_delay(8, 0, 10) == 7.972
    assert start_delay(8, 2.5, 2.5) == 2.5


# ---- places, repetitions and dwells ---------------------------------------------------------------


def test_expand_nested_repeat_keeps_the_declared_place() -> None:
    inner = {"do": "repeat", "times": 2, "steps": [{"do": "scroll", "pixels": 5}]}
    plan = plan_of({"do": "back"}, {"do": "repeat", "times": 3, "steps": [inner, {"do": "back"}]})

    assert [step.place for step in plan] == [
        "steps[0]",
        *["steps[1].steps[0].steps[0]", "steps[1].steps[0].steps[0]", "steps[1].steps[1]"] * 3,
    ]


def test_expand_repetitions_draw_independently() -> None:
    plan = plan_of(
        {"do": "repeat", "times": 50, "steps": [{"do": "watch", "seconds": {"min": 0, "max": 20}}]}
    )

    assert len({step.dwell_seconds for step in plan}) > 40


def test_expand_long_dwell_is_cut_into_parts() -> None:
    plan = plan_of(
        {"do": "watch", "seconds": 70.5, "counts_as": "view", "effect": "ask", "timeout_seconds": 3}
    )

    assert labels(plan) == ["watch 30 s (1 of 3)", "watch 30 s (2 of 3)", "watch 10.5 s (3 of 3)"]
    assert [step.args for step in plan] == [{"seconds": 30.0}, {"seconds": 30.0}, {"seconds": 10.5}]
    assert [step.dwell_seconds for step in plan] == [30.0, 30.0, 10.5]
    assert [step.counts_as for step in plan] == ["view", None, None]
    assert {(step.place, step.effect, step.timeout_seconds) for step in plan} == {("steps[0]", "ask", 3)}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, ["pause 0 s"]),
        (0.001, ["pause 0.001 s"]),
        (30, ["pause 30 s"]),
        (30.001, ["pause 30 s (1 of 2)", "pause 0.001 s (2 of 2)"]),
        (60, ["pause 30 s (1 of 2)", "pause 30 s (2 of 2)"]),
    ],
)
def test_expand_dwell_at_the_edge_of_a_part(seconds: float, expected: list[str]) -> None:
    assert labels(plan_of({"do": "pause", "seconds": seconds})) == expected


def test_expand_secret_text_shows_nowhere_but_in_the_args() -> None:
    (step,) = plan_of({"do": "type", "target": "box", "text": "hunter2", "secret": True})

    assert step.label == "type a secret into box"
    assert step.args == {"target": "box", "text": "hunter2", "secret": True}
    assert "hunter2" not in repr(step)
    assert json.loads(json.dumps(dict(step.args)))["text"] == "hunter2"


def test_expand_label_is_one_short_line() -> None:
    (step,) = plan_of({"do": "type", "target": "box", "text": "a\nb\u2028" + "x" * 400})

    assert step.label == f"type 'a\\nb\\u2028{'x' * 47}...' into box"


# ---- properties -----------------------------------------------------------------------------------


@given(playbooks, seeds)
def test_expand_same_seed_same_plan(data: dict[str, Any], seed: int) -> None:
    spec = parse_playbook(data)
    again = parse_playbook(json.loads(json.dumps(spec.definition())))

    assert expand(spec, seed) == expand(spec, seed) == expand(again, seed)


@given(playbooks, seeds)
def test_expand_numbers_steps_from_0_within_the_worst_case(data: dict[str, Any], seed: int) -> None:
    spec = parse_playbook(data)

    plan = expand(spec, seed)

    assert [step.index for step in plan] == list(range(len(plan)))
    assert 1 <= len(plan) <= worst_case_steps(spec)
    assert all(step.dwell_seconds <= DWELL_SLICE_SECONDS for step in plan)
    json.dumps([dict(step.args) for step in plan], allow_nan=False)


@given(playbooks, seeds)
def test_expand_editing_a_later_step_leaves_earlier_ones(data: dict[str, Any], seed: int) -> None:
    plan = expand(parse_playbook(data), seed)

    longer = expand(parse_playbook({**data, "steps": [*data["steps"], {"do": "scroll", "pixels": 1}]}), seed)

    assert longer[:-1] == plan


@given(st.integers(1, 50), st.integers(0, 50), seeds)
def test_expand_repeats_within_the_range(low: int, more: int, seed: int) -> None:
    times = {"min": low, "max": low + more}

    plan = plan_of({"do": "repeat", "times": times, "steps": [{"do": "back"}]}, seed=seed)

    assert low <= len(plan) <= low + more


@given(st.floats(0, 3600), st.floats(0, 3600), seeds)
def test_expand_seconds_within_the_range_in_milliseconds(one: float, other: float, seed: int) -> None:
    low, high = sorted((one, other))

    plan = plan_of({"do": "watch", "seconds": {"min": low, "max": high}}, seed=seed)

    total = round(sum(step.dwell_seconds for step in plan), 3)
    assert round(low, 3) <= total <= round(high, 3)
    assert all(step.dwell_seconds == round(step.dwell_seconds, 3) for step in plan)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.sampled_from([1, -1]), seeds)
def test_expand_pixels_within_the_range(one: int, other: int, sign: int, seed: int) -> None:
    low, high = sorted((sign * one, sign * other))

    (step,) = plan_of({"do": "scroll", "pixels": {"min": low, "max": high}}, seed=seed)

    assert low <= step.args["pixels"] <= high


def test_expand_draws_reach_both_ends_and_every_text() -> None:
    steps = [
        {"do": "scroll", "pixels": {"min": 1, "max": 3}},
        {"do": "type", "target": "x", "text": {"one_of": ["a", "b", "c"]}},
    ]

    plan = plan_of({"do": "repeat", "times": 200, "steps": steps})

    drawn = {
        do: [*of] for do, of in groupby(sorted(plan, key=lambda step: step.do), key=lambda step: step.do)
    }
    assert {step.args["pixels"] for step in drawn["scroll"]} == {1, 2, 3}
    assert {step.args["text"] for step in drawn["type"]} == {"a", "b", "c"}


def test_expand_random_visit_draws_a_choice_below_1() -> None:
    steps = [{"do": "visit", "target": "card", "pick": "random"}]

    choices = [step.args["choice"] for step in plan_of({"do": "repeat", "times": 500, "steps": steps})]

    assert all(0 <= choice < 1 and choice == round(choice, 3) for choice in choices)
    assert len(set(choices)) > 150


@given(st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.text(max_size=20))
def test_run_seed_fits_a_database_column(task_seed: int, slug: str, username: str) -> None:
    assert 0 <= run_seed(task_seed, slug, username) < 2**63


def test_run_seed_differs_for_each_part() -> None:
    parts = [(0, "a", "bc"), (0, "ab", "c"), (1, "a", "bc"), (0, 'a", "b', "c")]

    assert len({run_seed(*part) for part in parts}) == len(parts)


@given(seeds, st.floats(0, 3600), st.floats(0, 3600))
def test_start_delay_is_within_its_bounds(seed: int, one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert low <= start_delay(seed, low, high) <= high


@pytest.mark.parametrize(
    ("steps", "most"),
    [
        ([{"do": "back"}], 1),
        ([{"do": "watch", "seconds": {"min": 1, "max": 31}}], 2),
        ([{"do": "pause", "seconds": 3600}], 120),
        ([{"do": "repeat", "times": {"min": 1, "max": 7}, "steps": [{"do": "back"}, {"do": "back"}]}], 14),
    ],
)
def test_worst_case_steps_takes_every_maximum(steps: list[object], most: int) -> None:
    assert worst_case_steps(parse_playbook(playbook(*steps))) == most
