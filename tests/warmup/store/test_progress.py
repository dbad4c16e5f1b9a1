"""What runs save while they run; every write is fenced by its lease."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core import artifacts
from tests import factories
from warmup import services, store
from warmup.models import Artifact, DailyCount, LogLine, StepRecord
from warmup.plan import PlanStep
from warmup.types import Evidence, Lease, LogEntry, RunSpec, StepReport

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIKE = PlanStep(
    index=2, place="steps[2]", do="click", label="click like", effect="once", counts_as="like", done=".liked"
)


def report(spec: RunSpec, index: int, **changes: Any) -> StepReport:
    plain = StepReport(
        spec.lease, spec.attempt, index, f"steps[{index}]", "scroll", "scroll 9 px", "DONE", NOW, NOW
    )
    return dataclasses.replace(plain, **changes)


def stale(spec: RunSpec) -> RunSpec:
    """The same run, as an owner sees it whose lease was taken over."""
    return dataclasses.replace(spec, lease=Lease(spec.lease.run_id, uuid.uuid4()))


def test_write_progress_saves_steps_and_moves_the_cursor() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    lost = store.write_progress(
        [
            report(spec, 0, url="http://site.test/a"),
            report(spec, 1, url="http://site.test/b", detail="x\x00y"),
        ],
        [LogEntry(spec.lease, NOW, "INFO", "step_done", "0 scroll")],
    )

    run = task.runs.get()
    assert lost == frozenset()
    assert (run.cursor, run.resume_url) == (2, "http://site.test/b")
    assert list(StepRecord.objects.values_list("index", "result")) == [(0, "DONE"), (1, "DONE")]
    assert "\x00" not in StepRecord.objects.get(index=1).detail
    assert LogLine.objects.get().task_id == task.pk


def test_failed_step_does_not_move_the_cursor() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    store.write_progress([report(spec, 0, result="FAILED", detail="not there")], [])

    assert task.runs.get().cursor == 0
    assert StepRecord.objects.get().detail == "not there"


def test_skipped_step_moves_the_cursor() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    store.write_progress([report(spec, 0, result="SKIPPED")], [])

    assert task.runs.get().cursor == 1


def test_stale_owner_writes_nothing() -> None:
    task = factories.started_task(2)
    one, two = factories.claim(task, 2)
    old = stale(one)

    lost = store.write_progress(
        [report(old, 0), report(two, 0)],
        [LogEntry(old.lease, NOW, "INFO", "x"), LogEntry(two.lease, NOW, "INFO", "y")],
    )

    assert lost == {old.lease}
    assert [step.run_id for step in StepRecord.objects.all()] == [two.lease.run_id]
    assert [line.event for line in LogLine.objects.all()] == ["y"]
    assert task.runs.get(pk=one.lease.run_id).cursor == 0


def test_earlier_owner_of_a_run_writes_nothing_beside_its_new_one() -> None:
    task = factories.started_task(1)
    (new,) = factories.claim(task)
    old = stale(new)

    lost = store.write_progress(
        [report(old, 5), report(new, 0)],
        [LogEntry(old.lease, NOW, "INFO", "x"), LogEntry(new.lease, NOW, "INFO", "y")],
    )

    assert lost == {old.lease}
    assert [step.index for step in StepRecord.objects.all()] == [0]
    assert [line.event for line in LogLine.objects.all()] == ["y"]
    assert task.runs.get().cursor == 1


def test_write_progress_of_nothing_is_nothing() -> None:
    assert store.write_progress([], []) == frozenset()


def test_intent_is_recorded_and_then_overwritten_by_its_outcome() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert store.record_intent(spec.lease, spec.attempt, LIKE) == "go"
    assert StepRecord.objects.get().result == StepRecord.Result.INTENT
    store.write_progress([report(spec, 2, do="click", label="click like")], [])

    assert StepRecord.objects.get().result == StepRecord.Result.DONE


def test_intent_of_a_lost_lease_is_not_recorded() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert store.record_intent(stale(spec).lease, spec.attempt, LIKE) is None
    assert not StepRecord.objects.exists()
    assert not DailyCount.objects.exists()


def test_daily_limit_ends_the_intents_of_the_day() -> None:
    site = factories.SiteFactory(daily_limits={"like": 2})
    task = factories.started_task(1, site=site)
    (spec,) = factories.claim(task)

    answers = [
        store.record_intent(spec.lease, spec.attempt, dataclasses.replace(LIKE, index=index))
        for index in range(3)
    ]

    assert answers == ["go", "go", "limit_reached"]
    assert DailyCount.objects.get().used == 2
    assert StepRecord.objects.count() == 2


def test_counts_without_a_limit_are_counted_only() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert store.record_intent(spec.lease, spec.attempt, LIKE) == "go"
    assert DailyCount.objects.get().used == 1


def test_step_that_counts_as_nothing_uses_up_nothing() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert store.record_intent(spec.lease, 1, dataclasses.replace(LIKE, counts_as=None)) == "go"
    assert not DailyCount.objects.exists()


def test_plan_length_is_fenced() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert store.set_plan_length(spec.lease, 16)
    assert not store.set_plan_length(stale(spec).lease, 99)
    assert task.runs.get().steps_total == 16


def test_evidence_is_sealed_on_disk(data_dir: Path) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert store.save_evidence(Evidence(spec.lease, 1, 0, "html", "failure", b"<p>secret</p>"))

    artifact = Artifact.objects.get()
    assert artifacts.read(artifact.pk) == b"<p>secret</p>"
    assert b"secret" not in artifacts.path_of(artifact.pk).read_bytes()
    assert artifact.size_bytes == artifacts.path_of(artifact.pk).stat().st_size


def test_evidence_of_a_lost_lease_is_not_kept(data_dir: Path) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert not store.save_evidence(Evidence(stale(spec).lease, 1, 0, "html", "failure", b"x"))
    assert not Artifact.objects.exists()
    assert [path for path in data_dir.rglob("*") if path.is_file()] == []


def test_evidence_of_a_lease_lost_meanwhile_leaves_no_file(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    plain = artifacts.write

    def write_and_lose(name: uuid.UUID, content: bytes) -> int:
        services.stop(task, by=None, force=True)
        return plain(name, content)

    monkeypatch.setattr(artifacts, "write", write_and_lose)

    assert not store.save_evidence(Evidence(spec.lease, 1, 0, "html", "failure", b"x"))
    assert [path for path in data_dir.rglob("*") if path.is_file()] == []


def test_full_disk_loses_the_evidence_only(monkeypatch: pytest.MonkeyPatch) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    def full(name: uuid.UUID, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts, "write", full)

    assert not store.save_evidence(Evidence(spec.lease, 1, 0, "html", "failure", b"x"))
    assert not Artifact.objects.exists()


def test_heartbeat_renews_and_tells_what_is_lost(settings: Any) -> None:
    task = factories.started_task(2)
    one, two = factories.claim(task, 2)
    task.runs.update(lease_until=NOW)

    old = stale(one)

    lost = store.heartbeat([old.lease, two.lease])

    assert lost == {old.lease}
    assert task.runs.get(pk=one.lease.run_id).lease_until == NOW
    renewed = task.runs.get(pk=two.lease.run_id).lease_until
    assert renewed is not None
    assert renewed > store.database_now() + timedelta(seconds=settings.WARMUP_LEASE_SECONDS - 5)


def test_poll_tells_of_pause_stop_and_loss() -> None:
    task = factories.started_task(2)
    one, two = factories.claim(task, 2)

    assert store.poll(task.pk, [one.lease, two.lease]) == store.leases.Control()
    services.pause(task, by=None)
    old = stale(one)
    assert store.poll(task.pk, [old.lease]) == store.leases.Control(pause=True, lost=frozenset({old.lease}))
    services.stop(task, by=None)
    assert store.poll(task.pk, []).stop


def test_poll_of_a_task_that_is_gone_is_a_stop() -> None:
    assert store.poll(0, []).stop
