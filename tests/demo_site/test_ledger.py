from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from demo_site import Action, DemoSite, Ledger
from tests.demo_site.visitor import Visitor


def test_rows_are_numbered_dated_and_in_order() -> None:
    ledger = Ledger()

    ledger.append("anna", Action.LOGIN, session="s1")
    ledger.append("anna", Action.VIDEO, "7", session="s1")

    first, second = ledger.rows()
    assert (first["id"], second["id"]) == (1, 2)
    assert datetime.fromisoformat(first["time"]) <= datetime.fromisoformat(second["time"])
    assert datetime.fromisoformat(first["time"]).utcoffset() == timedelta(0)
    assert second == {
        "id": 2,
        "time": second["time"],
        "account": "anna",
        "action": "video",
        "object": "7",
        "repeat": False,
        "session": "s1",
    }
    ledger.close()


def test_rows_after_an_id_of_an_account_of_an_action() -> None:
    ledger = Ledger()
    for account in ("anna", "ben"):
        for action in (Action.LOGIN, Action.FEED):
            ledger.append(account, action)

    assert [row["id"] for row in ledger.rows(after=2)] == [3, 4]
    assert [row["id"] for row in ledger.rows(account="anna")] == [1, 2]
    assert [row["id"] for row in ledger.rows(action="feed", after=2)] == [4]
    assert [row["id"] for row in ledger.newest(3)] == [4, 3, 2]
    ledger.close()


def test_repeat_is_by_account_object_and_action() -> None:
    ledger = Ledger()
    like, unlike, follow = Action.LIKE, Action.UNLIKE, Action.FOLLOW

    steps = [
        ("anna", like, "1", False),
        ("anna", like, "1", True),
        ("ben", like, "1", False),
        ("anna", like, "2", False),
        ("anna", unlike, "1", False),
        ("anna", unlike, "1", True),
        ("anna", like, "1", False),
        ("anna", follow, "1", False),
        ("anna", follow, "1", True),
        ("anna", Action.VIDEO, "1", False),
        ("anna", Action.VIDEO, "1", False),
    ]

    for account, action, obj, repeat in steps:
        assert ledger.append(account, action, obj) is repeat
    assert [row["repeat"] for row in ledger.rows()] == [step[3] for step in steps]
    assert ledger.liked("anna") == {"1", "2"}
    assert ledger.summary()["repeats"] == {"anna": {"follow": 1, "like": 1, "unlike": 1}}
    ledger.close()


def test_file_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    first = Ledger(path)
    first.append("anna", Action.LIKE, "1")
    first.append("anna", Action.FOLLOW, "bruno")
    first.close()

    second = Ledger(path)

    assert second.liked("anna") == {"1"}
    assert second.followed("anna") == {"bruno"}
    assert second.append("anna", Action.LIKE, "1") is True
    assert [row["id"] for row in second.rows()] == [1, 2, 3]
    second.close()


def test_file_can_be_read_by_others_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    ledger.append("anna", Action.LOGIN)

    other = sqlite3.connect(path)
    (mode,) = other.execute("PRAGMA journal_mode").fetchone()
    rows = other.execute("SELECT account, action FROM ledger").fetchall()
    other.close()

    assert mode == "wal"
    assert rows == [("anna", "login")]
    ledger.close()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\0b", "a\ufffdb"),
        ("\ud800x", "?x"),
        ("\u202eabc", "\u202eabc"),
        ("x" * 300, "x" * 200),
        ("é😀", "é😀"),
    ],
)
def test_text_is_cleaned(text: str, kept: str) -> None:
    ledger = Ledger()

    ledger.append(text, Action.SEARCH, text)

    (row,) = ledger.rows()
    assert (row["account"], row["object"]) == (kept, kept)
    ledger.close()


def test_many_threads_lose_and_double_nothing() -> None:
    ledger = Ledger()

    def work(number: int) -> list[bool]:
        return [ledger.append("anna", Action.LIKE, str(video)) for video in range(50)]

    with ThreadPoolExecutor(8) as pool:
        repeats = [repeat for answers in pool.map(work, range(8)) for repeat in answers]

    assert [row["id"] for row in ledger.rows()] == list(range(1, 401))
    assert repeats.count(False) == 50
    ledger.close()


def test_json_over_http_is_what_the_site_says(site: DemoSite, member: Visitor) -> None:
    member.get("/feed")
    member.call("/api/like", id="7")
    member.call("/api/like", id="7")

    everything = member.get("/ledger.json").json()

    assert everything == site.ledger()
    assert member.get("/ledger.json?after=2").json() == everything[2:]
    assert member.get("/ledger.json?action=like&account=demo01").json() == everything[2:]
    assert member.get("/ledger.json?account=demo02").json() == []
    assert member.get("/ledger/summary.json").json() == {
        "total": 4,
        "actions": {"feed": 1, "like": 2, "login": 1},
        "accounts": {"demo01": {"feed": 1, "like": 2, "login": 1}},
        "repeats": {"demo01": {"like": 1}},
    }


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "", "9" * 30])
def test_json_after_nonsense_is_400(visitor: Visitor, after: str) -> None:
    assert visitor.get(f"/ledger.json?after={after}").status == 400


def test_page_for_people_shows_and_escapes_rows(visitor: Visitor) -> None:
    visitor.log_in("<script>x</script>")

    answer = visitor.get("/ledger")

    assert answer.status == 200
    assert "&lt;script&gt;x" in answer.text
    assert "<script>x" not in answer.text
    assert visitor.get("/ledger/nope").status == 404
