"""The system's database as a bystander sees it: plain SQL, none of the product's code.

`observe` adds triggers that write down every change of a run and every record made for one, together
with what the run was at that moment. So the checker knows exactly who held which lease when.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]

_RUN_COLUMNS = "at, run, was, now, attempt, base, cursor_was, cursor_now, token_was, token_now, worker_was"
_WRITE_COLUMNS = "at, run, kind, attempt, result, detail, run_status, run_attempt"

_RUN_CHANGED = (
    "OLD.status <> NEW.status OR OLD.cursor <> NEW.cursor OR OLD.attempt_base <> NEW.attempt_base"
    " OR OLD.lease_token IS {distinct} NEW.lease_token"
)
_RUN_VALUES = (
    "{now}, NEW.id, OLD.status, NEW.status, NEW.attempt, NEW.attempt_base, OLD.cursor, NEW.cursor,"
    " CAST(OLD.lease_token AS TEXT), CAST(NEW.lease_token AS TEXT), OLD.worker"
)
_SELECT_WRITE = (
    "SELECT {now}, NEW.run_id, '{kind}', {attempt}, {result}, {detail}, r.status, r.attempt"
    " FROM warmup_warmupaccount r WHERE r.id = NEW.run_id"
)
# table -> (kind, attempt, result, detail, events)
_WATCHED = {
    "warmup_steprecord": ("step", "NEW.attempt", "NEW.result", "NEW.detail", ("INSERT", "UPDATE")),
    "warmup_logline": ("log", "NULL", "NEW.event", "NEW.text", ("INSERT",)),
    "warmup_artifact": ("artifact", "NEW.attempt", "NEW.kind", "NEW.name", ("INSERT",)),
}
_TABLES = (
    "CREATE TABLE chaos_run (id {key}, at {real}, run INTEGER, was TEXT, now TEXT, attempt INTEGER,"
    " base INTEGER, cursor_was INTEGER, cursor_now INTEGER, token_was TEXT, token_now TEXT, worker_was TEXT)",
    "CREATE TABLE chaos_write (id {key}, at {real}, run INTEGER, kind TEXT, attempt INTEGER, result TEXT,"
    " detail TEXT, run_status TEXT, run_attempt INTEGER)",
)


class SystemDatabase:
    """A connection of the test's own, past the TCP proxy. Safe to use from any thread."""

    def __init__(self, url: str) -> None:
        """`url`: `postgres://...`, or the path of an SQLite file."""
        self.url, self.is_postgres = url, url.startswith("postgres")
        self._lock = threading.Lock()
        self._connection: Any
        if self.is_postgres:
            self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        else:
            self._connection = sqlite3.connect(url, timeout=60, check_same_thread=False, isolation_level=None)
            self._connection.row_factory = sqlite3.Row

    def close(self) -> None:
        self._connection.close()

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query, whose placeholders are `?`."""
        if self.is_postgres:
            query = query.replace("?", "%s")
        with self._lock:
            return [dict(row) for row in self._connection.execute(query, parameters).fetchall()]

    def value(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row."""
        return next(iter(self.rows(query, parameters)[0].values()))

    def execute(self, statement: str) -> int:
        """Run a statement; returns how many rows it changed."""
        with self._lock:
            return int(self._connection.execute(statement).rowcount)

    def observe(self) -> None:
        """Write down, from now on, what happens to the runs: tables `chaos_run` and `chaos_write`."""
        key, real = ("BIGSERIAL PRIMARY KEY", "DOUBLE PRECISION") if self.is_postgres else (
            "INTEGER PRIMARY KEY", "REAL")  # fmt: skip
        for table in _TABLES:
            self.execute(table.format(key=key, real=real))
        now = "extract(epoch FROM clock_timestamp())" if self.is_postgres else (
            "(julianday('now') - 2440587.5) * 86400.0")  # fmt: skip
        changed = _RUN_CHANGED.format(distinct="DISTINCT FROM" if self.is_postgres else "NOT")
        insert = f"INSERT INTO chaos_run ({_RUN_COLUMNS}) VALUES ({_RUN_VALUES.format(now=now)})"
        self._trigger("warmup_warmupaccount", "UPDATE", insert, changed)
        for table, (kind, attempt, result, detail, events) in _WATCHED.items():
            select = _SELECT_WRITE.format(now=now, kind=kind, attempt=attempt, result=result, detail=detail)
            for event in events:
                insert = f"INSERT INTO chaos_write ({_WRITE_COLUMNS}) {select}"
                self._trigger(table, event, insert, "NEW.run_id IS NOT NULL")

    def deliver_times(self, times: int) -> None:
        """Have every message of the database broker put into it `times` times from now on."""
        copies = " UNION ALL ".join(["SELECT NEW.key, NEW.payload, NEW.lock"] * (times - 1))
        insert = f"INSERT INTO django_q_ormq (key, payload, lock) {copies}"
        # SQLite's triggers do not set off themselves; PostgreSQL's are told not to.
        self._trigger(
            "django_q_ormq", "INSERT", insert, "pg_trigger_depth() = 0" if self.is_postgres else "1"
        )

    def _trigger(self, table: str, event: str, action: str, when: str) -> None:
        name = f"chaos_{table}_{event.lower()}"
        if not self.is_postgres:
            self.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} WHEN {when} BEGIN {action}; END")
            return
        self.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {action}; RETURN NULL; END $$"
        )
        self.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW WHEN ({when})"
            f" EXECUTE FUNCTION {name}()"
        )
