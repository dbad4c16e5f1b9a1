"""The pages of the admin, for tests that are about all of them."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import admin
from django.urls import reverse

from warmup.admin.verbs import VERBS

DJANGO_S_OWN = ("_changelist", "_add", "_change", "_delete", "_history")


def pages() -> Iterator[str]:
    """The addresses of the admin's pages: every list, every kind of page of each first row, and our own."""
    yield from _ordinary_pages()
    yield from _own_pages()


def _ordinary_pages() -> Iterator[str]:
    yield from (reverse("admin:index"), reverse("admin:password_change"))
    for model in admin.site._registry:
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{label}_changelist")
        yield reverse(f"{label}_add")
        row = model._default_manager.only("pk").first()
        if row is not None:
            for kind in ("change", "delete", "history"):
                yield reverse(f"{label}_{kind}", args=[row.pk])
    for label in {model._meta.app_label for model in admin.site._registry}:
        yield reverse("admin:app_list", args=[label])


def _own_pages() -> Iterator[str]:
    """What is not Django's own: pages without a row, those below one, and the questions before every verb."""
    for model, page in admin.site._registry.items():
        for url in page.get_urls():
            names = list(url.pattern.converters)
            if not url.name or url.name.endswith(DJANGO_S_OWN) or not hasattr(url, "callback"):
                continue
            if not names:
                yield reverse(f"admin:{url.name}")
                continue
            if names[0] not in {"task_id", "run_id", "object_id", "schedule_id"}:
                continue
            for row in model._default_manager.only("pk").order_by("pk")[:2]:
                if len(names) == 1:
                    yield reverse(f"admin:{url.name}", args=[row.pk])
                elif names == ["task_id", "name"]:
                    yield from (reverse(f"admin:{url.name}", args=[row.pk, name]) for name in VERBS)
