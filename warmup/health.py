"""Whether the system does its work, as `manage.py healthcheck` tells a supervisor or a person."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.utils import Error as DatabaseError

from core import browser
from core.errors import BrowserUnavailable
from warmup import queue, store
from warmup.jobs import browser_options
from warmup.models import WarmupTask

# Work that could go on, and has not for so long while no worker shows a sign of life, is stuck.
STALLED_SECONDS = 90
BROWSER_SECONDS = 60


def problems(*, with_browser: bool = True) -> dict[str, str]:
    """What is wrong, by part: `database`, `broker`, `workers`, `work`, `browser`. Empty: all is well."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return {"database": f"does not answer: {error}".strip()}
    found = {}
    if problem := queue.broker_problem():
        found["broker"] = problem
    elif not queue.live_workers():
        found["workers"] = "none is alive: start `manage.py qcluster`"
    if problem := _stalled():
        found["work"] = problem
    if with_browser and (problem := _browser_problem()):
        found["browser"] = problem
    return found


def _stalled() -> str:
    """Work that waits although it could go on: for long without any sign of life, or far too long."""
    now = store.database_now()
    silence = store.seconds_since_beat()
    silent = silence is None or silence > STALLED_SECONDS / 2
    # Workers that are busy with other tasks give way after a slice.
    patience = STALLED_SECONDS if silent else int(settings.Q_CLUSTER["timeout"])
    old = Q(moved_at=None) | Q(moved_at__lt=now - timedelta(seconds=patience))
    for task in WarmupTask.objects.claimable().filter(old).order_by("moved_at")[:20]:
        # A run that has a time of its own was no work before it.
        if store.has_work(task.pk) and task.runs.claimable(now - timedelta(seconds=patience)).exists():
            waited = int((now - task.moved_at).total_seconds()) if task.moved_at else 0
            return f"task '{task}' could go on, and has not for {waited} s"
    return ""


def _browser_problem() -> str:
    try:
        asyncio.run(asyncio.wait_for(browser.probe(browser_options()), BROWSER_SECONDS))
    except BrowserUnavailable as error:
        return str(error)
    except TimeoutError:
        return f"did not start and answer within {BROWSER_SECONDS} s"
    return ""
