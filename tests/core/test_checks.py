"""System checks: settings that do not fit together."""

from __future__ import annotations

import os
from typing import Any

import pytest

from core import checks


def ids(found: list[Any]) -> list[str]:
    return [str(message.id) for message in found]


def test_the_settings_as_they_are_shipped_pass() -> None:
    assert ids(checks.check_timeouts()) == ids(checks.check_lease()) == []


@pytest.mark.parametrize(
    ("timeout", "retry", "expected"),
    [
        (None, 99999, "core.E001"),
        (315, 99999, "core.E001"),
        (345, 1044, "core.E002"),
        (345, None, "core.E002"),
    ],
)
def test_queue_that_would_run_a_job_twice(settings: Any, timeout: Any, retry: Any, expected: str) -> None:
    settings.Q_CLUSTER = {"timeout": timeout, "retry": retry}

    assert ids(checks.check_timeouts()) == [expected]


def test_lease_that_one_late_heartbeat_would_lose(settings: Any) -> None:
    settings.WARMUP_LEASE_SECONDS = 29

    assert ids(checks.check_lease()) == ["core.E003"]


def test_root_is_warned_unless_acknowledged(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert ids(checks.check_root()) == []
    settings.WARMUP_ALLOW_ROOT = False
    assert ids(checks.check_root()) == ["core.W001"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ids(checks.check_root()) == []
