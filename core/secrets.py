"""Encryption at rest: a key ring (`FIELD_KEYS`, newest first), and the model field that uses it.

The keys are outside the database and other than SECRET_KEY. The newest key encrypts, every key
opens. A value that no key opens raises `SecretUnreadable` when it is *used*, not when its row is
loaded: a lost key must not break a list page, and the stored blob stays as it is.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from core.errors import SecretUnreadable


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def key_ring() -> MultiFernet:
    """The ring of `settings.FIELD_KEYS`."""
    return _ring(tuple(settings.FIELD_KEYS))


def encrypt(content: bytes) -> bytes:
    """`content` as a Fernet token of the newest key."""
    return key_ring().encrypt(content)


def decrypt(token: bytes) -> bytes:
    """The content of a token; raises `SecretUnreadable` when no key opens it."""
    try:
        return key_ring().decrypt(token)
    except InvalidToken:
        raise SecretUnreadable(
            "a stored secret does not open with any key of FIELD_KEYS: add the key it was written with"
        ) from None


def encrypt_json(value: Any) -> bytes:
    """A JSON value as a token. Escaped to ASCII: what a site stored may hold lone surrogates."""
    return encrypt(json.dumps(value, separators=(",", ":")).encode())


def decrypt_json(token: bytes) -> Any:
    """The JSON value of a token; raises `SecretUnreadable`, also when what was stored is not JSON."""
    try:
        return json.loads(decrypt(token))
    except ValueError:
        raise SecretUnreadable("a stored secret is damaged: it opened, but holds no JSON") from None


class SealedField(models.BinaryField):  # type: ignore[type-arg]  # generic in the stubs only
    """A column of Fernet tokens. Its Python value is the *token*: open it with `decrypt`/`decrypt_json`.

    Opening is explicit, so that a secret is in the clear only where somebody asked for it.
    """

    description = "Encrypted bytes"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("editable", None)
        return name, path, args, kwargs

    def from_db_value(self, value: Any, *_: Any) -> bytes | None:
        """Always `bytes`: SQLite gives them, PostgreSQL a memoryview."""
        return None if value is None else bytes(value)

    def get_prep_value(self, value: Any) -> Any:
        """Refuse what is not a token: a clear text must never reach the column by mistake."""
        if value is not None and not bytes(value).startswith(b"gAAAA"):
            raise ValueError(f"{self.name}: seal the value with core.secrets.encrypt before saving it")
        return super().get_prep_value(value)
