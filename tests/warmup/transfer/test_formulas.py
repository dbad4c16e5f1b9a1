"""Cells that a spreadsheet would run: none leaves, and each comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.transfer.formulas import defused, restored

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Texts made mostly of what matters here, and any others.
TEXTS = st.one_of(st.text(), st.text(alphabet="'=+-@\t\r\n \uff1d\uff0b\uff0d\uff20a;,\"", max_size=12))


@given(TEXTS)
def test_defused_cell_begins_with_nothing_that_is_run(text: str) -> None:
    cell = defused(text)

    assert not cell.startswith(DANGEROUS)
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))


@given(TEXTS)
def test_restored_text_is_the_one_that_was_defused(text: str) -> None:
    assert restored(defused(text)) == text


@given(TEXTS, TEXTS)
def test_two_texts_never_become_the_same_cell(one: str, other: str) -> None:
    assert (defused(one) == defused(other)) == (one == other)


@pytest.mark.parametrize(
    "text", ["", "anna", "a=b", "o'hara", "'quoted'", "1+1", "\u0430\u043d\u043d\u0430", "\u05d0"]
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert defused(text) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
        ("@anna", "'@anna"),
        (" =1", "' =1"),
        ("\uff1d1", "'\uff1d1"),
        ("'=1", "''=1"),
        ("''@x", "'''@x"),
    ],
)
def test_dangerous_text_gets_one_mark(text: str, cell: str) -> None:
    assert defused(text) == cell
