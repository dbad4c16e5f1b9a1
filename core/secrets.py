"""Encryption at rest: a key ring (`FIELD_KEYS`, newest first), and the model field that uses it.

The keys are outside the database and other than SECRET_KEY. The newest key encrypts, every key
opens. What is sealed is bound to its place: model, column and owner stand in the token beside the
content, and one that was moved to another account, column or file does not open there.

A value that does not open raises `SecretUnreadable` when it is *used*, not when its row is loaded: a
lost key must not break a list page, and the stored blob stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core import checks
from django.db import models

from core.errors import SecretUnreadable

# Between place and content. No place holds it, so nothing in the content can pass for another place.
_END_OF_PLACE = b"\0"


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def key_ring() -> MultiFernet:
    """The ring of `settings.FIELD_KEYS`."""
    return _ring(tuple(settings.FIELD_KEYS))


def encrypt(content: bytes, place: str) -> bytes:
    """`content` as a Fernet token of the newest key, which opens at `place` only."""
    return key_ring().encrypt(place.encode() + _END_OF_PLACE + content)


def decrypt(token: bytes, place: str) -> bytes:
    """The content of a token that was sealed for `place`; raises `SecretUnreadable`."""
    try:
        payload = key_ring().decrypt(token)
    except InvalidToken:
        raise SecretUnreadable(
            f"{place}: the stored secret does not open with any key of FIELD_KEYS, or is damaged:"
            " add the key it was written with, or enter it again"
        ) from None
    if not is_bound(payload, place):
        raise SecretUnreadable(
            f"{place}: the stored secret was sealed for another place, and does not open here:"
            " put back what belongs here, or enter it again"
        )
    return payload.partition(_END_OF_PLACE)[2]


def is_bound(payload: bytes, place: str) -> bool:
    """Whether what a token holds was sealed for `place`."""
    return payload.startswith(place.encode() + _END_OF_PLACE)


def encrypt_json(value: Any, place: str) -> bytes:
    """A JSON value as a token. Escaped to ASCII: what a site stored may hold lone surrogates."""
    return encrypt(json.dumps(value, separators=(",", ":")).encode(), place)


def decrypt_json(token: bytes, place: str) -> Any:
    """The JSON value of a token; raises `SecretUnreadable`, also when what was stored is not JSON."""
    try:
        return json.loads(decrypt(token, place))
    except ValueError:
        raise SecretUnreadable(f"{place}: the stored secret opened, but holds no JSON") from None


def place_of(row: models.Model, column: str) -> str:
    """Where a sealed column of a row is, for messages too: `core.AccountSecret.password account_id=7`.

    It is part of every token: who renames a model or a column has to seal its rows anew. The row need
    not be saved yet, its owner must be; otherwise raises `ValueError`.
    """
    field = row._meta.get_field(column)
    if not isinstance(field, SealedField):
        raise TypeError(f"{row._meta.label}.{column} is no SealedField")
    owners = {name: getattr(row, name) for name in field.bound_to}
    if not owners or None in owners.values():
        raise ValueError(f"{row._meta.label}.{column}: save its owner first; it is bound to {owners}")
    return " ".join([f"{row._meta.label}.{column}", *(f"{name}={owner}" for name, owner in owners.items())])


class SealedField(models.BinaryField):  # type: ignore[type-arg]  # generic in the stubs only
    """A column of Fernet tokens. Its Python value is the *token*: open it with `decrypt`/`decrypt_json`.

    Opening is explicit, so that a secret is in the clear only where somebody asked for it. `bound_to`
    names the attributes of the row that say whose the secret is. They must be known before the row is
    saved and never change, so the row's own automatic key is none of them.
    """

    description = "Encrypted bytes"
    non_db_attrs = (*models.BinaryField.non_db_attrs, "bound_to")

    def __init__(self, *args: Any, bound_to: Sequence[str] = (), **kwargs: Any) -> None:
        self.bound_to = tuple(bound_to)
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("editable", None)
        if self.bound_to:
            kwargs["bound_to"] = self.bound_to
        return name, path, args, kwargs

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Refuse a column that is bound to nothing, or to what the row has not."""
        columns = {field.attname for field in self.model._meta.concrete_fields if not field.primary_key}
        if self.bound_to and set(self.bound_to) <= columns:
            return super().check(**kwargs)
        problem = checks.Error(
            f"bound_to={self.bound_to!r} does not name columns of the row's owner",
            hint="Name what is known before the row is saved, such as bound_to=('account_id',)",
            obj=self,
            id="core.E004",
        )
        return [*super().check(**kwargs), problem]

    def from_db_value(self, value: Any, *_: Any) -> bytes | None:
        """Always `bytes`: SQLite gives them, PostgreSQL a memoryview."""
        return None if value is None else bytes(value)

    def get_prep_value(self, value: Any) -> Any:
        """Refuse what is not a token: a clear text must never reach the column by mistake."""
        if value is not None and not bytes(value).startswith(b"gAAAA"):
            raise ValueError(f"{self.name}: seal the value with core.secrets.encrypt before saving it")
        return super().get_prep_value(value)
