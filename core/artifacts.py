"""Files of evidence: sealed, under UUID names in the data directory, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import structlog
from django.conf import settings

from core import secrets
from core.errors import DiskFull

log = structlog.get_logger(__name__)

MIB = 1024 * 1024
DRAFT = ".part"

# Whether this process has found too little room on the disk: said once, and once more when it is over.
_disk_is_full = False


class Stored(NamedTuple):
    """A file in the folder; `name` is None for a draft that a kill left behind. Bytes, epoch seconds."""

    path: Path
    name: UUID | None
    size_bytes: int
    written_at: float


def folder() -> Path:
    """Where the files are."""
    return Path(settings.WARMUP_DATA_DIR) / "artifacts"


def path_of(name: UUID) -> Path:
    """Where the file of an artifact is; 256 folders keep each small."""
    return folder() / name.hex[:2] / name.hex


def place_of(path: Path) -> str:
    """What the content of this file is bound to: the file opens under its own name only."""
    return f"artifact {path.name}"


def write(name: UUID, content: bytes) -> int:
    """Seal and save; returns the size on disk in bytes.

    Raises `DiskFull` while less than WARMUP_ARTIFACT_FREE_MIB would be left for the database and the
    browsers, and OSError. Neither leaves a partial file.
    """
    _need_room()
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed = secrets.encrypt(content, place_of(path))
    replace(path, sealed)
    return len(sealed)


def replace(path: Path, sealed: bytes) -> None:
    """Put a file in place as a whole or not at all; raises OSError."""
    draft = path.with_suffix(DRAFT)
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
    path = path_of(name)
    return secrets.decrypt(path.read_bytes(), place_of(path))


def delete(name: UUID) -> None:
    """Remove the file, if it is there."""
    path_of(name).unlink(missing_ok=True)


def stored() -> Iterator[Stored]:
    """Every file of the folder that is ours, in no order. One that goes meanwhile is left out."""
    for path in folder().glob("??/*"):
        try:
            name = None if path.suffix == DRAFT else UUID(hex=path.name)
            status = path.stat()
        except (ValueError, FileNotFoundError):
            continue
        yield Stored(path, name, status.st_size, status.st_mtime)


def _need_room() -> None:
    global _disk_is_full
    free, needed = shutil.disk_usage(settings.WARMUP_DATA_DIR).free, settings.WARMUP_ARTIFACT_FREE_MIB * MIB
    was_full, _disk_is_full = _disk_is_full, free < needed
    if _disk_is_full and not was_full:
        log.error("artifacts_refused", free_mib=free // MIB, needed_mib=needed // MIB)
    elif was_full and not _disk_is_full:
        log.info("artifacts_accepted_again", free_mib=free // MIB)
    if _disk_is_full:
        raise DiskFull(f"{free // MIB} MiB are free on the disk, {needed // MIB} MiB are to be left")
