"""Files of evidence: sealed, under UUID names in the data directory, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

from django.conf import settings

from core import secrets


def path_of(name: UUID) -> Path:
    """Where the file of an artifact is; 256 folders keep each small."""
    return Path(settings.WARMUP_DATA_DIR) / "artifacts" / name.hex[:2] / name.hex


def write(name: UUID, content: bytes) -> int:
    """Seal and save; returns the size on disk in bytes. Raises OSError and leaves no partial file."""
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed = secrets.encrypt(content)
    replace(path, sealed)
    return len(sealed)


def replace(path: Path, sealed: bytes) -> None:
    """Put a file in place as a whole or not at all; raises OSError."""
    draft = path.with_suffix(".part")
    try:
        with draft.open("wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read(name: UUID) -> bytes:
    """The content in the clear; raises FileNotFoundError or `SecretUnreadable`."""
    return secrets.decrypt(path_of(name).read_bytes())


def delete(name: UUID) -> None:
    """Remove the file, if it is there."""
    path_of(name).unlink(missing_ok=True)
