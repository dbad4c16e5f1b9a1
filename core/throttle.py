"""Log-ins are throttled by django-axes, which counts the failures in the database. These are its rules.

Five failures lock for half an hour: one user name from anywhere, and one address for any name. From an
address where a user has logged in lately, only that pair counts. So an outsider who guesses locks a
user out of new addresses, but not out of the usual one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv6Network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt, AccessLog
from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from unfold.forms import AuthenticationForm

from core.client import client_address

KNOWN_DAYS = 90
# Failures are counted behind the check of a password: in one process, no two are checked at once.
_one_at_a_time = threading.Lock()

Credentials = Mapping[str, Any] | None


def throttled_address(request: HttpRequest) -> str | None:
    """The client's address; of IPv6 the /64 network, which is what one client has."""
    address = client_address(request)
    if address and ":" in address:
        return str(IPv6Network((address, 64), strict=False).network_address)
    return address


def stored_name(request: HttpRequest, credentials: Credentials) -> str:
    """The name to count under; of nobody's name a digest: people type passwords into the wrong field."""
    name = str((credentials or {}).get("username") or request.POST.get("username", ""))
    if get_user_model()._default_manager.filter(username=name).exists():
        return name
    return f"unknown-{salted_hmac('core.throttle', name).hexdigest()[:16]}"


def lockout_parameters(request: HttpRequest, credentials: Credentials) -> list[str | list[str]]:
    """What is counted for this log-in."""
    known = AccessLog.objects.filter(
        username=stored_name(request, credentials),
        ip_address=throttled_address(request),
        attempt_time__gte=timezone.now() - timedelta(days=KNOWN_DAYS),
    )
    return [["username", "ip_address"]] if known.exists() else ["username", "ip_address"]


def client_text(_name: str, address: str | None, *_: Any) -> str:
    """What django-axes writes into the log of a client."""
    return str(address)


class Handler(AxesDatabaseHandler):  # type: ignore[misc]  # django-axes is not typed
    """A log-in clears the failures of this user from this address, and of nobody else."""

    def reset_user_attempts(self, request: HttpRequest, credentials: Credentials = None) -> int:
        name, address = stored_name(request, credentials), throttled_address(request)
        deleted, _rows = AccessAttempt.objects.filter(username=name, ip_address=address).delete()
        return int(deleted)


class LogInForm(AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """Says so when log-ins are locked."""

    def clean(self) -> Any:
        with _one_at_a_time:
            return super().clean()

    def get_invalid_login_error(self) -> forms.ValidationError:
        if not getattr(self.request, "axes_locked_out", False):
            error: forms.ValidationError = super().get_invalid_login_error()
            return error
        text = _(
            "Too many failed log-ins: further ones are not tried for %(minutes)d minutes."
            " Wait, or ask an admin to unlock you."
        )
        minutes = settings.AXES_COOLOFF_TIME.total_seconds() // 60
        return forms.ValidationError(text % {"minutes": minutes}, code="locked")


def answer(_request: HttpRequest, page: HttpResponse, _credentials: Credentials) -> HttpResponse:
    """The log-in page, which says why, as `429 Too Many Requests`."""
    page.status_code = 429
    page["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return page
