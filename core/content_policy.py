"""The content security policy of every page: a header of `settings.SECURE_CSP`, in Django 6's own form."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
# Django's debug pages work by inline scripts.
DEBUG_STATUSES = frozenset({404, 500})


class ContentPolicyMiddleware:
    """Adds the header where a view has not set a stricter one of its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.policy = "; ".join(" ".join([name, *sources]) for name, sources in settings.SECURE_CSP.items())

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not (settings.DEBUG and response.status_code in DEBUG_STATUSES):
            response.headers.setdefault(HEADER, self.policy)
        return response
