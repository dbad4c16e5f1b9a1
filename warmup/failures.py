"""Failures of a task that are alike: by what failed where, without what varies between accounts."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Count, Min

from warmup.models import WarmupTask
from warmup.states import RunStatus

# More different reasons than a person reads; what is left out is the rarest.
REASONS_READ = 1000

_URL = re.compile(r"\b(https?)://([^\s/'\"?#]+)([^\s'\"?#:]*)(?:[?#][^\s'\":]*)?")
# A part of a path that names one thing: it has a digit, or is as long as a token.
_NAMES_ONE = re.compile(r"[^/]*\d[^/]*|[^/]{25,}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Failed runs of one task whose reasons follow one pattern."""

    pattern: str
    count: int
    # The key of the oldest of them.
    example: int
    # As they stand in the runs: `services.restart` takes them.
    reasons: tuple[str, ...]

    @property
    def key(self) -> str:
        """For an address: 16 hexadecimal digits that stay the same for the pattern."""
        return hashlib.sha256(self.pattern.encode("utf-8", "replace")).hexdigest()[:16]


def pattern(reason: str) -> str:
    """A run's reason without what differs between accounts that failed alike.

    `steps[3] click like: opening http://a.test/u/41?x=1: 404` becomes
    `steps[3] click like: opening http://a.test/u/*: #`. The place, before the first colon, stays.
    """
    place, colon, text = reason.partition(": ")
    if not colon:
        place, text = "", reason
    return place + colon + _NUMBER.sub("#", _URL.sub(_alike, text))


def _alike(found: re.Match[str]) -> str:
    scheme, host, path = found.groups()
    # A port is a number like others, and one site has one.
    return f"{scheme}://{host.partition(':')[0]}{_NAMES_ONE.sub('*', path)}"


def clusters(task: WarmupTask) -> list[Cluster]:
    """The failed runs of a task, those that are alike together, the most frequent first; one query."""
    rows = (
        task.runs.filter(status=RunStatus.FAILED)
        .order_by()
        .values_list("reason")
        .annotate(count=Count("pk"), example=Min("pk"))
        .order_by("-count", "example")[:REASONS_READ]
    )
    alike: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for row in rows:
        alike[pattern(row[0])].append(row)
    found = [
        Cluster(
            shape,
            sum(count for _, count, _ in group),
            min(example for _, _, example in group),
            tuple(reason for reason, _, _ in group),
        )
        for shape, group in alike.items()
    ]
    return sorted(found, key=lambda cluster: (-cluster.count, cluster.example))
