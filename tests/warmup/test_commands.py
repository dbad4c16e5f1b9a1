"""`manage.py warmup`: what it prints, to whom, and how it exits."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests import factories
from warmup import console, queue, reporting, services, store
from warmup.models import LogLine, WarmupTask
from warmup.states import RunStatus
from warmup.types import Outcome

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quiet_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "wake", lambda task_id, slices=1: None)


def warmup(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("warmup", *arguments, stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_load_says_what_it_did(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("playbooks:\n  - {name: browse, steps: [{do: back}]}\n")

    assert warmup("load", str(path)) == (0, "playbooks: 1 new, 0 changed, 0 as before\n", "")
    code, out, _ = warmup("load", str(path), "--json")
    assert (code, json.loads(out)) == (0, {"playbooks": {"created": 0, "changed": 0, "same": 1}})


def test_load_reports_every_fault_in_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"playbooks": [{"name": "a", "steps": [{"do": "scrol"}]}], "extra": 1}')

    code, out, err = warmup("load", str(path))

    assert (code, out) == (1, "")
    assert len(err.strip().splitlines()) == 2
    assert "playbooks[0].steps[0].do: unknown action 'scrol'" in err


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"\xff\xfe{", "is not UTF-8")])
def test_load_of_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)

    code, _, err = warmup("load", str(path))

    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_load_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b"{}")

    monkeypatch.setattr("sys.stdin", Stdin)

    assert warmup("load", "-") == (0, "the file is empty: nothing to load\n", "")


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "stop", "restart", "status", "logs", "plan"])
def test_verb_on_a_task_that_is_not_there_is_one_line_and_exit_1(verb: str) -> None:
    assert warmup(verb, "nobody") == (1, "", "no task 'nobody'\n")


@pytest.mark.parametrize(
    "arguments",
    [["dance"], [], ["start"], ["restart", "x", "--failed", "--all"], ["logs", "x", "--level", "LOUD"]],
)
def test_bad_usage(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        warmup(*arguments)


def test_verbs_by_name_and_by_id() -> None:
    task = factories.make_task(2, name="morning")

    assert warmup("start", "morning") == (0, "started 'morning': 2 accounts are queued\n", "")
    assert json.loads(warmup("pause", str(task.pk), "--json")[1]) == {"id": task.pk, "status": "PAUSED"}
    assert warmup("resume", "morning")[1] == "resumed 'morning': 2 accounts are queued\n"
    assert warmup("stop", "morning", "--force")[1] == "stopping 'morning': 2 accounts had not ended\n"
    assert warmup("restart", "morning", "--all")[1] == "restarted 'morning': 2 accounts are queued\n"
    code, _, err = warmup("start", "morning")
    assert (code, err) == (1, "task 'morning' is QUEUED: only a PENDING task can be started\n")


def test_parked_account_is_resumed_or_settled_by_name() -> None:
    task = factories.started_task(1, name="morning")
    username = task.runs.get().account.username
    factories.end(task, Outcome("PARKED", reason="challenge"))

    assert warmup("settle", "morning", "--account", username, "--again")[0] == 1
    assert warmup("resume", "morning", "--account", username)[1] == f"resumed '{username}' in 'morning'\n"
    factories.end(task, Outcome("PARKED", reason="in_doubt"))
    assert (
        warmup("settle", "morning", "--account", username, "--happened")[1]
        == f"settled '{username}' in 'morning'\n"
    )
    assert task.runs.get().cursor == 1
    assert "no run of account 'nobody'" in warmup("resume", "morning", "--account", "nobody")[2]


def test_start_and_wait_gives_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    task = factories.make_task(1, name="morning")

    def work(_: float) -> None:
        factories.end(task, Outcome("COMPLETED"))

    monkeypatch.setattr(console.time, "sleep", work)

    code, out, _ = warmup("start", "morning", "--wait", "--json")

    result = json.loads(out)
    assert (code, result["status"], result["progress"]) == (0, "COMPLETED", 1.0)
    assert result["accounts"][0]["status"] == "COMPLETED"


def test_start_and_wait_exits_1_unless_completed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = factories.make_task(1, name="morning")
    monkeypatch.setattr(
        console.time,
        "sleep",
        lambda _: factories.end(task, Outcome("FAILED", reason="steps[0] open feed: 404")),
    )

    code, out, _ = warmup("start", "morning", "--wait")

    assert code == 1
    assert "steps[0] open feed: 404" in out
    assert "morning" in capsys.readouterr().err


def test_interrupted_wait_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_task(1, name="morning")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console.time, "sleep", interrupt)

    assert warmup("start", "morning", "--wait")[0] == 130


def test_status_is_the_contract() -> None:
    task = factories.started_task(3, name="morning", concurrency=1)
    factories.end(task, Outcome("PARKED", reason="challenge", detail="a challenge is shown"))
    (spec,) = factories.claim(task)
    store.set_plan_length(spec.lease, 3)

    result = json.loads(warmup("status", "morning", "--json")[1])

    assert set(result) >= {
        "id",
        "name",
        "status",
        "progress",
        "started_at",
        "completed_at",
        "counts",
        "accounts",
    }
    assert (result["name"], result["status"], result["completed_at"]) == ("morning", "RUNNING", None)
    assert result["counts"] == {
        "PENDING": 1,
        "RUNNING": 1,
        "PARKED": 1,
        "COMPLETED": 0,
        "FAILED": 0,
        "STOPPED": 0,
    }
    parked, running, waiting = result["accounts"]
    assert (parked["status"], parked["reason"], parked["waiting_for"]) == (
        "PARKED",
        "challenge",
        "a person: challenge",
    )
    assert (running["step"], running["steps"], running["attempt"], running["waiting_for"]) == (0, 3, 1, None)
    assert waiting["waiting_for"] == "a worker: none is alive"
    assert "1 RUNNING" in warmup("status", "morning")[1]


def test_status_of_all_tasks() -> None:
    first, second = factories.make_task(1, name="one"), factories.started_task(2, name="two")

    tasks = json.loads(warmup("status", "--json")[1])["tasks"]

    assert [(task["id"], task["status"], sum(task["counts"].values())) for task in tasks] == [
        (second.pk, "QUEUED", 2),
        (first.pk, "PENDING", 0),
    ]
    assert "two" in warmup("status")[1]


def test_plan_opens_nothing_and_is_the_same_each_time() -> None:
    factories.make_task(2, name="morning", seed=5)

    code, out, _ = warmup("plan", "morning", "--json")

    plan = json.loads(out)
    assert (code, len(plan["accounts"])) == (0, 2)
    assert [step["label"] for step in plan["accounts"][0]["steps"]] == [
        "open feed",
        "scroll 900 px",
        "click like",
    ]
    assert warmup("plan", "morning", "--json")[1] == out
    text = warmup("plan", "morning")[1]
    assert "3. click like  [once]" in text
    assert not WarmupTask.objects.get().runs.exists()


def test_logs_by_level_and_account() -> None:
    task = factories.started_task(2, name="morning")
    runs = list(task.runs.order_by("pk"))
    for run, level in zip(runs, ("DEBUG", "ERROR"), strict=True):
        LogLine.objects.create(
            task=task, run=run, at=store.database_now(), level=level, event="e", text=level
        )

    assert "ERROR" in warmup("logs", "morning")[1]
    assert "DEBUG" not in warmup("logs", "morning")[1]
    lines = warmup("logs", "morning", "--level", "DEBUG", "--account", runs[0].account.username, "--json")[1]
    assert [json.loads(line)["level"] for line in lines.splitlines()] == ["DEBUG"]


def test_logs_follow_until_the_task_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    task = factories.started_task(1, name="morning")

    def log_and_end(_: float) -> None:
        LogLine.objects.create(task=task, at=store.database_now(), level="INFO", event="last", text="line")
        factories.end(task, Outcome("COMPLETED"))

    monkeypatch.setattr("warmup.management.commands.warmup.time.sleep", log_and_end)

    assert "last line" in warmup("logs", "morning", "--follow")[1]


def test_reconcile_says_what_it_did() -> None:
    assert warmup("reconcile")[1] == "expired 0, woken 0, settled 0, fired 0, decided 0\n"


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (lambda task: services.pause(task, by=None), "the task is PAUSED"),
        (lambda task: factories.claim(task, 1), "a free slot: 1 of 1 are in use"),
        (
            lambda task: factories.end(task, Outcome("PENDING", retry_after_seconds=60)),
            "backing off until 20",
        ),
    ],
)
def test_waiting_run_names_its_blocker(monkeypatch: pytest.MonkeyPatch, arrange: Any, expected: str) -> None:
    monkeypatch.setattr(queue, "live_workers", lambda: 2)
    task = factories.started_task(2, concurrency=1)

    arrange(task)

    task.refresh_from_db()
    waiting = [
        run["waiting_for"] for run in reporting.task_status(task)["accounts"] if run["status"] == "PENDING"
    ]
    assert any(reason.startswith(expected) for reason in waiting)


def test_waiting_run_names_the_task_that_holds_its_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "live_workers", lambda: 2)
    site = factories.SiteFactory(concurrency=1)
    first = factories.started_task(1, site=site, name="first")
    second = factories.make_task(1, site=site)
    second.accounts.add(*first.accounts.all())
    services.start(second, by=None)
    second.refresh_from_db()
    assert {run["waiting_for"] for run in reporting.task_status(second)["accounts"]} == {"a worker"}
    factories.claim(first)

    reasons = [run["waiting_for"] for run in reporting.task_status(second)["accounts"]]

    assert reasons == ["the account: busy in task 'first'", f"a free slot on site '{site}': 1 at once"]


def test_progress_counts_finished_runs_and_steps() -> None:
    task = factories.started_task(2)
    factories.end(task, Outcome("COMPLETED"))
    task.runs.filter(status=RunStatus.PENDING).update(cursor=1, steps_total=4)

    assert reporting.progress([task.pk, 0]) == {task.pk: 0.625, 0: 0.0}
