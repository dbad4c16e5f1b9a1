"""A task's progress on a terminal, until it ends."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from warmup.models import WarmupTask
from warmup.states import RUN_LIVE, TASK_FINAL, RunStatus

LOOK_SECONDS = 0.5


def watch(task: WarmupTask, console: Console, *, quiet: bool = False) -> str:
    """Show a bar for the task and one for each running account until the task ends; returns its status."""
    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, disable=quiet) as bars:
        whole = bars.add_task(task.name, total=None, note="")
        accounts: dict[int, TaskID] = {}
        while True:
            task.refresh_from_db(fields=["status"])
            counts = task.runs.counts()
            total = sum(counts.values())
            done = total - sum(counts[status] for status in RUN_LIVE)
            bars.update(whole, total=total or None, completed=done, note=str(task.status))
            _show_runs(task, bars, accounts)
            if task.status in TASK_FINAL:
                return str(task.status)
            time.sleep(LOOK_SECONDS)


def _show_runs(task: WarmupTask, bars: Progress, accounts: dict[int, TaskID]) -> None:
    shown = task.runs.select_related("account").exclude(status=RunStatus.PENDING)[:40]
    for run in shown:
        if run.pk not in accounts:
            accounts[run.pk] = bars.add_task(
                f"  {run.account.username}", total=run.steps_total or None, note=""
            )
        bars.update(
            accounts[run.pk],
            total=run.steps_total or None,
            completed=run.cursor,
            note=f"{run.status} {run.reason}".strip(),
        )
