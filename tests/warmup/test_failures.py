"""Failures that are alike."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from warmup import services
from warmup.failures import clusters, pattern
from warmup.models import WarmupTask
from warmup.states import RunStatus
from warmup.types import Outcome


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("steps[3] click like: not done after 12.5 s", "steps[3] click like: not done after # s"),
        (
            "steps[3] open feed: http://a.test:8801/u/41?x=1#y: 404",
            "steps[3] open feed: http://a.test/u/*: #",
        ),
        (
            "log-in: opening https://a.test/feed: net::ERR_X",
            "log-in: opening https://a.test/feed: net::ERR_X",
        ),
        ("the browser died", "the browser died"),
        ("attempt 3: the worker was lost (host:1:2)", "attempt 3: the worker was lost (host:#:#)"),
        ("x: http://a.test/" + "k" * 30, "x: http://a.test/*"),
        ("", ""),
    ],
)
def test_pattern_leaves_out_what_varies(reason: str, expected: str) -> None:
    assert pattern(reason) == expected


def failed(*reasons: str) -> WarmupTask:
    task = factories.started_task(len(reasons) + 1)
    for reason in reasons:
        factories.end(task, Outcome("FAILED", reason=reason))
    return task


LATE = ["steps[1] click like: not done after 2 s", "steps[1] click like: not done after 30 s"]


@pytest.mark.django_db
def test_runs_that_failed_alike_are_counted_together(django_assert_num_queries: Any) -> None:
    task = failed("steps[0] open feed: 500", *LATE)
    failed("another task")

    with django_assert_num_queries(1):
        late, other = clusters(task)

    assert (late.pattern, late.count, sorted(late.reasons)) == (pattern(LATE[0]), 2, sorted(LATE))
    assert task.runs.get(pk=late.example).reason in LATE
    assert (other.pattern, other.count) == ("steps[0] open feed: #", 1)
    assert late.key != other.key


@pytest.mark.django_db
def test_restart_of_a_cluster_restarts_no_other(django_assert_num_queries: Any) -> None:
    task = failed("steps[0] open feed: 500", *LATE)
    late = clusters(task)[0]

    assert services.restart(task, which="failed", by=None, reasons=late.reasons) == 2

    assert task.runs.filter(status=RunStatus.FAILED).get().reason == "steps[0] open feed: 500"
