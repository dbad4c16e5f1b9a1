"""Failures that are alike, on the page of their task: how many, an example, and starting them again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from warmup import services
from warmup.admin.display import object_url
from warmup.admin.verbs import VERBS, Verb
from warmup.failures import Cluster, clusters
from warmup.models import WarmupAccount, WarmupTask

CLUSTERS_SHOWN = 10


def context(request: HttpRequest, task: WarmupTask, failed: int, *, control: bool) -> dict[str, Any]:
    """The card's parts. It is sent again only when the number of failures has changed."""
    changed = request.GET.get("failed") != str(failed)
    found = clusters(task) if failed and changed else []
    return {
        "failures_changed": changed,
        "failed": failed,
        "clusters_more": max(0, len(found) - CLUSTERS_SHOWN),
        "clusters": [_row(task, cluster, control=control) for cluster in found[:CLUSTERS_SHOWN]],
    }


def _row(task: WarmupTask, cluster: Cluster, *, control: bool) -> dict[str, Any]:
    restart = reverse("admin:warmup_warmuptask_restart_cluster", args=[task.pk, cluster.key])
    return {
        "count": cluster.count,
        "pattern": cluster.pattern,
        "example_url": object_url(WarmupAccount(pk=cluster.example)),
        "restart_url": restart if control else "",
    }


def restart_verb(task: WarmupTask, key: str) -> Verb | None:
    """The verb that starts the runs of one cluster again; None when there is none any more."""
    cluster = next((found for found in clusters(task) if found.key == key), None)
    if cluster is None:
        return None
    count, reasons = cluster.count, cluster.reasons
    return replace(
        VERBS["restart_failed"],
        title=_("Restart these"),
        consequence=_("The runs that failed alike begin again from their first step; their history stays."),
        touches=lambda _board: count,
        carry_out=lambda task, by: services.restart(task, which="failed", by=by, reasons=reasons),
    )
