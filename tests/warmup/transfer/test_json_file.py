"""JSON files: a list of accounts, or a load file that has nothing else."""

from __future__ import annotations

import json

import pytest

from core.errors import InvalidInput
from warmup.transfer.json_file import read_json

ENTRIES = [{"site": "reel", "username": "анна", "proxy": None, "enabled": False}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("document", [ENTRIES, {"accounts": ENTRIES}])
def test_list_of_accounts_is_read(document: object, encoding: str) -> None:
    table = read_json(json.dumps(document, ensure_ascii=False).encode(encoding))

    assert [row.data for row in table.rows] == ENTRIES


def test_what_an_export_tells_is_passed_over() -> None:
    (row,) = read_json(b'[{"site": "reel", "username": "anna", "has_password": true}]').rows

    assert row.data == {"site": "reel", "username": "anna"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is not JSON"),
        (b"site,username\nreel,anna\n", "the file is not JSON"),
        (b"[]", "the file has no accounts"),
        (b'{"accounts": 3}', "accounts: must be a list"),
        (b'{"accounts": [], "sites": []}', "only accounts are imported here"),
        (b'[{"site": s3cret}]', "line 1, column 11: not valid JSON"),
        (b'[{"site": "\xff"}]', "line 1, column 12: not UTF-8"),
        (b'[\n{"site": "\xed\xa0\x80"}]', "line 2, column 11: not UTF-8"),
    ],
)
def test_file_that_cannot_be_read_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_json(content)

    assert caught.value.faults[0].startswith(fault)
    assert "s3cret" not in str(caught.value)


def test_faults_of_entries_have_their_places() -> None:
    table = read_json(b'[3, {"site": "a", "site": "b"}, {"\\u0000": 1}]')

    assert table.rows[0].faults == (": must be an object",)
    assert table.faults == (
        "accounts[1].site: duplicate key",
        "accounts[2]['\\x00']: a key must be text without NUL or a lone surrogate",
    )
