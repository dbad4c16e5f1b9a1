"""Every URL of the project, as the resolver has them; what stands for an object is filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

ADMIN_PAGES = ("changelist", "add", "history", "delete", "change", "redirect")


@dataclass(frozen=True)
class Url:
    """One pattern: `name` is `admin:core_site_change`, or `admin:` and what it matches."""

    name: str
    route: str
    model: type[Model] | None = None  # of an ordinary page of the admin
    page: str = ""


def every_url() -> Iterator[Url]:
    """All patterns, with those of `ModelAdmin` told apart from the others."""
    pages = {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}": (model, page)
        for model in admin.site._registry
        for page in ADMIN_PAGES
    }
    for name, route in _walk(get_resolver().url_patterns):
        model, page = pages.get(name, (None, ""))
        yield Url(name, route, model, page)


def _walk(patterns: Any, namespaces: tuple[str, ...] = (), before: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        route = f"{before}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            inner = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from _walk(pattern.url_patterns, inner, route)
        elif isinstance(pattern, URLPattern):
            yield ":".join((*namespaces, pattern.name or _unnamed(route))), route


def _unnamed(route: str) -> str:
    """Django's redirect to the page of a row has no name, nor has what catches the rest."""
    if route.endswith("/<path:object_id>/"):
        _admin, app, model, _rest = route.split("/", 3)
        return f"{app}_{model}_redirect"
    return route


def path_of(url: Url, values: Mapping[str, object]) -> str:
    """The address of a URL, for these values of its parameters."""
    path = url.route.replace("^", "").replace("$", "")
    for name, value in values.items():
        path = re.sub(rf"<(\w+:)?{name}>|\(\?P<{name}>[^)]*\)", str(value), path)
    return f"/{path}"
