"""What the form of a schedule posts."""

from __future__ import annotations

import re
from typing import Any

from django.urls import reverse

from tests import factories
from warmup.models import WarmupSchedule

LIST = reverse("admin:warmup_warmupschedule_changelist")
ADD = reverse("admin:warmup_warmupschedule_add")
PREVIEW = reverse("admin:warmup_warmupschedule_preview")


def page_of(schedule: WarmupSchedule) -> str:
    return reverse("admin:warmup_warmupschedule_change", args=[schedule.pk])


def verb_url(schedule: WarmupSchedule, verb: str) -> str:
    return reverse("admin:warmup_warmupschedule_verb", args=[schedule.pk, verb])


def answers(**changes: Any) -> dict[str, Any]:
    """What the form posts, for a site with three accounts."""
    site = changes.pop("site_row", None) or factories.SiteFactory()
    if not site.accounts.exists():
        factories.AccountFactory.create_batch(3, site=site)
    return {
        "name": "morning",
        "site": site.pk,
        "playbook": factories.make_playbook().pk,
        "newest_playbook": "on",
        "all_accounts": "on",
        "concurrency": 2,
        "delay_min_seconds": 0,
        "delay_max_seconds": 0,
        "rhythm": "cron",
        "cron": "30  6 * * mon-fri",
        "interval_minutes": "",
        "time_zone": "Europe/Berlin",
        "jitter_minutes": 0,
        "overlap": "skip",
        "catch_up_minutes": 60,
        "canary_accounts": 0,
        "canary_percent": 80,
        **changes,
    }


def text_of(response: Any) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))
