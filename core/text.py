"""Cleaning of text that comes from pages, files and error messages, before it is kept or shown."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

# PostgreSQL refuses NUL and UTF-8 has no lone surrogates; neither is dropped without a trace.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Other C0 and C1 controls (a terminal obeys some of them), and the bidirectional overrides and
# isolates U+202A-202E and U+2066-2069, which make a name read as another one (CVE-2021-42574).
# The plain marks U+200E, U+200F and U+061C stay: honest Arabic and Hebrew text needs them.
_UNWANTED = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str, *, limit: int) -> str:
    """`text` made safe to store and to show, at most `limit` characters long.

    NUL and lone surrogates become U+FFFD; control characters other than newline and tab, and
    bidirectional overrides, are removed. What is cut off is marked by an ellipsis, which counts.
    Raises `ValueError` when `limit` is less than 1.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    # Cut first, so that a huge page costs no more than its kept part; the slack is for what goes.
    cut = len(text) > 2 * limit
    text = _UNWANTED.sub("", _UNSTORABLE.sub(REPLACEMENT, joined(text[: 2 * limit])))
    if cut or len(text) > limit:
        return text[: limit - 1] + ELLIPSIS
    return text


def one_line(text: str, limit: int) -> str:
    """`clean(text)` with every run of white space as one space: for messages and table cells."""
    return clean(" ".join(_UNWANTED.sub(" ", text[: 4 * limit]).split()), limit=limit)


def joined(text: str) -> str:
    """`text` with surrogate pairs joined to the character that they stand for, and U+FFFD for lone ones."""
    if _UNSTORABLE.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
