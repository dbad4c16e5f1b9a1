"""JSON files of accounts: a list, or an object that holds one under `accounts`, as a load file does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from core.errors import InvalidInput
from warmup.playbooks.documents import read_document
from warmup.playbooks.faults import cleaned_keys
from warmup.transfer.columns import TOLD, Row, Table, check_size, decoded

ONLY_ACCOUNTS = (
    "only accounts are imported here: a list, or an object with the key 'accounts' and no other;"
    " `manage.py warmup load` takes whole load files"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(content: bytes) -> Table:
    """The entries of a file; raises `InvalidInput` when it is no list of accounts."""
    text = decoded(content)
    if found := _SURROGATE.search(text):
        before = text[: found.start()]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise InvalidInput([f"line {line}, column {column}: not UTF-8"])
    if text.lstrip()[:1] not in {"[", "{"}:
        raise InvalidInput(["the file is not JSON: it must begin with [ or {"])
    data, faults = read_document(text)
    if isinstance(data, list):
        faults = [f"accounts{fault}" for fault in faults]
    elif set(data) == {"accounts"}:
        data = data["accounts"]
    else:
        raise InvalidInput([ONLY_ACCOUNTS])
    if not isinstance(data, list):
        raise InvalidInput(["accounts: must be a list"])
    check_size(len(data))
    rows = [_row(index, entry, faults) for index, entry in enumerate(data)]
    return Table(rows, is_csv=False, faults=tuple(faults))


def _row(index: int, entry: object, faults: list[str]) -> Row:
    if not isinstance(entry, dict):
        return Row(index, {}, (": must be an object",))
    data = cleaned_keys(entry, place=f"accounts[{index}]", faults=faults)
    return Row(index, {name: value for name, value in data.items() if name not in TOLD})


def write_json(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A file that `read_json` takes back."""
    return (json.dumps({"accounts": list(rows)}, indent=1, ensure_ascii=False) + "\n").encode()
