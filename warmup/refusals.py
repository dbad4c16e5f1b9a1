"""What was refused, in the audit: changes that somebody may not make, and log-ins that are locked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axes.signals import user_locked_out
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from core.client import current_address
from warmup import audit
from warmup.audit import Actor
from warmup.models import AuditEntry

READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
LOCKED = "log-in refused"


class RefusalMiddleware:
    """Records each request of a person that would change something and was answered with 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in READING or not request.user.is_authenticated:
            return self.get_response(request)
        by: Actor = request.user  # whoever asked, even if the view logs them out
        response = self.get_response(request)
        if response.status_code == 403:
            audit.record_refusal(by, "refused", request.path, reason=f"{request.method}: not permitted")
        return response


def watch_log_ins() -> None:
    """Have locked log-ins recorded."""
    user_locked_out.connect(_locked, dispatch_uid="warmup.refusals.locked")


def _locked(*, username: str, **_: Any) -> None:
    """Once for each name and address while the lock lasts: who guesses a thousand times fills no table."""
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    same = AuditEntry.objects.filter(verb=LOCKED, object=username, address=current_address(), at__gte=since)
    if not same.exists():
        audit.record_refusal(None, LOCKED, username, reason="too many failed log-ins")
