"""Re-encrypting everything with the newest key: can be stopped at any moment, and run again.

A token is replaced in one step by one with the same content, place included, so that at every moment
each secret opens with the key ring. What is done already is seen by its key, and passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from django.apps import apps
from django.conf import settings
from django.db import models

from core import artifacts, secrets

# What a token is: on the newest key, on an older one, opened by a key but not bound to where it is, or
# opened by none.
NEWEST, OLD, MISPLACED, UNREADABLE = "on the newest key", "on an old key", "misplaced", "unreadable"
BATCH = 50  # rows; a saved state may have more than a megabyte
PLACES_KEPT = 20


@dataclass(frozen=True, slots=True)
class Token:
    """A token where it is kept; `replace` puts another in its stead, unless it has changed meanwhile."""

    column: str
    place: str
    value: bytes
    replace: Callable[[bytes], None]


@dataclass(slots=True)
class Report:
    """How many tokens of each column are what; `places` of the first few that do not open."""

    columns: dict[str, Counter[str]] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)

    def add(self, token: Token) -> None:
        """Count one."""
        what = state_of(token)
        self.columns[token.column][what] += 1
        if what in {MISPLACED, UNREADABLE} and len(self.places) < PLACES_KEPT:
            self.places.append(f"{token.place}: {what}")

    def total(self, *states: str) -> int:
        """How many are one of these."""
        return sum(counts[what] for counts in self.columns.values() for what in states)


def sealed_columns() -> Iterator[tuple[type[models.Model], secrets.SealedField]]:
    """Every model and field that holds tokens."""
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, secrets.SealedField):
                yield model, column


def state_of(token: Token) -> str:
    """Whether and how a token opens."""
    what = NEWEST
    try:
        payload = Fernet(settings.FIELD_KEYS[0]).decrypt(token.value)
    except InvalidToken:
        what = OLD
        try:
            payload = secrets.key_ring().decrypt(token.value)
        except InvalidToken:
            return UNREADABLE
    return what if secrets.is_bound(payload, token.place) else MISPLACED


def report() -> Report:
    """On which keys everything is now."""
    found = Report({f"{model._meta.label}.{column.name}": Counter() for model, column in sealed_columns()})
    found.columns["artifacts"] = Counter()
    for token in everything():
        found.add(token)
    return found


def rotate() -> int:
    """Put on the newest key whatever another key opens; returns how many tokens that were.

    A misplaced token too, for where it belongs it will open again. Those that no key opens stay.
    """
    rotated = 0
    newest = Fernet(settings.FIELD_KEYS[0])
    for token in everything():
        try:
            newest.decrypt(token.value)
        except InvalidToken:
            try:
                fresh = secrets.key_ring().rotate(token.value)
            except InvalidToken:
                continue
            token.replace(fresh)
            rotated += 1
    return rotated


def everything() -> Iterator[Token]:
    """Every token there is: the rows of each sealed column, then the artifacts."""
    for model, column in sealed_columns():
        yield from _rows(model, column)
    for path in sorted(file.path for file in artifacts.stored() if file.name is not None):
        try:
            value = path.read_bytes()
        except FileNotFoundError:  # it has expired meanwhile
            continue
        yield Token("artifacts", artifacts.place_of(path), value, _replacing_file(path))


def _rows(model: type[models.Model], column: secrets.SealedField) -> Iterator[Token]:
    label = f"{model._meta.label}.{column.name}"
    rows = model._base_manager.exclude(**{column.name: None}).only("pk", column.name, *column.bound_to)
    last = 0
    while batch := list(rows.filter(pk__gt=last).order_by("pk")[:BATCH]):
        for row in batch:
            value = getattr(row, column.attname)
            yield Token(label, secrets.place_of(row, column.name), value, _replacing(row, column.name))
        last = batch[-1].pk


def _replacing(row: models.Model, name: str) -> Callable[[bytes], None]:
    def replace(fresh: bytes) -> None:
        same = type(row)._base_manager.filter(pk=row.pk, **{name: getattr(row, name)})
        same.update(**{name: fresh})

    return replace


def _replacing_file(path: Path) -> Callable[[bytes], None]:
    def replace(fresh: bytes) -> None:
        if path.exists():  # nothing writes to a file that is there, but it may have expired
            artifacts.replace(path, fresh)

    return replace
