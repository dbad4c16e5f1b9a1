"""CSV files of accounts. No fault shows what stands in a cell: it may be a password in the wrong column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from core.errors import InvalidInput
from warmup.playbooks.documents import read_document
from warmup.playbooks.text import hint
from warmup.transfer.columns import EXPORTED, IMPORTED, REQUIRED, TOLD, Row, Table, check_size, decoded
from warmup.transfer.formulas import defused, restored

DELIMITERS = ",;\t"  # spreadsheets write semicolons where a comma stands in decimals
# A storage state is one cell; Python's limit, which holds for the whole process, is smaller.
MAX_CELL = 2 * 1024 * 1024  # characters
csv.field_size_limit(MAX_CELL)

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
NOT_UTF8 = "not UTF-8: save the file as “CSV UTF-8”"


def read_csv(content: bytes) -> Table:
    """The rows of a file; raises `InvalidInput` when it cannot be told which cells belong to which column."""
    text = decoded(content)
    lines = _records(text)
    number, header = next(lines, (1, []))
    columns = _columns(number, header)
    rows = [_row(number, columns, cells) for number, cells in lines]
    check_size(len(rows))
    return Table(rows, is_csv=True)


def write_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A file that spreadsheets take for UTF-8, and of which they run nothing."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(EXPORTED)
    writer.writerows([_cell(row[name]) for name in EXPORTED] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return defused(value) if isinstance(value, str) else str(value).lower()


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not empty, with their numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise InvalidInput([f"row {number + 1}: not valid CSV: {error}"]) from None


def _delimiter(text: str) -> str:
    """The one that makes the most known columns of the first line."""
    line = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")

    def known(delimiter: str) -> int:
        names = next(csv.reader([line], delimiter=delimiter), [])
        return sum(_name(cell) in IMPORTED for cell in names)

    try:
        return max(DELIMITERS, key=known)
    except csv.Error:  # a header of millions of characters
        return ","


def _name(cell: str) -> str:
    return cell.strip().lower()


def _columns(number: int, header: Sequence[str]) -> list[str]:
    """The names of the columns, in order; empty for one that has no name."""
    if any("\0" in cell for cell in header):
        raise InvalidInput(
            [f"row {number}: NUL characters, as of UTF-16 without a byte order mark; {NOT_UTF8}"]
        )
    names = [_name(cell) for cell in header]
    faults = []
    for position, name in enumerate(names, start=1):
        if name and name not in IMPORTED + TOLD:
            # Without the name: a file without a header has a password there.
            faults.append(
                f"row {number}, column {position}: not the name of a column{hint(name, IMPORTED)};"
                f" the names are {', '.join(IMPORTED)}"
            )
        elif name and name in names[: position - 1]:
            faults.append(f"row {number}, column {position}: '{name}' is there twice")
    faults += [f"row {number}: no column '{name}'" for name in REQUIRED if name not in names]
    if faults:
        raise InvalidInput(faults)
    return names


def _row(number: int, columns: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(columns):
        return Row(number, {}, (f": {len(cells)} cells, but the header has {len(columns)}",))
    data: dict[str, Any] = {}
    faults: list[str] = []
    for position, (name, cell) in enumerate(zip(columns, cells, strict=True), start=1):
        if not name and cell:
            faults.append(f", column {position}: the header has no name for it")
        elif name in IMPORTED:
            try:
                data |= _read(name, cell)
            except InvalidInput as error:
                faults += [f", column {name}: {fault}" for fault in error.faults]
    return Row(number, {} if faults else data, tuple(faults))


def _read(name: str, cell: str) -> dict[str, Any]:
    """What a cell says; nothing when it is empty and may be."""
    if _ESCAPED_BYTE.search(cell):
        raise InvalidInput([NOT_UTF8])
    if name in REQUIRED:
        return {name: restored(cell)}
    if name == "proxy":
        return {name: restored(cell) or None}
    if not cell:
        return {}
    if name == "enabled":
        return {name: _BOOLEANS.get(cell.strip().lower(), cell)}
    if name == "storage_state":
        return {name: _state(cell)}
    return {name: cell}  # a password, which is taken as it is: it was never exported


def _state(cell: str) -> Any:
    if not cell.lstrip().startswith("{"):
        raise InvalidInput(["must be an object in JSON"])
    state, faults = read_document(cell)
    if faults:
        raise InvalidInput(faults)
    return state
