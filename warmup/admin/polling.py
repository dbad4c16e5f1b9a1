"""Polls that cost little: while nothing has changed, one query beside the log-in's and no body.

The browser keeps the last answer and asks with its tag (RFC 9110, If-None-Match); a page of ours that polls
need not know.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.utils.translation import get_language

from warmup.models import Artifact, LogLine, WarmupAccount, WarmupTask

# What changes without a row changing (how long something takes, that no worker lives any more) is shown
# anew after at most so long.
STALE_SECONDS = 15


def answer(
    request: HttpRequest, version: Iterable[Sequence[Any]], respond: Callable[[], HttpResponse]
) -> HttpResponse:
    """`respond()` with a tag made of `version`; or, if the browser has just that already, 304.

    The view must not be under `never_cache`: wrap it with `admin_view(view, cacheable=True)`.
    """
    window = int(time.time() / STALE_SECONDS)
    seen = (list(version), window, request.user.pk, get_language(), request.get_full_path())
    tag = f'"{hashlib.sha256(repr(seen).encode("utf-8", "replace")).hexdigest()[:32]}"'
    response = get_conditional_response(request, etag=tag) or respond()
    response.headers["ETag"] = tag
    # Kept, but never used without asking.
    patch_cache_control(response, private=True, no_cache=True)
    patch_vary_headers(response, ["Cookie", "Accept-Language"])
    return response


def tasks_version(ids: Iterable[int]) -> list[tuple[Any, ...]]:
    """What tells whether anything that is shown of these tasks has changed; one query.

    Each change of a run moves its task's `moved_at` or `status`, and each step leaves a log line.
    """
    last_line = LogLine.objects.filter(task=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    rows = WarmupTask.objects.filter(pk__in=list(ids)).order_by("pk")
    return list(rows.values_list("pk", "status", "stop_requested_at", "moved_at", Subquery(last_line)))


def run_version(run_id: int) -> list[tuple[Any, ...]]:
    """The same for one run; one query."""
    last_line = LogLine.objects.filter(run=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    last_file = Artifact.objects.filter(run=OuterRef("pk")).order_by("-created_at").values("created_at")[:1]
    rows = WarmupAccount.objects.filter(pk=run_id)
    return list(
        rows.values_list(
            "status",
            "reason",
            "cursor",
            "attempt",
            "available_at",
            "task__status",
            "task__stop_requested_at",
            Subquery(last_line),
            Subquery(last_file),
        )
    )
