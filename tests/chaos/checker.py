"""After the faults: the site's ledger against the database, the history of the leases, what is left.

`check` returns what is wrong, one line each; it knows none of the product's code.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from tests.chaos.database import Row
from tests.chaos.harness import System

ENDED = {"COMPLETED", "FAILED", "STOPPED", "PARKED"}
# How long after the end of a lease its browser may still be heard of on the site, and how long orphans
# and temporary directories may stay.
SILENCE_SECONDS = 5.0
ORPHAN_SECONDS = 10.0
# Failures that the faults may cause, once the attempts are used up.
EXPECTED_FAILURES = ("worker was lost", "browser", "driver", "crash", "page was closed", "disconnected")


@dataclass
class Turn:
    """One time that a run was held by a worker."""

    run: int
    began: float
    ended: float = float("inf")
    worker: str = ""
    became: str = ""


@dataclass
class Report:
    """What the checker found. `silence` is how many seconds after a turn the site last heard of it."""

    faults: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    likes: int = 0
    in_doubt: int = 0
    silence: float = 0.0
    orphan_seconds: float = 0.0


def check(system: System, *, expected_failures: Iterable[str] = EXPECTED_FAILURES) -> Report:
    """Hold everything against everything. All runs are expected to have ended, or to be parked."""
    report = Report(statuses=system.counts())
    turns = history(system)
    runs = _runs(system)
    report.in_doubt = sum(run["reason"] == "in_doubt" for run in runs)
    report.faults += _unfinished(runs)
    report.faults += _unexpected_failures(runs, tuple(expected_failures))
    report.faults += _stale_writes(system)
    report.faults += _cursors(system)
    report.faults += _overlaps(turns, runs)
    report.faults += _once_steps(system, runs, report)
    report.faults += _after_the_end(system, turns, runs, report)
    report.faults += _left_over(system, report)
    return report


def history(system: System) -> list[Turn]:
    """Who held which run, and from when to when: by the triggers' records, in the order of time."""
    turns: list[Turn] = []
    open_turns: dict[int, Turn] = {}
    for row in system.database.rows("SELECT * FROM chaos_run WHERE was <> now ORDER BY id"):
        if row["now"] == "RUNNING":
            turn = open_turns[row["run"]] = Turn(row["run"], row["at"])
            turns.append(turn)
        elif row["was"] == "RUNNING":
            turn = open_turns.pop(row["run"])
            turn.ended, turn.worker, turn.became = row["at"], row["worker_was"], row["now"]
    return turns


def seconds_to_recover(turns: list[Turn], kills: Iterable[tuple[float, int]]) -> list[float]:
    """For each run that a killed worker held, (time, process id): how long until another held it, or it
    was parked or at its end."""
    by_run: dict[int, list[Turn]] = defaultdict(list)
    for turn in turns:
        by_run[turn.run].append(turn)
    found = []
    for at, pid in kills:
        for of_run in by_run.values():
            for turn, following in pairwise([*of_run, None]):
                assert turn is not None
                if f":{pid}:" in turn.worker and turn.began <= at < turn.ended:
                    resumed = following.began if following and turn.became == "PENDING" else turn.ended
                    found.append(resumed - at)
    return found


def percentile(values: list[float], share: float) -> float:
    """0.5 is the median, 1 the largest; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def distribution(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "p50": round(percentile(values, 0.5), 2),
        "p99": round(percentile(values, 0.99), 2),
        "max": round(percentile(values, 1.0), 2),
    }


def _runs(system: System) -> list[Row]:
    return system.database.rows(
        "SELECT r.id, r.status, r.reason, r.detail, r.attempt, r.account_id, a.username, t.name AS task"
        " FROM warmup_warmupaccount r JOIN core_account a ON a.id = r.account_id"
        " JOIN warmup_warmuptask t ON t.id = r.task_id ORDER BY r.id"
    )


def _unfinished(runs: list[Row]) -> Iterator[str]:
    for run in runs:
        if run["status"] not in ENDED:
            yield f"{run['task']}/{run['username']}: lost, it is still {run['status']}"


def _unexpected_failures(runs: list[Row], expected: tuple[str, ...]) -> Iterator[str]:
    for run in runs:
        reason = run["reason"]
        if run["status"] == "FAILED" and not any(part in reason for part in expected):
            yield f"{run['task']}/{run['username']}: FAILED: {reason}"


def _stale_writes(system: System) -> Iterator[str]:
    """Records made for a run that nobody, or a later attempt, held at that moment."""
    rows = system.database.rows(
        "SELECT * FROM chaos_write WHERE run_status <> 'RUNNING' OR attempt <> run_attempt ORDER BY id"
    )
    for row in rows:
        by_reconciler = row["kind"] == "log" and row["result"] == "run_taken_back"
        by_a_person = row["kind"] == "step" and row["detail"] in {"it happened", "to be done again"}
        if not by_reconciler and not by_a_person:
            yield (
                f"run {row['run']}: stale write: {row['kind']} {row['result']} of attempt {row['attempt']}"
                f" while {row['run_status']} in attempt {row['run_attempt']}"
            )


def _cursors(system: System) -> Iterator[str]:
    """A cursor only moves on, and only in the hands of the run's owner."""
    rows = system.database.rows("SELECT * FROM chaos_run WHERE cursor_was <> cursor_now ORDER BY id")
    for row in rows:
        held = row["was"] == row["now"] == "RUNNING" and row["token_was"] == row["token_now"]
        afresh = row["cursor_now"] == 0 and row["now"] == "PENDING"
        settled = row["was"] == "PARKED" and row["now"] == "PENDING"
        if not (afresh or settled or (held and row["cursor_now"] > row["cursor_was"])):
            yield f"run {row['run']}: cursor from {row['cursor_was']} to {row['cursor_now']} as {row['now']}"


def _overlaps(turns: list[Turn], runs: list[Row]) -> Iterator[str]:
    account_of = {run["id"]: run["username"] for run in runs}
    by_account: dict[str, list[Turn]] = defaultdict(list)
    for turn in turns:
        by_account[account_of[turn.run]].append(turn)
    for username, of_account in by_account.items():
        for one, other in pairwise(of_account):
            if other.began < one.ended:
                yield f"{username}: runs {one.run} and {other.run} were held at the same time"


def _once_steps(system: System, runs: list[Row], report: Report) -> Iterator[str]:
    """The likes on the site against the `once` steps: exactly as many as are DONE, and for each that is
    begun or FAILED, one more at most."""
    clicks: dict[str, list[Row]] = defaultdict(list)
    rows = system.database.rows(
        "SELECT s.*, a.username FROM warmup_steprecord s JOIN warmup_warmupaccount r ON r.id = s.run_id"
        " JOIN core_account a ON a.id = r.account_id WHERE s.do = 'click' ORDER BY s.id"
    )
    for row in rows:
        clicks[row["username"]].append(row)
    bases = _rounds(system)
    likes: dict[str, int] = defaultdict(int)
    for entry in system.site.ledger(action="like"):
        likes[entry["account"]] += 1
        if entry["repeat"]:
            yield f"{entry['account']}: liked {entry['object']} twice"
    report.likes = sum(likes.values())
    several_tasks = len({run["task"] for run in runs}) > 1

    def liked_before(row: Row, which: int) -> bool:
        return which > 0 or several_tasks

    for username in {run["username"] for run in runs}:
        rounds: dict[tuple[int, int], set[str]] = defaultdict(set)
        for row in clicks[username]:
            which = bisect_right(bases[row["run_id"]], row["attempt"] - 1)
            # A like of an earlier round answers the probe of a later one.
            unsure = "by its probe" in row["detail"] and liked_before(row, which)
            rounds[row["run_id"], which].add("PROBED" if unsure else row["result"])
        done = sum("DONE" in results for results in rounds.values())
        doubtful = sum(bool(results - {"SKIPPED"}) and "DONE" not in results for results in rounds.values())
        if not done <= likes[username] <= done + doubtful:
            yield (
                f"{username}: {likes[username]} likes on the site, {done} in the database"
                f" and {doubtful} begun or failed"
            )
    for run in runs:
        results = {row["result"] for row in clicks[run["username"]] if row["run_id"] == run["id"]}
        if run["status"] == "COMPLETED" and clicks and not results & {"DONE", "SKIPPED"}:
            yield f"{run['username']}: COMPLETED without its like"


def _rounds(system: System) -> dict[int, list[int]]:
    """Of each run the attempts at which it was restarted."""
    bases: dict[int, list[int]] = defaultdict(list)
    for row in system.database.rows("SELECT DISTINCT run, base FROM chaos_run WHERE base > 0 ORDER BY base"):
        bases[row["run"]].append(row["base"])
    return bases


def _after_the_end(system: System, turns: list[Turn], runs: list[Row], report: Report) -> Iterator[str]:
    """The site hears of an account only while one of its runs is held."""
    run_of = {run["id"]: run["username"] for run in runs}
    by_account: dict[str, list[Turn]] = defaultdict(list)
    for turn in turns:
        by_account[run_of[turn.run]].append(turn)
    for entry in system.site.ledger():
        at = datetime.fromisoformat(entry["time"]).timestamp()
        before = [turn for turn in by_account[entry["account"]] if turn.began <= at + 0.01]
        if not before:
            yield f"{entry['account']}: {entry['action']} before any run"
            continue
        late = max(0.0, at - max(turn.ended for turn in before))
        report.silence = max(report.silence, round(late, 2))
        if late > SILENCE_SECONDS:
            yield f"{entry['account']}: {entry['action']} {late:.1f} s after the end of its run"


def _left_over(system: System, report: Report) -> Iterator[str]:
    """Orphans and temporary directories; those of workers that wait for work are none."""
    started = time.monotonic()
    while (left := _leftovers(system)) and time.monotonic() - started < ORPHAN_SECONDS:
        time.sleep(0.1)
    report.orphan_seconds = round(time.monotonic() - started, 2)
    for what in left:
        yield f"left after {ORPHAN_SECONDS:g} s: {what}"


def _leftovers(system: System) -> list[str]:
    processes = [f"process {process.pid}" for process in system.browsers.processes()]
    return [*processes, *(f"directory {path.name}" for path in system.browsers.directories())]
