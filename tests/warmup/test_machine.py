"""Services and store under arbitrary interleavings of people, workers, faults and time; and under odd text.

`MACHINE_EXAMPLES=10000` runs it in full size, with examples of its own choice; the suite has a small,
fixed one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from core.errors import InvalidInput, NotFound
from core.text import clean
from tests import factories
from tests.warmup import load_examples
from tests.warmup.machine_rules import WarmupMachine
from tests.warmup.machine_world import World
from warmup import loading, reporting, services, store
from warmup.models import Artifact, AuditEntry, LogLine, StepRecord, WarmupTask
from warmup.plan import PlanStep
from warmup.types import Evidence, LogEntry, Outcome, RunSpec, StepReport

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.timeout(0 if "MACHINE_EXAMPLES" in os.environ else 600),
]

IN_SUITE = 150
EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", IN_SUITE))
settings.register_profile(
    "machine",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="MACHINE_EXAMPLES" not in os.environ,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
PROFILE = settings.get_profile("machine")


def test_any_interleaving_leaves_only_legal_states(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.install(monkeypatch)
    monkeypatch.setattr(WarmupMachine, "world", world, raising=False)

    run_state_machine_as_test(WarmupMachine, settings=settings(PROFILE, stateful_step_count=40))


# ---- odd text -------------------------------------------------------------------------------------

# What breaks databases, encodings, terminals and readers: NUL, lone surrogates, controls, what turns the
# direction of writing, an emoji of several characters, and what is no character at all.
ODD = [
    "\x00",
    "\ud83d",
    "\ude00",
    "\x1b[31m",
    "\r\n",
    "\u2028",
    "\u202e",
    "\u2066",
    "\u200f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\ufeff",
    "\uffff",
]
ANY_CHARACTER = st.characters(exclude_categories=())
TEXT = st.lists(st.sampled_from(ODD) | st.text(ANY_CHARACTER, max_size=20), max_size=8).map("".join)
# Short, or many times too long for its column.
TEXTS = TEXT | TEXT.map(lambda text: text * 100)
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LIKE = PlanStep(index=0, place="steps[0]", do="click", label="", effect="once", counts_as="like")


@pytest.fixture
def claimed() -> RunSpec:
    (spec,) = factories.claim(factories.started_task(1))
    return spec


@settings(PROFILE)
@given(label=TEXTS, detail=TEXTS, url=TEXTS, line=TEXTS, name=TEXTS)
def test_any_text_of_a_page_is_saved_clean(
    claimed: RunSpec, label: str, detail: str, url: str, line: str, name: str
) -> None:
    lease, now = claimed.lease, store.database_now()
    step = StepReport(
        lease, 1, 0, "steps[0]", "click", label, "DONE", now, now, detail, clean(url, limit=2048)
    )

    assert store.record_intent(lease, 1, dataclasses.replace(LIKE, label=label)) == "go"
    intended = StepRecord.objects.get().label
    assert store.write_progress([step], [LogEntry(lease, now, "INFO", "page_console", line)]) == frozenset()
    assert store.save_evidence(Evidence(lease, 1, 0, "html", name, b"<p>"))

    saved = StepRecord.objects.get()
    assert saved.label == intended
    newest = Artifact.objects.latest("created_at").name
    for text in (saved.label, saved.detail, LogLine.objects.latest("pk").text, newest):
        assert not UNSAFE.search(text)


@settings(PROFILE)
@given(
    status=st.sampled_from(["PENDING", "PARKED", "COMPLETED", "FAILED", "STOPPED"]),
    reason=TEXTS,
    detail=TEXTS,
    value=TEXTS,
)
def test_any_reason_ends_a_run_and_any_state_is_kept(
    claimed: RunSpec, status: Any, reason: str, detail: str, value: str
) -> None:
    state = factories.state(factories.cookie(value, value))

    with transaction.atomic():
        assert store.finish(claimed.lease, Outcome(status, reason, detail, storage_state=state))
        task = WarmupTask.objects.get(pk=claimed.task_id)
        run = task.runs.get()
        saved = run.account.current_state()
        assert saved is not None
        assert saved.open() == as_json(state)
        shown = json.dumps(reporting.task_status(task), ensure_ascii=False).encode()
        transaction.set_rollback(True)

    assert run.status == status
    assert not UNSAFE.search(run.reason + run.detail)
    (account,) = json.loads(shown)["accounts"]
    assert (account["reason"] or "", account["detail"] or "") == (run.reason, run.detail)


@settings(PROFILE)
@given(username=TEXT, password=TEXT, task_name=TEXT, value=TEXT, ascii_only=st.booleans())
def test_any_names_are_refused_by_the_load_file_or_live_a_whole_life(
    username: str, password: str, task_name: str, value: str, ascii_only: bool
) -> None:
    state = load_examples.state(cookies=[{**load_examples.COOKIE, "value": value}])
    account = load_examples.account(username=username, password=password, storage_state=state)
    content = {
        **load_examples.FULL,
        "accounts": [account],
        "tasks": [load_examples.task(name=task_name)],
    }

    with transaction.atomic():
        try:
            loading.load(json.dumps(content, ensure_ascii=ascii_only), source="load.json", by=None)
        except InvalidInput:
            pass
        else:
            live(services.find_task(task_name), username, password, state)
        transaction.set_rollback(True)


def as_json(value: Any) -> Any:
    """The value as JSON has it: two halves of a surrogate pair in a row are one character there."""
    return json.loads(json.dumps(value))


def live(task: WarmupTask, username: str, password: str, state: dict[str, Any]) -> None:
    """Start, claim, doubt, settle, stop, restart: whatever writes a name somewhere."""
    services.start(task, by=None)
    (spec,) = factories.claim(task)
    assert (spec.account.username, spec.account.password) == (username, password)
    assert spec.account.storage_state == as_json(state)
    store.record_intent(spec.lease, 1, LIKE)
    store.finish(spec.lease, Outcome("PARKED", reason="in_doubt"))
    services.settle(services.find_run(task, username), happened=True, by=None)
    services.stop(task, by=None)
    services.restart(task, which="all", by=None)
    services.stop(task, by=None, force=True)
    assert json.loads(json.dumps(reporting.task_status(task)))["name"] == task.name
    assert AuditEntry.objects.get(verb="settle").object == f"{username} in {task.name}"[:200]


@settings(PROFILE)
@given(name=TEXTS)
def test_any_name_that_nothing_has_is_not_found(claimed: RunSpec, name: str) -> None:
    task = WarmupTask.objects.get(pk=claimed.task_id)

    with pytest.raises(NotFound):
        services.find_task(f"{name}!")
    with pytest.raises(NotFound):
        services.find_run(task, f"{name}!")
