from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from tests.warmup.playbooks.examples import playbook
from warmup.playbooks.schema import parse_playbook

ACTIONS = "back, click, expect, open, pause, repeat, screenshot, scroll, search, type, visit, watch"
NUMBER = 'must be a number or a range {"min", "max"}'
WHOLE = 'must be a whole number or a range {"min", "max"}'
TEXT = 'must be text or {"one_of": [...]}'
UNCLEAN = "must not hold NUL or a lone surrogate"


def click(**more: object) -> dict[str, Any]:
    return {"do": "click", "target": "like", **more}


def repeat(*steps: object, times: object = 1) -> dict[str, Any]:
    return {"do": "repeat", "times": times, "steps": list(steps)}


BACK = {"do": "back"}

# A step, and the only fault of a playbook that holds nothing else.
STEPS: list[tuple[object, str]] = [
    ({"do": "scrol"}, f"steps[0].do: unknown action 'scrol' (one of: {ACTIONS}; did you mean 'scroll'?)"),
    ({"do": "zzz"}, f"steps[0].do: unknown action 'zzz' (one of: {ACTIONS})"),
    ({"do": "x" * 99}, f"steps[0].do: unknown action '{'x' * 57}...' (one of: {ACTIONS})"),
    ({"do": "a\nb"}, f"steps[0].do: unknown action 'a\\nb' (one of: {ACTIONS})"),
    ({}, "steps[0].do: missing"),
    ({"do": 5}, "steps[0].do: must be text, not a number"),
    ({"do": ["back"]}, "steps[0].do: must be text, not a list"),
    ("back", "steps[0]: must be an object, not text"),
    (None, "steps[0]: must be an object, not null"),
    ({"do": "open"}, "steps[0].target: missing"),
    ({"do": "open", "target": ""}, "steps[0].target: must not be empty"),
    ({"do": "open", "target": "  "}, "steps[0].target: must not be empty"),
    ({"do": "open", "target": "x" * 101}, "steps[0].target: must be at most 100 characters long"),
    ({"do": "open", "target": "a\tb"}, "steps[0].target: must be one line without control characters"),
    ({"do": "open", "target": 7}, "steps[0].target: must be text, not a number (put it in quotes)"),
    ({"do": "open", "target": True}, "steps[0].target: must be text, not true or false (put it in quotes)"),
    ({"do": "open", "target": {}}, "steps[0].target: must be text, not an object"),
    ({"do": "open", "target": "\ud800"}, f"steps[0].target: {UNCLEAN}"),
    ({"do": "open", "target": "a\0b"}, f"steps[0].target: {UNCLEAN}"),
    ({**BACK, "x": 1}, "steps[0].x: unknown key"),
    ({**BACK, "": 1}, "steps[0]['']: unknown key"),
    ({**BACK, "a b": 1}, "steps[0]['a b']: unknown key"),
    ({**BACK, "[key]": 1}, "steps[0]['[key]']: unknown key"),
    ({**BACK, "back": 1}, "steps[0].back: unknown key"),
    ({**BACK, "efect": "once"}, "steps[0].efect: unknown key (did you mean 'effect'?)"),
    ({**BACK, "\ud800": 1}, "steps[0]['\\ud800']: a key must be text without NUL or a lone surrogate"),
    ({"do": "back", 5: 1}, "steps[0].5: a key must be text without NUL or a lone surrogate"),
    ({**BACK, "effect": "twice"}, "steps[0].effect: must be 'repeatable', 'once' or 'ask'"),
    (
        {**BACK, "effect": "Once"},
        "steps[0].effect: must be 'repeatable', 'once' or 'ask' (did you mean 'once'?)",
    ),
    ({**BACK, "effect": 1}, "steps[0].effect: must be 'repeatable', 'once' or 'ask'"),
    ({**BACK, "done": ""}, "steps[0].done: must not be empty"),
    ({**BACK, "done": "x" * 501}, "steps[0].done: must be at most 500 characters long"),
    ({**BACK, "counts_as": "x" * 51}, "steps[0].counts_as: must be at most 50 characters long"),
    ({**BACK, "timeout_seconds": 0}, "steps[0].timeout_seconds: must be more than 0"),
    ({**BACK, "timeout_seconds": 120.5}, "steps[0].timeout_seconds: must be at most 120"),
    ({**BACK, "timeout_seconds": "5"}, "steps[0].timeout_seconds: must be a number, not text"),
    ({**BACK, "timeout_seconds": float("nan")}, "steps[0].timeout_seconds: must be a finite number"),
    ({"do": "scroll", "pixels": 0}, "steps[0].pixels: must not be 0"),
    ({"do": "scroll", "pixels": 100_001}, "steps[0].pixels: must be at most 100000"),
    ({"do": "scroll", "pixels": -100_001}, "steps[0].pixels: must be at least -100000"),
    ({"do": "scroll", "pixels": 10**5000}, "steps[0].pixels: must be at most 100000"),
    ({"do": "scroll", "pixels": 1.5}, f"steps[0].pixels: {WHOLE}, not a decimal number"),
    ({"do": "scroll", "pixels": True}, f"steps[0].pixels: {WHOLE}, not true or false"),
    ({"do": "scroll", "pixels": "900"}, f"steps[0].pixels: {WHOLE}, not text"),
    ({"do": "scroll", "pixels": {"min": -1, "max": 1}}, "steps[0].pixels: the range must not include 0"),
    ({"do": "scroll", "pixels": {"min": 0, "max": 1}}, "steps[0].pixels.min: must not be 0"),
    ({"do": "scroll", "pixels": {"min": 2, "max": 1}}, "steps[0].pixels: min 2 is greater than max 1"),
    (
        {"do": "scroll", "pixels": {"min": 2, "max": 2.5}},
        "steps[0].pixels.max: must be a whole number, not a decimal number",
    ),
    ({"do": "watch", "seconds": -1}, "steps[0].seconds: must be at least 0"),
    ({"do": "watch", "seconds": 3600.5}, "steps[0].seconds: must be at most 3600"),
    ({"do": "watch", "seconds": float("inf")}, "steps[0].seconds: must be a finite number"),
    ({"do": "watch", "seconds": "4"}, f"steps[0].seconds: {NUMBER}, not text"),
    ({"do": "watch", "seconds": None}, f"steps[0].seconds: {NUMBER}, not null"),
    ({"do": "watch", "seconds": [1, 2]}, f"steps[0].seconds: {NUMBER}, not a list"),
    ({"do": "pause", "seconds": {"min": 1}}, "steps[0].seconds.max: missing"),
    (
        {"do": "pause", "seconds": {"min": 1.5, "max": 0.25}},
        "steps[0].seconds: min 1.5 is greater than max 0.25",
    ),
    (
        {"do": "pause", "seconds": {"min": 1, "max": 2, "mx": 3}},
        "steps[0].seconds.mx: unknown key (did you mean 'max'?)",
    ),
    (click(nth=-1), "steps[0].nth: must be at least 0"),
    (click(nth=1001), "steps[0].nth: must be at most 1000"),
    (click(nth=0.0), "steps[0].nth: must be a whole number, not a decimal number"),
    ({"do": "type", "target": "x", "text": 5}, f"steps[0].text: {TEXT}, not a number (put it in quotes)"),
    ({"do": "type", "target": "x", "text": "x" * 501}, "steps[0].text: must be at most 500 characters long"),
    ({"do": "type", "target": "x", "text": "\udfff"}, f"steps[0].text: {UNCLEAN}"),
    ({"do": "type", "target": "x", "text": "\0"}, f"steps[0].text: {UNCLEAN}"),
    ({"do": "type", "target": "x", "text": {"one_of": []}}, "steps[0].text.one_of: must not be empty"),
    (
        {"do": "type", "target": "x", "text": {"one_of": ["x"] * 101}},
        "steps[0].text.one_of: must have at most 100 items, not 101",
    ),
    (
        {"do": "type", "target": "x", "text": {"one_of": ["x", 5]}},
        "steps[0].text.one_of[1]: must be text, not a number (put it in quotes)",
    ),
    (
        {"do": "type", "target": "x", "text": {"one_of": "x"}},
        "steps[0].text.one_of: must be a list, not text",
    ),
    (
        {"do": "type", "target": "x", "text": "x", "secret": "yes"},
        "steps[0].secret: must be true or false, not text",
    ),
    ({"do": "search", "target": "s", "box": "b", "text": "t"}, "steps[0].results: missing"),
    ({"do": "visit", "target": "x", "pick": "last"}, "steps[0].pick: must be 'first' or 'random'"),
    ({"do": "screenshot"}, "steps[0].name: missing"),
    (repeat(BACK, times=0), "steps[0].times: must be at least 1"),
    (repeat(BACK, times=1001), "steps[0].times: must be at most 1000"),
    (repeat(BACK, times={"min": 3, "max": 2}), "steps[0].times: min 3 is greater than max 2"),
    (repeat(), "steps[0].steps: must not be empty"),
    ({"do": "repeat", "times": 1}, "steps[0].steps: missing"),
    ({"do": "repeat", "times": 1, "steps": BACK}, "steps[0].steps: must be a list, not an object"),
    ({**repeat(BACK), "effect": "once"}, "steps[0].effect: unknown key"),
    (
        repeat(BACK, {"do": "watch", "seconds": {"min": 9, "max": 4}}),
        "steps[0].steps[1].seconds: min 9 is greater than max 4",
    ),
    (repeat(repeat({"do": "open"})), "steps[0].steps[0].steps[0].target: missing"),
    (
        repeat(repeat(repeat(repeat(BACK, repeat("?"))))),
        "steps[0].steps[0].steps[0].steps[0].steps[1]: repeat is nested 5 deep, at most 4",
    ),
    (repeat(BACK, BACK, BACK, times=667), "steps: up to 2001 concrete steps, at most 2000"),
    (repeat({"do": "watch", "seconds": 3600}, times=17), "steps: up to 2040 concrete steps, at most 2000"),
    (repeat(*[BACK] * 200), "steps: 201 steps are declared, at most 200"),
]

WHOLES: list[tuple[object, str]] = [
    ([], "playbook: must be an object, not a list"),
    (None, "playbook: must be an object, not null"),
    ("x", "playbook: must be an object, not text"),
    (object(), "playbook: must be an object, not something else"),
    ({"name": "x"}, "steps: missing"),
    ({"name": "x", "steps": []}, "steps: must not be empty"),
    ({"name": "x", "steps": None}, "steps: must be a list, not null"),
    ({"steps": [BACK]}, "name: missing"),
    ({"name": "x" * 101, "steps": [BACK]}, "name: must be at most 100 characters long"),
    ({"name": "x", "steps": [BACK], "stepz": 1}, "stepz: unknown key (did you mean 'steps'?)"),
    ({"name": "x", "steps": [BACK], "z" * 101: 1}, f"{'z' * 57}...: unknown key"),
    ({"name": "x", "steps": [BACK] * 201}, "steps: 201 steps are declared, at most 200"),
]


def faults_of(data: object, place: str = "") -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        parse_playbook(data, place=place)
    return caught.value.faults


@pytest.mark.parametrize(("step", "line"), STEPS, ids=[line[:70] for _, line in STEPS])
def test_parse_faulty_step_is_one_line(step: object, line: str) -> None:
    assert faults_of(playbook(step)) == (line,)


@pytest.mark.parametrize(("data", "line"), WHOLES, ids=[line[:70] for _, line in WHOLES])
def test_parse_faulty_playbook_is_one_line(data: object, line: str) -> None:
    assert faults_of(data) == (line,)


def test_parse_reports_every_fault_together() -> None:
    steps = [(step, line) for step, line in STEPS if not line.startswith("steps:")]
    expected = [line.replace("steps[0]", f"steps[{index}]", 1) for index, (_, line) in enumerate(steps)]

    found = faults_of(playbook(*(step for step, _ in steps)))

    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ([], "playbooks[3]: must be an object, not a list"),
        ({"name": "x"}, "playbooks[3].steps: missing"),
        (playbook({"do": "open"}), "playbooks[3].steps[0].target: missing"),
        (playbook(BACK, nam=1), "playbooks[3].nam: unknown key (did you mean 'name'?)"),
        (playbook(*[BACK] * 201), "playbooks[3].steps: 201 steps are declared, at most 200"),
        (
            playbook(repeat(*[BACK] * 3, times=700)),
            "playbooks[3].steps: up to 2100 concrete steps, at most 2000",
        ),
    ],
)
def test_parse_place_stands_before_every_place(data: object, line: str) -> None:
    assert faults_of(data, "playbooks[3]") == (line,)


def test_parse_data_nested_without_end_is_a_fault() -> None:
    data: list[Any] = []
    data.append(data)

    (line,) = faults_of({"name": "x", "steps": [BACK], "x": data})[:1]

    assert line.endswith(": nested too deeply (at most 100 levels)")
