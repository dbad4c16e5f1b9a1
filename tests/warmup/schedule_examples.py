"""Schedules for tests, and a clock to turn."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests import factories
from warmup import schedules
from warmup.models import ScheduleFiring, WarmupSchedule, WarmupTask
from warmup.types import Outcome

# A Monday morning.
EIGHT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NINE = EIGHT + timedelta(hours=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Clock:
    """What the database says the time is."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


def make_schedule(accounts: int = 3, **fields: Any) -> WarmupSchedule:
    """Every day at nine UTC, for fresh accounts of one site; its first slot comes after now."""
    site = fields.pop("site", None) or factories.SiteFactory()
    people = factories.AccountFactory.create_batch(accounts, site=site)
    fields = {
        "name": f"schedule-{uuid.uuid4().hex[:8]}",
        "playbook": factories.make_playbook(),
        "all_accounts": False,
        "cron": "0 9 * * *",
        "concurrency": 100,
        **fields,
    }
    schedule = WarmupSchedule(site=site, **fields)
    schedules.save(schedule, ())
    schedule.accounts.set(people)
    return schedule


def fired(schedule: WarmupSchedule) -> list[tuple[datetime, str]]:
    """What its slots came to, the oldest first."""
    return [(firing.slot, str(firing.status)) for firing in schedule.firings.order_by("slot")]


def last(schedule: WarmupSchedule) -> ScheduleFiring:
    return schedule.firings.select_related("task", "canary").latest("slot")


def end(task: WarmupTask | None, *, completed: int = 0, failed: int = 0) -> None:
    """End so many runs of a task."""
    assert task is not None
    for status, number in (("COMPLETED", completed), ("FAILED", failed)):
        for _ in range(number):
            factories.end(task, Outcome(status))  # type: ignore[arg-type]  # a final status
