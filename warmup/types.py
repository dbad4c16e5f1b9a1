"""Frozen shapes that the runner and the store exchange across the async line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from core.types import AccountSpec, SiteSpec, StorageState

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
StepResult = Literal["DONE", "SKIPPED", "FAILED"]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write one run: every write carries it, and fails when it is no longer the run's."""

    run_id: int
    token: UUID


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One claimed run, with all that is needed to walk it."""

    lease: Lease
    task_id: int
    attempt: int
    account: AccountSpec
    site: SiteSpec
    # The definition, with its secret texts; `expand` makes the plan of it and the seed.
    playbook: Mapping[str, Any] = field(repr=False)
    seed: int
    cursor: int = 0
    resume_url: str = ""
    start_delay_seconds: float = 0.0
    in_doubt: bool = False  # an earlier owner began the `once` step at the cursor, outcome unknown


@dataclass(frozen=True, slots=True)
class StepReport:
    """What became of one step. Moves the cursor behind it unless it FAILED."""

    lease: Lease
    attempt: int
    index: int
    place: str
    do: str
    label: str
    result: StepResult
    started_at: datetime
    ended_at: datetime
    detail: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line for the task's log."""

    lease: Lease
    at: datetime
    level: Level
    event: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file worth keeping: `kind` is `screenshot` (PNG) or `html` (UTF-8)."""

    lease: Lease
    attempt: int
    step: int
    kind: Literal["screenshot", "html"]
    name: str
    content: bytes = field(repr=False)


EndStatus = Literal["PENDING", "PARKED", "COMPLETED", "FAILED", "STOPPED"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run's turn ended.

    PENDING gives the run back to the queue: after `retry_after_seconds` when an error is to be tried
    again (the store makes it FAILED once the attempts are used up), or at once, and without the
    attempt being counted, when it was only interrupted (`counts_as_attempt=False`: pause, drain).
    """

    status: EndStatus
    reason: str = ""  # PARKED: a ParkReason; otherwise one line for a person
    detail: str = ""
    retry_after_seconds: float = 0.0
    counts_as_attempt: bool = True
    storage_state: StorageState | None = field(default=None, repr=False)
    logged_in_now: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """What the database asks of a slice: to pause or stop its task, and which leases it has lost."""

    pause: bool = False
    stop: bool = False
    lost: frozenset[Lease] = frozenset()


# Whether the intent of a `once` step was recorded, or why the step is to be left out.
IntentAnswer = Literal["go", "limit_reached"]
