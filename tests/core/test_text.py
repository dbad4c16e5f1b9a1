"""core.text: what is kept can be stored and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import clean, one_line

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("plain", "plain"),
        ("", ""),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("nul\x00", "nul\ufffd"),
        ("lone \ud83d high", "lone \ufffd high"),
        ("lone \ude00 low", "lone \ufffd low"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("bell\x07 escape\x1b[31m delete\x7f c1\x9b", "bell escape[31m delete c1"),
        ("windows\r\nline", "windows\nline"),
        ("user\u202egpj.exe", "usergpj.exe"),
        ("\u2066isolated\u2069", "isolated"),
        ("\u200fmark\u200e", "\u200fmark\u200e"),
        ("\ufeffmarked", "\ufeffmarked"),
    ],
)
def test_clean_keeps_what_is_safe(raw: str, kept: str) -> None:
    assert clean(raw, limit=100) == kept


@pytest.mark.parametrize(
    ("raw", "limit", "kept"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde\u2026"),
        ("abcdefg", 1, "\u2026"),
        ("x" * 10_000, 4, "xxx\u2026"),
        ("\x07" * 5 + "abc", 4, "abc"),
    ],
)
def test_clean_cuts_at_the_limit(raw: str, limit: int, kept: str) -> None:
    assert clean(raw, limit=limit) == kept


def test_clean_with_a_limit_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        clean("text", limit=0)


@given(ANY_TEXT, st.integers(1, 50))
def test_clean_text_can_always_be_stored(text: str, limit: int) -> None:
    kept = clean(text, limit=limit)

    assert len(kept) <= limit
    assert "\x00" not in kept
    assert kept.encode("utf-8").decode("utf-8") == kept
    assert clean(kept, limit=limit) == kept


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("  around  ", "around"),
        ("line\u2028separator", "line separator"),
        ("next\x85line", "next line"),
        ("\x1b[31mred", "[31mred"),
        ("a" * 20, "a" * 9 + "\u2026"),
    ],
)
def test_one_line_is_one_line(raw: str, kept: str) -> None:
    assert one_line(raw, 10 if raw.startswith("aaa") else 100) == kept


@given(ANY_TEXT, st.integers(1, 50))
def test_one_line_has_no_line_break_and_fits(text: str, limit: int) -> None:
    kept = one_line(text, limit)

    assert len(kept) <= limit
    assert len(kept.splitlines()) <= 1
    assert kept.encode("utf-8").decode("utf-8") == kept
