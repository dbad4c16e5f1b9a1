"""What a file of accounts has for columns (in JSON: keys), and the rows that were read from one."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput

# Exported and imported.
KEPT = ("site", "username", "proxy", "enabled")
# Imported by those who may use the secrets of accounts; never exported.
SECRET = ("password", "storage_state")
# Exported for people, and passed over by an import: only the machine writes what they tell.
TOLD = (
    "has_password",
    "last_warmup_at",
    "last_login_at",
    "failures_in_a_row",
    "state_saved_at",
)
IMPORTED = KEPT + SECRET
EXPORTED = KEPT + TOLD
REQUIRED = ("site", "username")

MAX_ROWS = 50_000

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Row:
    """One account of a file; `number` counts as a spreadsheet does, with the header as row 1.

    `faults` are about the row as it stands in the file; a row that has some holds no data.
    """

    number: int
    data: Mapping[str, Any] = field(repr=False)  # secrets among it
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """What was read from a file. `faults` are about the file as a whole."""

    rows: Sequence[Row]
    is_csv: bool
    faults: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)


def check_size(rows: int) -> None:
    """Raise `InvalidInput` for a file without rows, or with more than any page could show."""
    if not rows:
        raise InvalidInput(["the file has no accounts"])
    if rows > MAX_ROWS:
        raise InvalidInput([f"the file has {rows} accounts: at most {MAX_ROWS} are imported at once"])


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark; the mark is taken off.

    What is no UTF-8 stays in the text as lone surrogates, so that it can be reported with its place; so do
    the lone surrogates of UTF-16. Raises `InvalidInput` for UTF-16 that ends within a character.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding, "surrogatepass")
            except UnicodeDecodeError:
                raise InvalidInput(["the file is cut off within a character of UTF-16"]) from None
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
