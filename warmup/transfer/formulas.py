"""Cells that a spreadsheet would run as formulas: defused on export, and restored on import.

A quotation mark in front makes a cell text, as it does when a person types it. A text that could be mistaken
for a defused one is given a mark too, so that `restored(defused(text)) == text` for every text.

Source of the rule: OWASP, "CSV Injection".
"""

from __future__ import annotations

import re

_MARK = "'"
# What begins a formula, in full width too, also behind white space, which some spreadsheets skip; and the
# control characters that may end a cell where another program reads on.
_FORMULA = re.compile(r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")


def defused(text: str) -> str:
    """`text` as a cell that no spreadsheet runs."""
    return _MARK + text if _FORMULA.match(text) else text


def restored(cell: str) -> str:
    """The text that `defused` made `cell` of; a cell that was not defused is the text itself."""
    return cell[1:] if cell.startswith(_MARK) and _FORMULA.match(cell[1:]) else cell
