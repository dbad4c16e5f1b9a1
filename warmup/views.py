"""Views outside the admin's lists and forms: the files of artifacts, and one's own password."""

from __future__ import annotations

import re
from typing import cast
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from core import artifacts
from core.errors import SecretUnreadable
from warmup import audit
from warmup.models import Artifact

VIEW_ARTIFACTS = "warmup.view_artifact"
# What is served was made by foreign pages: it may run nothing and load nothing.
CONTENT_SECURITY_POLICY = "sandbox; default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"


@require_safe
def artifact_file(request: HttpRequest, name: str) -> HttpResponse:
    """The content of an artifact: a screenshot to be shown, a page's HTML to be saved.

    For those who may view artifacts, and for what may hold secrets those who may use these too; the admin
    has checked that they are staff. 404: there is no such artifact; 410: its file is gone, or no key of
    FIELD_KEYS opens it.
    """
    if not request.user.has_perm(VIEW_ARTIFACTS):
        raise PermissionDenied
    artifact = _find(name)
    if artifact is None:
        return _text(_("There is no such artifact."), status=404)
    if not Artifact.objects.visible_to(request.user).filter(pk=artifact.pk).exists():
        raise PermissionDenied
    try:
        content = artifacts.read(artifact.pk)
    except FileNotFoundError:
        return _text(_("The file of this artifact is gone: it has expired or was removed."), status=410)
    except (OSError, SecretUnreadable) as error:
        return _text(_("The file of this artifact cannot be read: %(why)s") % {"why": error}, status=410)
    is_picture = artifact.kind == Artifact.Kind.SCREENSHOT
    filename = re.sub(r"[^A-Za-z0-9_-]+", "-", artifact.name).strip("-") or "artifact"
    response = HttpResponse(content, content_type="image/png" if is_picture else "text/html; charset=utf-8")
    kind, extension = ("inline", "png") if is_picture else ("attachment", "html")
    response["Content-Disposition"] = f'{kind}; filename="{filename}.{extension}"'
    return _locked(response)


def own_password(request: HttpRequest) -> HttpResponseBase:
    """The admin's page, in its place: it leaves no trace of its own of a change."""
    response: HttpResponseBase = admin.site.password_change(request)
    if response.status_code == 302:  # on to "done"
        user = cast(AbstractBaseUser, request.user)
        audit.record(user, "change", user, reason="own password")
    return response


def _find(name: str) -> Artifact | None:
    try:
        return Artifact.objects.filter(pk=UUID(name)).first()
    except ValueError:
        return None


def _text(text: str, *, status: int) -> HttpResponse:
    return _locked(HttpResponse(text, content_type="text/plain; charset=utf-8", status=status))


def _locked(response: HttpResponse) -> HttpResponse:
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
