"""System checks: settings that are each legal, but not together."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution


@register()
def check_timeouts(**_: Any) -> list[CheckMessage]:
    """A job must end by its own deadline, long before django-q2 kills it or delivers it again."""
    faults: list[CheckMessage] = []
    queue = settings.Q_CLUSTER
    timeout, retry = queue.get("timeout"), queue.get("retry")
    needed = (
        settings.WARMUP_SLICE_SECONDS + settings.WARMUP_STEP_TIMEOUT_SECONDS + settings.WARMUP_CLEANUP_SECONDS
    )
    if not isinstance(timeout, int) or timeout <= needed:
        faults.append(
            Error(
                f"Q_CLUSTER['timeout'] is {timeout}: a slice may need {needed} s (WARMUP_SLICE_SECONDS + "
                "WARMUP_STEP_TIMEOUT_SECONDS + WARMUP_CLEANUP_SECONDS)",
                hint=f"Set it above {needed}.",
                id="core.E001",
            )
        )
    elif not isinstance(retry, int) or retry <= 3 * (timeout + 3):
        faults.append(
            Error(
                f"Q_CLUSTER['retry'] is {retry}: it counts from the prefetch, so jobs would be run twice",
                hint=f"Set it above 3 * (timeout + 3) = {3 * (timeout + 3)}.",
                id="core.E002",
            )
        )
    return faults


@register()
def check_lease(**_: Any) -> list[CheckMessage]:
    """A lease must outlive a few missed heartbeats, and on SQLite the longest wait for the write lock."""
    lease, heartbeat = settings.WARMUP_LEASE_SECONDS, settings.WARMUP_HEARTBEAT_SECONDS
    faults: list[CheckMessage] = []
    if lease < 3 * heartbeat:
        faults.append(
            Error(
                f"WARMUP_LEASE_SECONDS is {lease} and WARMUP_HEARTBEAT_SECONDS {heartbeat}:"
                " one late heartbeat would lose every run",
                hint=f"Set WARMUP_LEASE_SECONDS to {3 * heartbeat} or more.",
                id="core.E003",
            )
        )
    return faults


@register()
def check_root(**_: Any) -> list[CheckMessage]:
    """Chromium's sandbox does not work for root: then the browser runs without it."""
    if os.geteuid() != 0 or settings.WARMUP_ALLOW_ROOT:
        return []
    return [
        Caution(
            "the workers run as root, and Chromium therefore without its sandbox",
            hint="Run them as a user of their own, or set WARMUP_ALLOW_ROOT=true to accept it.",
            id="core.W001",
        )
    ]
