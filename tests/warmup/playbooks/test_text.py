from __future__ import annotations

import pytest

from warmup.playbooks.text import did_you_mean, hint, plain, quoted, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tea", "tea"),
        ("", ""),
        ("a\nb\tc\0", "a\\nb\\tc\\x00"),
        ("\ud800", "\\ud800"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("caf\u00e9 \u8336 \U0001f600", "caf\u00e9 \u8336 \U0001f600"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 57 + "..."),
        ("\x01" * 15, "\\x01" * 15),
        ("\x01" * 16, "\\x01" * 14 + "\\..."),
    ],
)
def test_shown_is_one_line(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert quoted(text) == f"'{expected}'"


@pytest.mark.parametrize(
    ("number", "expected"), [(3.0, "3"), (-2, "-2"), (2.4, "2.4"), (100_000.0, "100000")]
)
def test_plain_has_no_needless_decimals(number: float, expected: str) -> None:
    assert plain(number) == expected


def test_hint_names_a_close_option_or_nothing() -> None:
    assert did_you_mean("scrol", ["click", "scroll"]) == "did you mean 'scroll'?"
    assert hint("scrol", ["click", "scroll"]) == " (did you mean 'scroll'?)"
    assert hint("zzz", ["click", "scroll"]) == ""
    assert hint("x" * 101, ["x" * 101]) == ""
    assert hint("x", []) == ""
