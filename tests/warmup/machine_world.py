"""What the state machine of `test_machine` plays on: a clock, sites, playbooks, and stand-ins.

Made once for a test; `begin` brings it back for each example, whose rows are rolled back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core import artifacts
from core.models import Account, AccountSecret, Site
from tests import factories
from warmup import queue, services
from warmup.models import Playbook
from warmup.playbooks.schema import parse_playbook

START = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)

# Each begins with another kind of step: what is repeatable, `once` by its probe, `once` without one, `ask`.
DEFINITIONS: Sequence[list[dict[str, Any]]] = (
    [
        {"do": "open", "target": "feed"},
        {"do": "click", "target": "like", "counts_as": "like", "done": ".liked"},
        {"do": "scroll", "pixels": 900},
    ],
    [
        {"do": "click", "target": "like"},
        {"do": "scroll", "pixels": 300},
        {"do": "click", "target": "card", "effect": "ask", "counts_as": "like", "done": ".open"},
    ],
    [
        {"do": "watch", "seconds": 20, "effect": "once", "done": ".watched"},
        {"do": "click", "target": "like", "effect": "repeatable"},
    ],
    [
        {"do": "watch", "seconds": 20, "effect": "ask"},
        {"do": "click", "target": "like", "done": ".liked"},
    ],
)


class Clock:
    """The database's clock. No other one means anything to a lease."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class World:
    """Two sites (the second with limits), their accounts, and stand-ins for queue, disk and processes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sites: list[Site] = [
            factories.SiteFactory(),
            factories.SiteFactory(concurrency=2, daily_limits={"like": 2}),
        ]
        self.concurrency = {site.pk: site.concurrency for site in self.sites}
        self.accounts: list[list[Account]] = [
            factories.AccountFactory.create_batch(3, site=site) for site in self.sites
        ]
        self.secrets = dict(AccountSecret.objects.values_list("account_id", "password"))
        self.begin()

    def begin(self) -> None:
        """As before the first example; the rows are the transaction's to bring back."""
        self.clock.now = START
        self.woken: list[tuple[int, int]] = []
        self.gone: set[str] = set()
        self.files: set[UUID] = set()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the clock and the stand-ins where the code looks for them."""
        for name, module in sorted(sys.modules.items()):
            if name.startswith("warmup.") and hasattr(module, "database_now"):
                monkeypatch.setattr(module, "database_now", self.clock)
        monkeypatch.setattr(queue, "wake", self._wake)
        monkeypatch.setattr(services, "owner_is_gone", lambda worker: worker in self.gone)
        monkeypatch.setattr(artifacts, "write", self._write)
        monkeypatch.setattr(artifacts, "delete", lambda name: self.files.discard(name))

    def _wake(self, task_id: int, slices: int = 1) -> None:
        self.woken.append((task_id, slices))

    def _write(self, name: UUID, content: bytes) -> int:
        self.files.add(name)
        return len(content)


def save_playbook(number: int) -> Playbook:
    """A version of the one playbook; the same one when its newest version says the same."""
    spec = parse_playbook({"name": "browse", "steps": DEFINITIONS[number]})
    return Playbook.save_version(spec)[0]
