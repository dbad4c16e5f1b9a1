"""How long a log-in holds: until the browser is closed, nobody is there, or the longest time has passed."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest, HttpResponse

BEGAN, SEEN = "began", "seen"  # seconds since the epoch, in the session
# A page that polls writes nothing, and a person at work no more than this often.
WRITE_SECONDS = 60


def begin(request: HttpRequest, **_: Any) -> None:
    """Start both clocks at a log-in."""
    request.session[BEGAN] = request.session[SEEN] = int(time.time())


user_logged_in.connect(begin, dispatch_uid="core.sessions.begin")


class SessionLimitsMiddleware:
    """Logs people out who were away for SESSION_IDLE_MINUTES, or logged in for SESSION_MAX_HOURS.

    A page that polls does not count as a person at work.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        partial = "HX-Request" in request.headers
        if SESSION_KEY in request.session:
            now = int(time.time())
            if _is_over(request.session, now):
                logout(request)
                if partial:  # the whole page is to go to the log-in, and not a part of it
                    return HttpResponse(headers={"HX-Refresh": "true"})
            elif now - request.session[SEEN] >= WRITE_SECONDS and not (partial and request.method == "GET"):
                request.session[SEEN] = now
        return self.get_response(request)


def _is_over(session: MutableMapping[str, Any], now: int) -> bool:
    began, seen = session.get(BEGAN), session.get(SEEN)
    if began is None or seen is None:
        return True  # made before these limits
    longest, idle = settings.SESSION_MAX_HOURS * 3600, settings.SESSION_IDLE_MINUTES * 60
    return bool(now - began > longest or now - seen > idle)
