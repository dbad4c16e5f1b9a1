"""Where tasks stand: what lists, pages, confirmations and the moving parts show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, Q

from warmup import reporting
from warmup.models import WarmupAccount, WarmupTask
from warmup.states import TASK_CLAIMABLE, ParkReason, RunStatus, TaskStatus


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a progress bar, in hundredths of its width."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Board:
    """Where one task stands."""

    task_id: int
    status: str
    stop_requested: bool = False
    progress: float = 0.0  # from 0 to 1
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RunStatus.values, 0))
    in_doubt: int = 0  # of the parked ones, those that only `settle` helps

    @property
    def total(self) -> int:
        """How many accounts take part; 0 before the start."""
        return sum(self.counts.values())

    @property
    def live(self) -> int:
        """How many runs wait or run."""
        return self.counts[RunStatus.PENDING] + self.counts[RunStatus.RUNNING]

    @property
    def running(self) -> int:
        """How many runs a worker holds."""
        return self.counts[RunStatus.RUNNING]

    @property
    def solvable(self) -> int:
        """How many parked runs can go on when a person has seen to their account."""
        return self.counts[RunStatus.PARKED] - self.in_doubt

    @property
    def moving(self) -> bool:
        """Whether what is shown of the task may change by itself."""
        return self.status in TASK_CLAIMABLE or (self.status == TaskStatus.PAUSED and self.running > 0)

    @property
    def percent(self) -> int:
        """The progress in whole hundredths; 100 only when nothing is left."""
        return int(self.progress * 100)

    @property
    def segments(self) -> list[Segment]:
        """The pieces of the progress bar, from left to right."""
        pieces: list[Segment] = []
        start = 0.0
        kinds = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.PARKED, RunStatus.STOPPED)
        for status in kinds:
            width = 100 * self.counts[status] / self.total if self.total else 0.0
            pieces.append(Segment(status.value.lower(), round(start, 2), round(width, 2)))
            start += width
        pieces.append(Segment("moving", round(start, 2), round(max(0.0, self.progress * 100 - start), 2)))
        return pieces


def boards(tasks: Iterable[WarmupTask]) -> dict[int, Board]:
    """The boards of these tasks by their ids, in two queries."""
    by_id = {task.pk: task for task in tasks}
    progress = reporting.progress(list(by_id))
    counts: dict[int, dict[str, int]] = {pk: dict.fromkeys(RunStatus.values, 0) for pk in by_id}
    doubts: dict[int, int] = {}
    rows = (
        WarmupAccount.objects.filter(task_id__in=by_id)
        .order_by()
        .values("task_id", "status")
        .annotate(number=Count("pk"), doubt=Count("pk", filter=Q(reason=ParkReason.IN_DOUBT)))
    )
    for row in rows:
        counts[row["task_id"]][row["status"]] = row["number"]
        if row["status"] == RunStatus.PARKED:
            doubts[row["task_id"]] = row["doubt"]
    return {
        pk: Board(
            task_id=pk,
            status=task.status,
            stop_requested=task.stop_requested_at is not None and not task.is_final,
            progress=progress[pk],
            counts=counts[pk],
            in_doubt=doubts.get(pk, 0),
        )
        for pk, task in by_id.items()
    }
