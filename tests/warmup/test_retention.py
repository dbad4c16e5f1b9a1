"""What becomes of artifacts: expired, over the quota, lacking their other half; and a disk that fills up."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone
from structlog.testing import capture_logs

from core import artifacts
from core.errors import DiskFull
from tests import factories
from warmup import retention, store
from warmup.models import Artifact
from warmup.types import Evidence, RunSpec

pytestmark = pytest.mark.django_db

HOUR = 3600


@pytest.fixture
def spec() -> RunSpec:
    (spec,) = factories.claim(factories.started_task(1))
    return spec


def keep(spec: RunSpec, content: bytes = b"x", *, days_ago: float = 0) -> Artifact:
    before = set(Artifact.objects.values_list("pk", flat=True))
    assert store.save_evidence(Evidence(spec.lease, 1, 0, "html", "end", content))
    artifact = Artifact.objects.exclude(pk__in=before).get()
    Artifact.objects.filter(pk=artifact.pk).update(created_at=timezone.now() - timedelta(days=days_ago))
    return artifact


def lone_file(name: str | None = None, *, age: float) -> Path:
    path = artifacts.path_of(uuid.uuid4())
    path = path.with_name(name) if name else path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def left() -> set[uuid.UUID]:
    """The artifacts that are left; each has both of its halves."""
    names = set(Artifact.objects.values_list("pk", flat=True))
    assert {file.name for file in artifacts.stored()} == names
    return names


def test_purge_deletes_what_is_older_than_the_retention(spec: RunSpec, settings: Any) -> None:
    settings.WARMUP_ARTIFACT_RETENTION_DAYS = 7
    keep(spec, days_ago=7.1)
    fresh = keep(spec, days_ago=6.9)

    done = retention.purge()

    assert (done.expired, done.over_quota) == (1, 0)
    assert left() == {fresh.pk}


def test_purge_deletes_the_oldest_beyond_the_quota(spec: RunSpec, settings: Any) -> None:
    settings.WARMUP_ARTIFACT_QUOTA_MIB = 1
    # Sealed, each is a third larger: two fit into the quota, three do not.
    third = b"x" * (artifacts.MIB // 3)
    oldest, older, newest = (keep(spec, third, days_ago=days) for days in (3, 2, 1))
    small_and_older = keep(spec, days_ago=4)

    done = retention.purge()

    assert (done.expired, done.over_quota) == (0, 2)
    assert done.bytes == oldest.size_bytes + small_and_older.size_bytes
    assert left() == {older.pk, newest.pk}


def test_purge_deletes_files_without_a_row_once_their_row_cannot_come_any_more(spec: RunSpec) -> None:
    kept = keep(spec)
    old, draft = lone_file(age=HOUR + 60), lone_file(f"{'a' * 32}.part", age=HOUR + 60)
    young, foreign = lone_file(age=HOUR - 60), lone_file("README", age=HOUR + 60)

    done = retention.purge()

    assert (done.without_row, done.bytes) == (2, 10)
    assert not old.exists()
    assert not draft.exists()
    assert young.exists()
    assert foreign.exists()
    assert artifacts.read(kept.pk) == b"x"


def test_purge_deletes_rows_without_a_file_only_where_all_files_can_be_seen(spec: RunSpec) -> None:
    lost, kept = keep(spec), keep(spec)
    artifacts.delete(lost.pk)

    assert retention.purge(whole=False).without_file == 0
    assert Artifact.objects.count() == 2

    assert retention.purge().without_file == 1
    assert left() == {kept.pk}


def test_dry_run_counts_the_same_and_deletes_nothing(spec: RunSpec) -> None:
    keep(spec, days_ago=400)
    artifacts.delete(keep(spec).pk)
    lone_file(age=2 * HOUR)
    shown, said = StringIO(), StringIO()

    call_command("purge_artifacts", "--dry-run", stdout=shown)

    assert Artifact.objects.count() == 2
    assert len(list(artifacts.stored())) == 2
    call_command("purge_artifacts", stdout=said)
    assert shown.getvalue().replace("would delete", "deleted") == said.getvalue()
    assert "1 expired, 0 over the quota, 1 rows without a file, 1 files without a row" in said.getvalue()
    assert left() == set()


def test_purge_is_due_once_a_day(spec: RunSpec, data_dir: Path) -> None:
    keep(spec, days_ago=400)
    retention.purge_if_due()
    assert left() == set()
    keep(spec, days_ago=400)

    retention.purge_if_due()
    assert len(left()) == 1

    yesterday = time.time() - 25 * HOUR
    os.utime(data_dir / "artifacts-purged", (yesterday, yesterday))
    retention.purge_if_due()
    assert left() == set()


def test_purge_that_the_disk_refuses_is_logged_and_left_for_tomorrow(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    keep(spec, days_ago=400)
    monkeypatch.setattr(Path, "unlink", refuse)

    with capture_logs() as logs:
        retention.purge_if_due()
        retention.purge_if_due()

    assert [line["event"] for line in logs] == ["purge_failed"]


def test_purge_without_a_database_is_tried_again(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(store, "database_now", away)

    with pytest.raises(OperationalError):
        retention.purge_if_due()

    assert not (data_dir / "artifacts-purged").exists()


def test_file_that_goes_meanwhile_is_left_out(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(spec)

    def gone(path: Path) -> Any:
        raise FileNotFoundError(2, "No such file")

    monkeypatch.setattr(Path, "stat", gone)

    assert list(artifacts.stored()) == []


# ---- a disk that fills up ---------------------------------------------------------------------------


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[SimpleNamespace]:
    """A disk of which the test says how much is free (MiB); 100 are to be left."""
    disk = SimpleNamespace(free=100)
    settings.WARMUP_ARTIFACT_FREE_MIB = 100
    usage = lambda path: SimpleNamespace(free=disk.free * artifacts.MIB)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(artifacts, "_disk_is_full", False)
    return disk


def test_full_disk_takes_no_artifact_and_says_so_once(spec: RunSpec, disk: SimpleNamespace) -> None:
    keep(spec)
    disk.free = 99
    with capture_logs() as logs:
        kept = [store.save_evidence(Evidence(spec.lease, 1, 0, "html", "end", b"x")) for _ in range(3)]
        disk.free = 100
        kept.append(store.save_evidence(Evidence(spec.lease, 1, 0, "html", "end", b"x")))

    assert kept == [False, False, False, True]
    assert [line["event"] for line in logs] == ["artifacts_refused", "artifacts_accepted_again"]
    assert len(left()) == 2


def test_full_disk_leaves_no_folder_and_no_draft(disk: SimpleNamespace) -> None:
    disk.free = 0

    with pytest.raises(DiskFull, match="0 MiB are free on the disk, 100 MiB are to be left"):
        artifacts.write(uuid.uuid4(), b"x")

    assert not artifacts.folder().exists()
