"""Re-encrypting everything with the newest key: can be stopped at any moment, and run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models

from core import artifacts, secrets

ROTATED, NEWEST, UNREADABLE = "rotated", "newest", "unreadable"
BATCH = 500


def sealed_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every model and field that holds tokens."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, secrets.SealedField):
                yield model, field.name


def renewed(token: bytes) -> tuple[str, bytes]:
    """What is to be done about a token, and the token as it should be stored."""
    try:
        Fernet(settings.FIELD_KEYS[0]).decrypt(token)
    except InvalidToken:
        try:
            return ROTATED, secrets.key_ring().rotate(token)
        except InvalidToken:
            return UNREADABLE, token
    return NEWEST, token


def rotate_rows() -> Iterator[tuple[str, Counter[str]]]:
    """Rotate each column's rows, but those that change meanwhile; yields its name and the counts."""
    for model, name in sealed_columns():
        counts: Counter[str] = Counter()
        last = 0
        rows = model._default_manager.order_by("pk").values_list("pk", name)
        while batch := list(rows.filter(pk__gt=last)[:BATCH]):
            for pk, token in batch:
                what, fresh = renewed(bytes(token))
                if what == ROTATED:
                    model._default_manager.filter(pk=pk, **{name: token}).update(**{name: fresh})
                counts[what] += 1
            last = batch[-1][0]
        yield f"{model._meta.label}.{name}", counts


def rotate_files() -> Counter[str]:
    """Rotate the artifacts; each file is replaced as a whole."""
    counts: Counter[str] = Counter()
    for path in sorted((Path(settings.WARMUP_DATA_DIR) / "artifacts").glob("??/*")):
        if path.suffix:  # a draft that a kill left behind
            continue
        what, fresh = renewed(path.read_bytes())
        if what == ROTATED:
            artifacts.replace(path, fresh)
        counts[what] += 1
    return counts
