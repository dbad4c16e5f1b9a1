"""What the machine keeps: to look at, and nothing else; and the files of artifacts."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core import artifacts
from core.models import SessionState
from tests import factories
from tests.warmup.admin.conftest import StaffClient
from warmup import store
from warmup.models import Artifact, AuditEntry, ClusterPulse, DailyCount, LogLine, StepRecord, WarmupAccount
from warmup.types import Evidence

NAME = 'x"\r\nX-Evil: 1; <script>é'


@pytest.fixture
def rows(db: None) -> dict[str, Any]:
    """One row of each kind; what is text in it tries to be HTML."""
    run = factories.run_in("RUNNING")
    evil, now = "<script>alert(1)</script>", timezone.now()
    return {
        "steprecord": StepRecord.objects.create(
            run=run, attempt=1, index=0, do="scroll", label=evil, detail=evil, result="INTENT", started_at=now
        ),
        "logline": LogLine.objects.create(task=run.task, run=run, at=now, level="INFO", event="e", text=evil),
        "artifact": Artifact.objects.create(run=run, attempt=1, step=0, kind="html", name=evil, size_bytes=1),
        "dailycount": DailyCount.objects.create(account=run.account, day="2030-01-01", name=evil, used=1),
        "clusterpulse": ClusterPulse.objects.create(name=evil, beat_at=now),
        "auditentry": AuditEntry.objects.create(actor_name=evil, verb="start", object=evil),
        "sessionstate": SessionState.save_version(run.account_id, {"cookies": [], "origins": []}),
    }


def address(row: Any, page: str) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}"
    return reverse(name, args=[] if page in {"changelist", "add"} else [row.pk])


KINDS = ["steprecord", "logline", "artifact", "dailycount", "auditentry", "clusterpulse", "sessionstate"]


@pytest.mark.parametrize("kind", KINDS)
def test_record_is_read_only_also_for_a_superuser(boss: Client, rows: dict[str, Any], kind: str) -> None:
    row = rows[kind]

    assert boss.get(address(row, "changelist")).status_code == 200
    assert boss.get(address(row, "change")).status_code == 200
    assert boss.get(address(row, "add")).status_code == 403
    assert boss.post(address(row, "add"), {}).status_code == 403
    assert boss.post(address(row, "change"), {}).status_code == 403
    assert boss.post(address(row, "delete"), {"post": "yes"}).status_code == 403
    assert b'name="_selected_action"' not in boss.get(address(row, "changelist")).content
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_record_is_not_for_strangers(staff: StaffClient, rows: dict[str, Any], kind: str) -> None:
    stranger = staff("core.view_site")

    assert stranger.get(address(rows[kind], "changelist")).status_code == 403
    assert stranger.get(address(rows[kind], "change")).status_code == 403


@pytest.mark.parametrize("kind", KINDS)
def test_record_is_escaped(boss: Client, rows: dict[str, Any], kind: str) -> None:
    for page in ("changelist", "change"):
        assert "<script>alert(1)" not in boss.get(address(rows[kind], page)).content.decode()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "auditentry"])
def test_empty_list_says_why(boss: Client, rows: dict[str, Any], kind: str) -> None:
    row = rows[kind]
    type(row).objects.all().delete()

    assert boss.get(address(row, "changelist")).status_code == 200
    assert "yet</h2>" in boss.get(address(row, "changelist")).content.decode()


def test_empty_audit_says_why(boss: Client) -> None:
    assert "Nothing done yet" in boss.get(reverse("admin:warmup_auditentry_changelist")).content.decode()


def test_log_line_of_no_run(boss: Client) -> None:
    task = factories.make_task(1)
    LogLine.objects.create(task=task, at=timezone.now(), level="INFO", event="seen", text="by nobody")

    for url in (
        reverse("admin:warmup_logline_changelist"),
        reverse("admin:warmup_warmuptask_change", args=[task.pk]),
    ):
        assert "by nobody" in boss.get(url).content.decode()


@pytest.mark.parametrize("kind", ["steprecord", "logline", "artifact"])
def test_long_list_costs_the_same(
    boss: Client, rows: dict[str, Any], kind: str, django_assert_max_num_queries: Any
) -> None:
    row = rows[kind]
    run = WarmupAccount.objects.get(status="RUNNING")
    now = timezone.now()
    for number in range(1, 20):
        StepRecord.objects.create(
            run=run, attempt=1, index=number, do="x", label="x", result="DONE", started_at=now, ended_at=now
        )
        LogLine.objects.create(task=run.task, run=run, at=now, level="INFO", event="e")
        Artifact.objects.create(run=run, attempt=1, step=number, kind="html", name="n", size_bytes=1)

    with django_assert_max_num_queries(8):
        boss.get(address(row, "changelist"))


# ---- files of artifacts -----------------------------------------------------------------------------


def kept(kind: str, content: bytes, name: str = "end") -> Artifact:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    assert store.save_evidence(Evidence(spec.lease, 1, 0, kind, name, content))  # type: ignore[arg-type]
    return Artifact.objects.get()


def file_url(name: object) -> str:
    return reverse("admin:warmup_artifact_file", args=[name])


def test_screenshot_is_shown(boss: Client) -> None:
    artifact = kept("screenshot", b"\x89PNG content")

    response = boss.get(file_url(artifact.pk))

    assert response.content == b"\x89PNG content"
    assert response["Content-Type"] == "image/png"
    assert response["Content-Disposition"] == 'inline; filename="end.png"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]


def test_html_is_saved_and_can_do_nothing(boss: Client) -> None:
    artifact = kept("html", b"<script>alert(1)</script>")

    response = boss.get(file_url(artifact.pk))

    assert response.content == b"<script>alert(1)</script>"
    assert response["Content-Disposition"] == 'attachment; filename="end.html"'
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert response["X-Content-Type-Options"] == "nosniff"


def test_file_name_cannot_break_out_of_its_header(boss: Client) -> None:
    artifact = kept("screenshot", b"png")
    Artifact.objects.update(name=NAME)

    response = boss.get(file_url(artifact.pk))

    assert response["Content-Disposition"] == 'inline; filename="x-X-Evil-1-script.png"'
    Artifact.objects.update(name="снимок")
    assert boss.get(file_url(artifact.pk))["Content-Disposition"] == 'inline; filename="artifact.png"'


@pytest.mark.parametrize("name", [uuid.UUID(int=1), "nonsense", "..", "%00"])
def test_file_of_no_artifact_is_not_found(boss: Client, name: object) -> None:
    response = boss.get(file_url(name))

    assert response.status_code == 404
    assert response.content == b"There is no such artifact."


def test_file_that_is_gone_says_so(boss: Client) -> None:
    artifact = kept("screenshot", b"png")
    artifacts.delete(artifact.pk)

    response = boss.get(file_url(artifact.pk))

    assert response.status_code == 410
    assert b"is gone" in response.content


def test_file_that_no_key_opens_says_so(boss: Client, settings: Any) -> None:
    artifact = kept("screenshot", b"png")
    settings.FIELD_KEYS = ["b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktMDA="]

    response = boss.get(file_url(artifact.pk))

    assert response.status_code == 410
    assert b"FIELD_KEYS" in response.content


def test_file_that_cannot_be_read_says_so(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = kept("screenshot", b"png")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    response = boss.get(file_url(artifact.pk))

    assert response.status_code == 410
    assert b"cannot be read" in response.content


def test_file_needs_the_permission_and_staff(staff: StaffClient, client: Client) -> None:
    artifact = kept("screenshot", b"png")

    assert client.get(file_url(artifact.pk)).status_code == 302
    assert staff("warmup.view_warmupaccount").get(file_url(artifact.pk)).status_code == 403
    assert staff("warmup.view_artifact").get(file_url(artifact.pk)).status_code == 200
    assert staff("warmup.view_artifact").post(file_url(artifact.pk)).status_code == 405
