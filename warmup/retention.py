"""Which artifacts go: the old ones, the oldest beyond the quota, and what has lost its other half."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog
from django.conf import settings
from django.db.utils import Error as DatabaseError

from core import artifacts
from warmup import store
from warmup.models import Artifact

log = structlog.get_logger(__name__)

EVERY_SECONDS = 24 * 3600.0
# A file is written before its row: of younger ones the row may still come.
GRACE_SECONDS = 3600.0
BATCH = 500


@dataclass(frozen=True, slots=True)
class Purged:
    """How many artifacts went, by reason, and how many bytes their files had."""

    expired: int = 0
    over_quota: int = 0
    without_file: int = 0
    without_row: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Rows:
    """The names of all artifacts that have a row, and those that are to go, by reason."""

    known: set[UUID] = field(default_factory=set)
    expired: list[UUID] = field(default_factory=list)
    over_quota: list[UUID] = field(default_factory=list)
    without_file: list[UUID] = field(default_factory=list)


def purge(*, dry_run: bool = False, whole: bool = True) -> Purged:
    """Delete what is to go; with `dry_run`, only count it.

    Files without a row are left alone for an hour. Rows without a file are looked for only if `whole`:
    on a host that does not share its data directory, the others' files are not there to be seen.
    """
    # Files first: the row of a file that is seen here is there by now, or the file is a young one.
    files = list(artifacts.stored())
    rows = _look_at_rows(whole=whole)
    settled = time.time() - GRACE_SECONDS
    lone = [file for file in files if file.name not in rows.known and file.written_at < settled]
    gone = {*rows.expired, *rows.over_quota}
    size = sum(file.size_bytes for file in [*lone, *(file for file in files if file.name in gone)])
    if not dry_run:
        _delete([*rows.expired, *rows.over_quota, *rows.without_file])
        for file in lone:
            file.path.unlink(missing_ok=True)
    return Purged(len(rows.expired), len(rows.over_quota), len(rows.without_file), len(lone), size)


def _look_at_rows(*, whole: bool) -> _Rows:
    found = _Rows()
    horizon = store.database_now() - timedelta(days=settings.WARMUP_ARTIFACT_RETENTION_DAYS)
    room = settings.WARMUP_ARTIFACT_QUOTA_MIB * artifacts.MIB
    rows = Artifact.objects.order_by("-created_at", "pk").values_list("pk", "size_bytes", "created_at")
    for name, size_bytes, created_at in rows.iterator(chunk_size=5000):
        found.known.add(name)
        if created_at < horizon:
            found.expired.append(name)
        elif whole and not artifacts.path_of(name).exists():
            found.without_file.append(name)
        elif size_bytes > room:
            found.over_quota.append(name)
            room = 0  # whatever is older goes as well
        else:
            room -= size_bytes
    return found


def _delete(names: Sequence[UUID]) -> None:
    """Row before file: what a kill leaves in between is a file without a row, and goes the next time."""
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        Artifact.objects.filter(pk__in=batch).delete()
        for name in batch:
            artifacts.delete(name)


def purge_if_due() -> None:
    """Purge, if nobody has on this data directory for a day.

    An OSError is logged and tried again a day later: nothing waits for it.
    """
    mark = Path(settings.WARMUP_DATA_DIR) / "artifacts-purged"
    try:
        if mark.exists() and time.time() - mark.stat().st_mtime < EVERY_SECONDS:
            return
        mark.touch()  # first, so that one that fails is not tried again at once
        done = purge(whole=False)
    except DatabaseError:
        mark.unlink(missing_ok=True)
        raise
    except OSError as error:
        log.warning("purge_failed", error=str(error))
        return
    if any(asdict(done).values()):
        log.info("artifacts_purged", **asdict(done))
