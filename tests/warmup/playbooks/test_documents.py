from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from tests.warmup.playbooks.examples import json_values
from warmup.playbooks import documents
from warmup.playbooks.documents import read_document

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "source", "data"),
    [
        ('{"a": 1}', "x.json", {"a": 1}),
        ('{"a": 1}', "X.JSON", {"a": 1}),
        ('\ufeff{"a": 1}', "x.json", {"a": 1}),
        ("a: 1", "x.yaml", {"a": 1}),
        ("a: 1", "x.yml", {"a": 1}),
        ("{a: 1}", "x.yml", {"a": 1}),
        (' \n{"a": 1}', "", {"a": 1}),
        ("[1]", "-", [1]),
        ("a: 1", "", {"a": 1}),
        ("", "x.yaml", None),
        ("# nothing", "x.yaml", None),
        ("---\n- [a, {b: ~}]\n...\n", "x.yaml", [["a", {"b": None}]]),
        ("a: 2020-01-01", "x.yaml", {"a": "2020-01-01"}),
        ("a: 'no'\nb: no\nc: 1.5\nd: .inf", "x.yaml", {"a": "no", "b": False, "c": 1.5, "d": float("inf")}),
        ("a: &anchor x\n<<: 1\n=: 2", "x.yaml", {"a": "x", "<<": 1, "=": 2}),
        ("1: x", "x.yaml", {1: "x"}),
    ],
)
def test_read_gives_the_data(text: str, source: str, data: object) -> None:
    assert read_document(text, source=source) == (data, [])


@pytest.mark.parametrize(
    ("text", "source", "line"),
    [
        ('{\n"a": nul}', "x.json", "x.json, line 2, column 6: not valid JSON: expecting value"),
        ('{"a": 1} x', "", "line 1, column 10: not valid JSON: extra data"),
        ("", "x.json", "x.json, line 1, column 1: not valid JSON: expecting value"),
        ('{"a":' * 100_000, "", "not valid JSON: nested too deeply"),
        ("9" * 5000, "x.json", "x.json: not valid JSON: a number is too long"),
        ("a: [1", "x.yaml", "x.yaml, line 2, column 1: not valid YAML: did not find expected ',' or ']'"),
        ("a: b: c", "", "line 1, column 5: not valid YAML: mapping values are not allowed in this context"),
        (f"a: *{SECRET}", "", "line 1, column 4: not valid YAML: aliases are not supported"),
        ("a: &x [1]\nb: *x", "", "line 2, column 4: not valid YAML: aliases are not supported"),
        (f"a: !{SECRET} x", "", "line 1, column 4: not valid YAML: tags are not supported"),
        ("a: !!set {b}", "", "line 1, column 4: not valid YAML: tags are not supported"),
        ("a: !!python/object:os.system [b]", "", "line 1, column 4: not valid YAML: tags are not supported"),
        ("? [a]\n: b", "", "line 1, column 3: not valid YAML: a key must be text"),
        ("a\n--- b", "", "line 2, column 1: not valid YAML: more than one document"),
        ("a: 0x_", "", "line 1, column 4: not valid YAML: a number that cannot be read"),
        ("a:\n  b: x\0", "", "line 2, column 7: not valid YAML: a character that it does not allow"),
        ("a: \ufeff", "", "line 1, column 4: not valid YAML: a character that it does not allow"),
        ("\ud800", "", "line 1, column 1: not valid YAML: a character that it does not allow"),
        ("[" * 100_000, "x.yaml", "x.yaml, line 1, column 102: not valid YAML: nested too deeply"),
    ],
    ids=lambda value: value[:30],
)
def test_read_unreadable_text_names_line_and_column(text: str, source: str, line: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document(text, source=source)

    assert caught.value.faults == (line,)


@pytest.mark.parametrize(
    "text",
    [
        f"password: *{SECRET}",
        f"password: &{SECRET}",
        f"password: !{SECRET}",
        f"password: !<{SECRET} x",
        f'password: "\\{SECRET}"',
        f'password: "{SECRET}',
        f"password: %{SECRET}",
        f"password: @{SECRET}: x",
        f"password: {SECRET}: x",
        f"password: [{SECRET}",
        f'{{"password": {SECRET}}}',
        f'{{"password": "\\{SECRET}"}}',
        f"%{SECRET} x\n---\n",
    ],
)
@pytest.mark.parametrize("base", [yaml.SafeLoader, yaml.CSafeLoader])
def test_read_error_shows_no_secret(text: str, base: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_Loader", base)

    try:
        read_document(text)
    except InvalidInput as error:
        message = str(error)
        cause = error.__cause__
    else:
        message, cause = "", None

    assert SECRET not in message
    assert cause is None


def test_read_quoted_piece_of_the_problem_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_text: str) -> None:
        raise yaml.MarkedYAMLError(problem=f"found '{SECRET}' and \"{SECRET}\" before ':'")

    monkeypatch.setattr(documents, "_YamlBuilder", fail)

    with pytest.raises(InvalidInput) as caught:
        read_document("a: 1")

    assert caught.value.faults == ("not valid YAML: found ... and ... before ':'",)


@pytest.mark.parametrize(
    ("text", "data", "faults"),
    [
        (
            '{"a": 1, "b": [{"c": 1, "c": 2, "c": 3}], "a": {"d": 1, "d": {"e": 1}}}',
            {"a": {"d": {"e": 1}}, "b": [{"c": 3}]},
            ["a: duplicate key", "a.d: duplicate key", "b[0].c: duplicate key"],
        ),
        (
            "a: 1\nb:\n  - c: 1\n    c: 2\na:\n  d: 1\n  'd': 2\n",
            {"a": {"d": 2}, "b": [{"c": 2}]},
            ["b[0].c: duplicate key", "a: duplicate key", "a.d: duplicate key"],
        ),
        ("1: x\n1: y", {1: "y"}, ["1: duplicate key"]),
    ],
)
def test_read_duplicate_keys_are_faults_and_the_last_counts(
    text: str, data: object, faults: list[str]
) -> None:
    assert read_document(text) == (data, faults)


def test_read_duplicate_far_down_is_left_to_the_check_of_the_depth() -> None:
    text = "[" * 150 + '{"a": 1, "a": 2}' + "]" * 150

    data, faults = read_document(text)

    assert faults == []
    assert json.dumps(data).startswith("[[[")


@given(json_values)
def test_read_json_gives_back_what_was_written(data: object) -> None:
    text = json.dumps({"x": data})

    read, faults = read_document(text)

    assert json.dumps(read) == text
    assert faults == []


@given(st.text() | st.text("ab:-[]{}&*!|>'\"%@#?, \n\t01"), st.sampled_from(["x.json", "x.yaml", ""]))
def test_read_any_text_gives_data_or_one_line(text: str, source: str) -> None:
    faults: tuple[str, ...] = ("one line",)

    try:
        read_document(text, source=source)
    except InvalidInput as error:
        faults = error.faults

    assert len(faults) == 1
    assert len(faults[0].splitlines()) == 1
