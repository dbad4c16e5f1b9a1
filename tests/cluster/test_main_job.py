"""The main job through a real qcluster and real Chromium, on every database and broker."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from demo_site.behaviours import usernames
from demo_site.load import load_file, load_file_second_markup
from demo_site.markup import ROLLE
from tests.cluster.conftest import MakeSystem, System, browser_processes

pytestmark = pytest.mark.cluster

BACKENDS = [
    pytest.param("sqlite", "database", id="sqlite"),
    pytest.param("postgres", "database", id="postgres", marks=pytest.mark.postgres),
    pytest.param("postgres", "redis", id="postgres-redis", marks=[pytest.mark.postgres, pytest.mark.redis]),
]


def accounts_of(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {account["username"]: account for account in result["accounts"]}


@pytest.mark.parametrize(("database", "broker"), BACKENDS)
def test_twelve_accounts_are_warmed_and_site_and_database_agree(
    make_system: MakeSystem, database: str, broker: str
) -> None:
    with make_system(database, broker) as system:
        system.load(load_file(system.site.url, usernames(12), concurrency=8))
        system.start_cluster()

        result = system.json("start", "morning", "--wait")

        assert result["status"] == "COMPLETED", system.logs()
        assert result["counts"]["COMPLETED"] == 12
        assert system.disagreements("morning") == ""
        assert len([row for row in system.ledger() if row["action"] == "like"]) == 12
        system.wait_until(lambda: browser_processes() == [])


def test_second_task_goes_on_with_the_saved_states(make_system: MakeSystem) -> None:
    with make_system() as system:
        content = load_file(system.site.url, usernames(4), concurrency=4)
        content["tasks"].append(content["tasks"][0] | {"name": "evening", "seed": 8})
        system.load(content)
        system.start_cluster()
        system.json("start", "morning", "--wait")

        result = system.json("start", "evening", "--wait")

        assert result["status"] == "COMPLETED"
        assert len([row for row in system.ledger() if row["action"] == "login"]) == 4


def test_load_file_for_another_site_works_unchanged(make_system: MakeSystem) -> None:
    with make_system(markup=ROLLE) as system:
        content = load_file_second_markup(system.site.url, usernames(3))
        done = system.manage("warmup", "load", "-", "--json", stdin=json.dumps(content))
        assert json.loads(done.stdout)["accounts"]["created"] == 3
        system.start_cluster()

        result = system.json("start", "abends", "--wait")

        assert result["status"] == "COMPLETED", system.logs()
        assert system.disagreements("abends") == ""


BAD = {
    "hang01": ("FAILED", "not done after 12 s"),
    "crash01": ("FAILED", "crash"),
    "challenge01": ("PARKED", "challenge"),
    "wrong01": ("PARKED", "logged_out"),
    "limited01": ("FAILED", "429"),
}


def test_forty_accounts_with_five_bad_ones(make_system: MakeSystem) -> None:
    with make_system(accounts=35, WARMUP_STEP_TIMEOUT_SECONDS="12", WARMUP_CONTEXTS_PER_WORKER="8") as system:
        content = load_file(system.site.url, [*BAD, *usernames(35)], concurrency=16)
        system.load(content)
        system.start_cluster()

        result = system.json("start", "morning", "--wait", code=1)

        accounts = accounts_of(result)
        good = [accounts[name] for name in usernames(35)]
        assert {account["status"] for account in good} == {"COMPLETED"}, system.logs()
        assert result["status"] == "PARTIAL"
        for name, (status, reason) in BAD.items():
            assert accounts[name]["status"] == status, accounts[name]
            assert reason in accounts[name]["reason"], accounts[name]
        report_delays(result)
        assert_evidence(system, [name for name in BAD if name not in {"crash01", "hang01"}])
        system.wait_until(lambda: browser_processes() == [])


def report_delays(result: dict[str, Any]) -> None:
    """Print how long the good accounts took, for a person: a timing is no assertion."""
    seconds = sorted(
        (
            datetime.fromisoformat(run["completed_at"]) - datetime.fromisoformat(run["started_at"])
        ).total_seconds()
        for run in result["accounts"]
        if run["status"] == "COMPLETED"
    )
    middle = seconds[len(seconds) // 2]
    print(f"good accounts took {seconds[0]:.1f} to {seconds[-1]:.1f} s, median {middle:.1f} s")


def assert_evidence(system: System, names: list[str]) -> None:
    """Each of these has a screenshot that opens."""
    code = (
        "from warmup.models import Artifact; from core import artifacts;"
        "print(sorted({a.run.account.username for a in Artifact.objects.filter(kind='screenshot')"
        " if artifacts.read(a.pk).startswith(b'\\x89PNG')}))"
    )
    shown = system.manage("shell", "--verbosity", "0", "-c", code).stdout
    assert all(name in shown for name in names), shown


def test_verbs_work_on_a_running_task(make_system: MakeSystem) -> None:
    with make_system() as system:
        content = load_file(system.site.url, usernames(4), concurrency=4)
        content["playbooks"][0]["steps"].insert(1, {"do": "watch", "seconds": 25})
        system.load(content)
        system.start_cluster()
        system.manage("warmup", "start", "morning")
        system.wait_for("morning", lambda task: task["counts"]["RUNNING"] == 4 and steps(task) >= 4)

        system.manage("warmup", "pause", "morning")
        paused = system.wait_for("morning", lambda task: task["counts"]["PENDING"] == 4)
        assert paused["status"] == "PAUSED"
        assert steps(paused) >= 4  # cursors are kept
        system.manage("warmup", "resume", "morning")
        system.wait_for("morning", lambda task: task["counts"]["RUNNING"] == 4)
        system.manage("warmup", "stop", "morning")
        stopped = system.wait_for("morning", lambda task: task["status"] == "STOPPED")

        assert stopped["counts"]["STOPPED"] == 4
        assert {account["attempt"] for account in stopped["accounts"]} == {1}
        assert len([row for row in system.ledger() if row["action"] == "login"]) == 4  # states were kept
        system.wait_until(lambda: browser_processes() == [])


def steps(task: dict[str, Any]) -> int:
    return sum(account["step"] for account in task["accounts"])
