"""What the visitors did: one row per action, in the order in which the site saw them."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import TypedDict

_SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    account TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    session TEXT NOT NULL
)
"""
_INSERT = "INSERT INTO ledger (time, account, action, object, repeat, session) VALUES (?, ?, ?, ?, ?, ?)"
_SELECT = """
SELECT id, time, account, action, object, repeat, session FROM ledger
WHERE id > ? AND (? IS NULL OR account = ?) AND (? IS NULL OR action = ?) ORDER BY id
"""
_NEWEST = "SELECT id, time, account, action, object, repeat, session FROM ledger ORDER BY id DESC LIMIT ?"

MAX_TEXT = 200
# The object of a `logout` that was not the account's own doing.
BY_SITE = "by-site"


class Action(StrEnum):
    """What a row can say that an account did, and what `object` then holds."""

    LOGIN = "login"
    """A session was opened."""
    LOGIN_FAILED = "login_failed"
    """A username or password was refused; `account` is what was typed."""
    LOGOUT = "logout"
    """A session ended; `by-site` if the site dropped it."""
    FEED = "feed"
    """The feed was opened."""
    SCROLL = "scroll"
    """A further page of the feed was fetched: its number, from 2 on."""
    LIKE = "like"
    """A like arrived: the video's id. `repeat` if the account liked it already."""
    UNLIKE = "unlike"
    """A like was taken back: the video's id. `repeat` if there was none."""
    FOLLOW = "follow"
    """A follow arrived: the author's name. `repeat` if the account followed already."""
    SEARCH = "search"
    """A search was made: its text."""
    VIDEO = "video"
    """A video's page was opened: its id."""
    USER = "user"
    """A profile was opened: the author's name."""
    CHALLENGE = "challenge"
    """The challenge was shown in place of a page: its path."""
    CHALLENGE_PASSED = "challenge_passed"
    """The challenge's form was sent."""
    REFUSED = "refused"
    """A request was answered 429 or 500: the status and the path."""


class Row(TypedDict):
    """One action. `time` is ISO 8601 in UTC, `session` a name for the session, not its cookie."""

    id: int
    time: str
    account: str
    action: str
    object: str
    repeat: bool
    session: str


class Summary(TypedDict):
    """Numbers of rows; `repeats` counts those with `repeat`, by account and action."""

    total: int
    actions: dict[str, int]
    accounts: dict[str, dict[str, int]]
    repeats: dict[str, dict[str, int]]


class Ledger:
    """An append-only table, in a file or in memory. Safe to use from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = Lock()
        # Every access holds the lock, so the connection may go from thread to thread.
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)
        self._liked: defaultdict[str, set[str]] = defaultdict(set)
        self._followed: defaultdict[str, set[str]] = defaultdict(set)
        for row in self.rows():
            self._apply(row["account"], row["action"], row["object"])

    def append(self, account: str, action: Action, obj: str = "", *, session: str = "") -> bool:
        """Add one row; returns its `repeat`: whether the action found its work already done."""
        account, obj = clean(account), clean(obj)
        with self._lock:
            repeat = self._apply(account, action, obj)
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            self._db.execute(_INSERT, (now, account, action.value, obj, repeat, session))
        return repeat

    def rows(self, *, after: int = 0, account: str | None = None, action: str | None = None) -> list[Row]:
        """The rows with an id above `after`, oldest first."""
        with self._lock:
            found = self._db.execute(_SELECT, (after, account, account, action, action)).fetchall()
        return [_row(values) for values in found]

    def newest(self, count: int) -> list[Row]:
        """The last `count` rows, newest first."""
        with self._lock:
            found = self._db.execute(_NEWEST, (count,)).fetchall()
        return [_row(values) for values in found]

    def summary(self) -> Summary:
        """The counts by action and by account."""
        query = (
            "SELECT account, action, count(*), sum(repeat) FROM ledger GROUP BY account, action ORDER BY 1, 2"
        )
        with self._lock:
            counts = self._db.execute(query).fetchall()
        actions: Counter[str] = Counter()
        accounts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        repeats: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for account, action, count, repeated in counts:
            actions[action] += count
            accounts[account][action] = count
            if repeated:
                repeats[account][action] = repeated
        return Summary(
            total=sum(actions.values()),
            actions=dict(actions),
            accounts=dict(accounts),
            repeats=dict(repeats),
        )

    def liked(self, account: str) -> frozenset[str]:
        """The ids of the videos that the account likes now."""
        with self._lock:
            return frozenset(self._liked.get(account, ()))

    def followed(self, account: str) -> frozenset[str]:
        """The names of the authors that the account follows now."""
        with self._lock:
            return frozenset(self._followed.get(account, ()))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _apply(self, account: str, action: str, obj: str) -> bool:
        """Bring likes and follows up to date; true if they were so before."""
        if action == Action.UNLIKE:
            missing = obj not in self._liked[account]
            self._liked[account].discard(obj)
            return missing
        if action not in (Action.LIKE, Action.FOLLOW):
            return False
        state = (self._liked if action == Action.LIKE else self._followed)[account]
        repeat = obj in state
        state.add(obj)
        return repeat


def clean(text: str) -> str:
    """Text that any database and any JSON reader takes: no NUL, no lone surrogate, at most 200 characters."""
    return text[:MAX_TEXT].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _row(values: tuple[int, str, str, str, str, int, str]) -> Row:
    number, time, account, action, obj, repeat, session = values
    return Row(
        id=number,
        time=time,
        account=account,
        action=action,
        object=obj,
        repeat=bool(repeat),
        session=session,
    )
