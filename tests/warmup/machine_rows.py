"""The rows as they are, what they allow, and what must hold of them at every moment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, models

from core.models import Account, SessionState
from warmup.models import (
    Artifact,
    AuditEntry,
    DailyCount,
    LogLine,
    StepRecord,
    WarmupAccount,
    WarmupTask,
)
from warmup.states import (
    RUN_ACTIVE,
    RUN_FINAL,
    RUN_LIVE,
    RUN_TRANSITIONS,
    TASK_ACTIVE,
    TASK_CLAIMABLE,
    TASK_FINAL,
    TASK_TRANSITIONS,
    RunStatus,
    Transitions,
    derive_task_status,
)
from warmup.types import Lease

Row = Mapping[str, Any]

TABLES: tuple[type[models.Model], ...] = (
    WarmupTask,
    WarmupAccount,
    StepRecord,
    LogLine,
    Artifact,
    DailyCount,
    AuditEntry,
    Account,
    SessionState,
)


def everything() -> list[list[tuple[Any, ...]]]:
    """All that a verb or a run could change, to compare."""
    found = []
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table._meta.db_table} ORDER BY id")
            found.append(cursor.fetchall())
    return found


@dataclass(frozen=True)
class Rows:
    """Tasks and runs by primary key, at one moment."""

    now: datetime
    sites: Mapping[int, int | None]  # concurrency
    tasks: Mapping[int, Row]
    runs: Mapping[int, Row]

    @classmethod
    def read(cls, now: datetime, sites: Mapping[int, int | None]) -> Rows:
        tasks = {row["id"]: row for row in WarmupTask.objects.order_by("pk").values()}
        runs = {row["id"]: row for row in WarmupAccount.objects.order_by("pk").values()}
        return cls(now, sites, tasks, runs)

    def of(self, task_id: int, *statuses: str) -> list[int]:
        """The runs of a task, in order; of all statuses when none is named."""
        return [
            pk
            for pk, run in self.runs.items()
            if run["task_id"] == task_id and (not statuses or run["status"] in statuses)
        ]

    def counts(self, task_id: int) -> Counter[str]:
        return Counter(str(self.runs[pk]["status"]) for pk in self.of(task_id))

    def is_current(self, lease: Lease) -> bool:
        """Whether a run is the lease's."""
        run = self.runs.get(lease.run_id)
        return run is not None and run["lease_token"] == lease.token

    def is_stopping(self, task_id: int) -> bool:
        """Whether a stop is asked for and has not ended the task yet."""
        task = self.tasks[task_id]
        return task["stop_requested_at"] is not None and task["status"] not in TASK_FINAL

    def slots(self, task_id: int) -> int:
        """How many more runs of the task its own and its site's concurrency allow."""
        task = self.tasks[task_id]
        active = [run["task_id"] for run in self.runs.values() if run["status"] in RUN_ACTIVE]
        own = task["concurrency"] - active.count(task_id)
        limit = self.sites[task["site_id"]]
        if limit is None:
            return max(0, own)
        on_site = sum(self.tasks[other]["site_id"] == task["site_id"] for other in active)
        return max(0, min(own, limit - on_site))

    def claimable(self, task_id: int) -> list[int]:
        """The runs that a worker without limits would be given, in order."""
        task = self.tasks.get(task_id)
        if task is None or task["status"] not in TASK_CLAIMABLE or task["stop_requested_at"] is not None:
            return []
        busy = {run["account_id"] for run in self.runs.values() if run["status"] in RUN_ACTIVE}
        waiting = [
            pk
            for pk in self.of(task_id, RunStatus.PENDING)
            if self.runs[pk]["account_id"] not in busy
            and (self.runs[pk]["available_at"] is None or self.runs[pk]["available_at"] <= self.now)
        ]
        return waiting[: self.slots(task_id)]

    def most_slices(self, task_id: int) -> int:
        """How many slices the task's free slots can use; a wake-up is one at least."""
        return max(1, math.ceil(self.slots(task_id) / settings.WARMUP_CONTEXTS_PER_WORKER))


def check(rows: Rows) -> None:
    """What holds of the rows whatever was done."""
    for pk, run in rows.runs.items():
        active = run["status"] in RUN_ACTIVE
        assert (run["completed_at"] is not None) == (run["status"] in RUN_FINAL), f"run {pk}: completed_at"
        assert (run["lease_token"] is not None) == active, f"run {pk}: token of a {run['status']} run"
        assert (run["lease_until"] is not None) == active, f"run {pk}: lease of a {run['status']} run"
        assert (run["worker"] != "") == active, f"run {pk}: worker of a {run['status']} run"
        assert run["attempt_base"] <= run["attempt"], f"run {pk}: attempts"
    for task_id, task in rows.tasks.items():
        _check_task(rows, task_id, task)
    running = [run for run in rows.runs.values() if run["status"] in RUN_ACTIVE]
    accounts = Counter(run["account_id"] for run in running)
    assert not accounts or max(accounts.values()) == 1, f"an account has two runs: {accounts}"
    on_sites = Counter(rows.tasks[run["task_id"]]["site_id"] for run in running)
    for site_id, limit in rows.sites.items():
        assert limit is None or on_sites[site_id] <= limit, f"site {site_id}: {on_sites[site_id]} at once"


def _check_task(rows: Rows, task_id: int, task: Row) -> None:
    counts, status = rows.counts(task_id), task["status"]
    stopping = task["stop_requested_at"] is not None
    final = derive_task_status(counts, stop_requested=stopping)
    live = sum(counts[status] for status in RUN_LIVE)
    assert (task["completed_at"] is not None) == (status in TASK_FINAL), f"task {task_id}: completed_at"
    assert counts[RunStatus.RUNNING] <= task["concurrency"], f"task {task_id}: too many at once"
    if status in TASK_ACTIVE:
        assert live, f"task {task_id} is {status} for ever: {counts}"
    if status in TASK_FINAL:
        assert status == final, f"task {task_id} is {status}, its runs say {final}: {counts}"
    if stopping and status in TASK_ACTIVE:
        assert not counts[RunStatus.PENDING], f"task {task_id} is being stopped and never ends: {counts}"


def check_passage(before: Rows, after: Rows, hops: int) -> None:
    """Every status was reached along its table, in at most so many steps."""
    for name, old, new, table in (
        ("task", before.tasks, after.tasks, TASK_TRANSITIONS),
        ("run", before.runs, after.runs, RUN_TRANSITIONS),
    ):
        for pk in old.keys() & new.keys():
            was, became = old[pk]["status"], new[pk]["status"]
            assert _reaches(table, was, became, hops), f"{name} {pk}: {was} became {became}"


def _reaches(table: Transitions, was: str, became: str, hops: int) -> bool:
    if was == became:
        return True
    return hops > 0 and any(_reaches(table, status, became, hops - 1) for status in table[was])
