"""Statuses and the only table of legal changes: code, database constraints and the diagram use it.

`python -m warmup.states` prints the diagram of `docs/states.md`; `make check` compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class TaskStatus(TextChoices):
    """Status of a warm-up task. All but PENDING and STOPPED are derived from its runs."""

    PENDING = "PENDING", _("Pending")
    QUEUED = "QUEUED", _("Queued")
    RUNNING = "RUNNING", _("Running")
    PAUSED = "PAUSED", _("Paused")
    COMPLETED = "COMPLETED", _("Completed")
    PARTIAL = "PARTIAL", _("Partial")
    FAILED = "FAILED", _("Failed")
    STOPPED = "STOPPED", _("Stopped")


class RunStatus(TextChoices):
    """Status of one account's run within a task."""

    PENDING = "PENDING", _("Pending")
    RUNNING = "RUNNING", _("Running")
    PARKED = "PARKED", _("Parked")
    COMPLETED = "COMPLETED", _("Completed")
    FAILED = "FAILED", _("Failed")
    STOPPED = "STOPPED", _("Stopped")


class ParkReason(TextChoices):
    """Why a run waits for a person."""

    CHALLENGE = "challenge", _("A challenge is shown")
    LOGGED_OUT = "logged_out", _("Logged out")
    IN_DOUBT = "in_doubt", _("In doubt whether a step happened")


class FiringStatus(TextChoices):
    """Status of what one slot of a schedule came to."""

    WAITING = "WAITING", _("Waiting for the one before")
    CANARY = "CANARY", _("Canary first")
    STARTED = "STARTED", _("Started")
    HELD = "HELD", _("Others held")
    SKIPPED = "SKIPPED", _("Skipped")
    MISSED = "MISSED", _("Missed")
    FAILED = "FAILED", _("Could not start")


Transitions = Mapping[str, frozenset[str]]

_TASK_ENDS = frozenset({TaskStatus.COMPLETED, TaskStatus.PARTIAL, TaskStatus.FAILED, TaskStatus.STOPPED})

TASK_TRANSITIONS: Transitions = {
    TaskStatus.PENDING: frozenset({TaskStatus.QUEUED, TaskStatus.STOPPED}),
    TaskStatus.QUEUED: frozenset({TaskStatus.RUNNING, TaskStatus.PAUSED, *_TASK_ENDS}),
    TaskStatus.RUNNING: frozenset({TaskStatus.PAUSED, *_TASK_ENDS}),
    TaskStatus.PAUSED: frozenset({TaskStatus.QUEUED, *_TASK_ENDS}),
    # An ended task goes on when it is restarted, or when a person settles a parked account. A stopped
    # run that is restarted and stopped again, say, ends differently only by way of QUEUED.
    TaskStatus.COMPLETED: frozenset({TaskStatus.QUEUED}),
    TaskStatus.PARTIAL: frozenset({TaskStatus.QUEUED}),
    TaskStatus.FAILED: frozenset({TaskStatus.QUEUED}),
    TaskStatus.STOPPED: frozenset({TaskStatus.QUEUED}),
}

RUN_TRANSITIONS: Transitions = {
    RunStatus.PENDING: frozenset({RunStatus.RUNNING, RunStatus.STOPPED}),
    RunStatus.RUNNING: frozenset(
        {RunStatus.PENDING, RunStatus.PARKED, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.STOPPED}
    ),
    RunStatus.PARKED: frozenset({RunStatus.PENDING, RunStatus.STOPPED}),
    RunStatus.COMPLETED: frozenset({RunStatus.PENDING}),
    RunStatus.FAILED: frozenset({RunStatus.PENDING}),
    RunStatus.STOPPED: frozenset({RunStatus.PENDING}),
}

# A firing is made WAITING, and decided at once unless a task before it has not ended.
FIRING_TRANSITIONS: Transitions = {
    FiringStatus.WAITING: frozenset(
        {
            FiringStatus.CANARY,
            FiringStatus.STARTED,
            FiringStatus.SKIPPED,
            FiringStatus.MISSED,
            FiringStatus.FAILED,
        }
    ),
    FiringStatus.CANARY: frozenset({FiringStatus.STARTED, FiringStatus.HELD, FiringStatus.FAILED}),
    FiringStatus.STARTED: frozenset(),
    FiringStatus.HELD: frozenset(),
    FiringStatus.SKIPPED: frozenset(),
    FiringStatus.MISSED: frozenset(),
    FiringStatus.FAILED: frozenset(),
}

TASK_FINAL: frozenset[str] = _TASK_ENDS
TASK_ACTIVE: frozenset[str] = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.PAUSED})
# Tasks of which a worker may claim runs.
TASK_CLAIMABLE: frozenset[str] = frozenset({TaskStatus.QUEUED, TaskStatus.RUNNING})

RUN_FINAL: frozenset[str] = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.STOPPED})
RUN_ACTIVE: frozenset[str] = frozenset({RunStatus.RUNNING})
FIRING_OPEN: frozenset[str] = frozenset({FiringStatus.WAITING, FiringStatus.CANARY})
FIRING_FINAL: frozenset[str] = frozenset(FiringStatus.values) - FIRING_OPEN
# A task is not ended while it has one of these. PARKED waits for a person, and nobody waits for that.
RUN_LIVE: frozenset[str] = frozenset({RunStatus.PENDING, RunStatus.RUNNING})


def sources(transitions: Transitions, to: str) -> frozenset[str]:
    """The statuses from which `to` may be reached."""
    return frozenset(status for status, targets in transitions.items() if to in targets)


def derive_task_status(counts: Mapping[str, int], *, stop_requested: bool) -> TaskStatus | None:
    """The final status that these run counts mean, or None while a run is live.

    A task without runs is FAILED: nothing was completed.
    """
    total = sum(counts.values())
    completed = counts.get(RunStatus.COMPLETED, 0)
    if sum(counts.get(status, 0) for status in RUN_LIVE):
        return None
    if total and completed == total:
        return TaskStatus.COMPLETED
    if stop_requested:
        return TaskStatus.STOPPED
    return TaskStatus.PARTIAL if completed else TaskStatus.FAILED


def diagram() -> str:
    """The transition tables as Mermaid state diagrams, in Markdown."""
    parts = []
    for title, transitions, final in (
        ("Warm-up task", TASK_TRANSITIONS, TASK_FINAL),
        ("Account run", RUN_TRANSITIONS, RUN_FINAL),
        ("Firing of a schedule", FIRING_TRANSITIONS, FIRING_FINAL),
    ):
        first = next(iter(transitions))
        lines = [f"## {title}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {first!s}"]
        for status, targets in transitions.items():
            lines += [f"    {status!s} --> {target}" for target in sorted(targets)]
        lines += [f"    {status!s} --> [*]" for status in transitions if status in final]
        parts.append("\n".join([*lines, "```"]))
    return "\n\n".join(parts) + "\n"


def document() -> str:
    """The whole text of `docs/states.md`."""
    return (
        "# States\n\nGenerated from the tables in `warmup/states.py` by `make generated`; do not edit.\n\n"
        + diagram()
        + "\nA final status has `completed_at`, the others have none; the database enforces it.\n"
        "A PARKED run waits for a person: its task may end meanwhile, and goes on when the person has"
        " settled it.\n"
    )


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201
