"""CSV files as spreadsheets and people write them: taken clean, or refused with row and column."""

from __future__ import annotations

import codecs

import pytest

from core.errors import InvalidInput
from warmup.transfer.columns import MAX_ROWS, Table
from warmup.transfer.csv_file import read_csv

PLAIN = "site,username,proxy,enabled,password\r\nreel,anna,office,true,s3cret\r\nreel,bob,,no,\r\n"
ROWS = [
    {"site": "reel", "username": "anna", "proxy": "office", "enabled": True, "password": "s3cret"},
    {"site": "reel", "username": "bob", "proxy": None, "enabled": False},
]


def data(table: Table) -> list[object]:
    return [dict(row.data) for row in table.rows]


def faults(content: bytes) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        read_csv(content)
    return caught.value.faults


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("\r\n", "\n").encode(),
        PLAIN.replace("\r\n", "\r").encode(),
        PLAIN.rstrip().encode(),
        PLAIN.replace("site,", " Site ,").encode(),
        b"\r\n" + PLAIN.encode() + b"\r\n,,,,\r\n",
        "\r\n".join(line + "," for line in PLAIN.split()).encode(),
        b'"site","username","proxy","enabled","password"\n"reel","anna","office",1,"s3cret"\nreel,bob,,0,',
    ],
    ids=[
        "plain",
        "byte order mark",
        "UTF-16",
        "big-endian",
        "semicolons",
        "tabs",
        "unix",
        "old mac",
        "no last line end",
        "untidy header",
        "blank rows",
        "empty last column",
        "quoted",
    ],
)
def test_usual_forms_are_read_alike(content: bytes) -> None:
    assert data(read_csv(content)) == ROWS


@pytest.mark.parametrize(
    "name",
    [
        "\U0001f600 anna",
        "\u05d0\u05e0\u05d4",
        "\u0430\u043d\u043d\u0430",
        "a\u200fb",
        "a;b",
        'a"b',
        "a,b",
        " anna ",
    ],
)
def test_odd_names_are_taken_as_they_are(name: str) -> None:
    quoted = name.replace('"', '""')

    (row,) = read_csv(f'site,username\nreel,"{quoted}"\n'.encode()).rows

    assert row.data["username"] == name


def test_rows_are_counted_as_a_spreadsheet_does() -> None:
    table = read_csv(b'site,username,password\n\nreel,anna,"two\nlines"\nreel,bob,x\n')

    assert [row.number for row in table.rows] == [3, 4]
    assert table.rows[0].data["password"] == "two\nlines"


def test_formula_marks_are_taken_off_names_and_left_on_passwords() -> None:
    (row,) = read_csv(b"site,username,proxy,password\nreel,'=anna,'@office,'=s3cret\n").rows

    assert row.data == {"site": "reel", "username": "=anna", "proxy": "@office", "password": "'=s3cret"}


def test_empty_cells_say_nothing_but_of_the_proxy() -> None:
    (row,) = read_csv(b"site,username,proxy,enabled,password,storage_state\nreel,anna,,,,\n").rows

    assert row.data == {"site": "reel", "username": "anna", "proxy": None}


def test_what_an_export_tells_is_passed_over() -> None:
    (row,) = read_csv(b"site,username,has_password,last_warmup_at\nreel,anna,true,yesterday\n").rows

    assert row.data == {"site": "reel", "username": "anna"}


def test_storage_state_is_one_cell_of_json_and_may_be_large() -> None:
    value = "v" * 500_000
    cell = f'{{""cookies"": [], ""origins"": [], ""x"": ""{value}""}}'

    (row,) = read_csv(f'site,username,storage_state\nreel,anna,"{cell}"\n'.encode()).rows

    assert row.data["storage_state"] == {"cookies": [], "origins": [], "x": value}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", ("row 1: no column 'site'", "row 1: no column 'username'")),
        (b"site,username\n", ("the file has no accounts",)),
        (
            b"site,user\nreel,anna\n",
            ("row 1, column 2: not the name of a column", "row 1: no column 'username'"),
        ),
        (b"site,username,site\nreel,anna,reel\n", ("row 1, column 3: 'site' is there twice",)),
        (PLAIN.encode("utf-16-le"), ("row 1: NUL characters, as of UTF-16 without a byte order mark",)),
        (PLAIN.encode("utf-16")[:-1], ("the file is cut off within a character of UTF-16",)),
        (b'site,username\nreel,"anna\n', ("row 2: not valid CSV",)),
        (b'site,username\nreel,"an"na\n', ("row 2: not valid CSV",)),
    ],
)
def test_file_that_cannot_be_read_is_refused_with_its_place(content: bytes, found: tuple[str, ...]) -> None:
    told = faults(content)

    assert len(told) == len(found)
    for fault, begin in zip(told, found, strict=True):
        assert fault.startswith(begin)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"reel,anna", ": 2 cells, but the header has 4"),
        (b"reel,anna,,,more", ": 5 cells, but the header has 4"),
        (b"reel,\xe0\xed\xed\xe0,,", ", column username: not UTF-8"),
        (b"reel,\xed\xa0\x80,,", ", column username: not UTF-8"),
        (b"reel,anna,p\xff,", ", column password: not UTF-8"),
        (b"reel,anna,,s3cret", ", column storage_state: must be an object in JSON"),
        (b'reel,anna,,"{""a"": s3cret}"', ", column storage_state: line 1, column 7: not valid JSON"),
        (b'reel,anna,,"{""a"": 1, ""a"": 2}"', ", column storage_state: a: duplicate key"),
    ],
)
def test_row_that_cannot_be_read_is_told_with_its_column_and_without_its_text(
    line: bytes, fault: str
) -> None:
    table = read_csv(b"site,username,password,storage_state\n" + line + b"\nreel,bob,,\n")

    (told,) = table.rows[0].faults
    assert told.startswith(fault)
    assert "s3cret" not in told
    assert not table.rows[0].data
    assert not table.rows[1].faults


def test_file_without_a_header_shows_nothing_of_its_first_row() -> None:
    told = faults(b"reel,anna,s3cret\nreel,bob,s3cret2\n")

    assert "s3cret" not in str(told)
    assert "anna" not in str(told)


def test_file_with_too_many_rows_is_refused() -> None:
    (told,) = faults(b"site,username\n" + b"reel,a\n" * (MAX_ROWS + 1))

    assert told == f"the file has {MAX_ROWS + 1} accounts: at most {MAX_ROWS} are imported at once"
