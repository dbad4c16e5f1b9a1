"""The verbs: guards, the one change, and what is put into the queue on commit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.errors import IllegalTransition, InvalidInput, NotFound
from tests import factories
from warmup import queue, services, store
from warmup.models import AuditEntry, Playbook, StepRecord, WarmupAccount, WarmupTask
from warmup.plan import PlanStep
from warmup.states import RunStatus, TaskStatus
from warmup.types import Outcome

pytestmark = pytest.mark.django_db

LIKE = PlanStep(index=0, place="steps[0]", do="click", label="click like", effect="once")


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What `queue.wake` was asked for; the queue itself has its own tests."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(queue, "wake", lambda task_id, slices=1: calls.append((task_id, slices)))
    return calls


def test_find_task_by_name_before_id() -> None:
    first = factories.make_task(0)
    second = factories.make_task(0, name=str(first.pk))

    assert services.find_task(str(first.pk)) == second
    assert services.find_task(str(second.pk)) == second
    assert services.find_task(first.name) == first


@pytest.mark.parametrize("name", ["nobody", "0", "9" * 30, "²", ""])
def test_find_task_that_is_not_there(name: str) -> None:
    with pytest.raises(NotFound, match="no task"):
        services.find_task(name)


def test_start_makes_runs_and_wakes_workers(woken: Any, settings: Any) -> None:
    settings.WARMUP_CONTEXTS_PER_WORKER = 2
    user = factories.UserFactory()
    task = factories.make_task(7, concurrency=5, seed=3)

    assert services.start(task, by=user) == 7

    task.refresh_from_db()
    assert task.status == TaskStatus.QUEUED
    assert task.runs.counts()["PENDING"] == 7
    assert len({run.seed for run in task.runs.all()}) == 7
    assert woken == [(task.pk, 3)]  # 5 slots by 2 contexts
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name, entry.verb, entry.count) == (user, user.username, "start", 7)


def test_start_takes_all_enabled_accounts_of_the_site_as_of_now() -> None:
    task = factories.make_task(2, all_accounts=True)
    task.accounts.clear()
    factories.AccountFactory(site=task.site)
    factories.AccountFactory(site=task.site, enabled=False)
    factories.AccountFactory()

    assert services.start(task, by=None) == 3


def test_start_of_many_accounts_goes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "INSERT_BATCH", 3)

    assert services.start(factories.make_task(7), by=None) == 7


@pytest.mark.parametrize("status", [s for s in TaskStatus.values if s != TaskStatus.PENDING])
def test_start_of_a_task_started_before_is_refused(status: str) -> None:
    task = factories.task_in(status)
    before = task.runs.count()

    with pytest.raises(IllegalTransition, match=f"is {status}: only a PENDING task"):
        services.start(task, by=None)
    assert task.runs.count() == before


def test_start_without_accounts_is_refused_and_changes_nothing() -> None:
    task = factories.make_task(0)

    with pytest.raises(InvalidInput, match="no enabled account"):
        services.start(task, by=None)
    task.refresh_from_db()
    assert task.status == TaskStatus.PENDING


def test_start_with_a_target_that_the_site_lacks_is_refused() -> None:
    playbook = factories.make_playbook("lost", [{"do": "open", "target": "nowhere"}])
    task = factories.make_task(1, playbook=playbook)

    with pytest.raises(InvalidInput, match=r"steps\[0\].target: .*'nowhere'"):
        services.start(task, by=None)


@pytest.mark.parametrize("status", [TaskStatus.QUEUED, TaskStatus.RUNNING])
def test_pause_and_resume(status: str, woken: Any) -> None:
    task = factories.task_in(status)

    services.pause(task, by=None)
    task.refresh_from_db()
    assert task.status == TaskStatus.PAUSED
    services.resume(task, by=None)

    task.refresh_from_db()
    assert task.status == TaskStatus.QUEUED
    assert woken[-1][0] == task.pk
    assert [entry.verb for entry in AuditEntry.objects.order_by("pk")[1:]] == ["pause", "resume"]


@pytest.mark.parametrize("status", [s for s in TaskStatus.values if s not in {"QUEUED", "RUNNING"}])
def test_pause_of_what_does_not_run_is_refused(status: str) -> None:
    with pytest.raises(IllegalTransition, match=status):
        services.pause(factories.task_in(status), by=None)


def test_resume_of_nothing_is_refused() -> None:
    with pytest.raises(IllegalTransition, match="nothing to resume"):
        services.resume(factories.task_in(TaskStatus.COMPLETED), by=None)


def test_resume_takes_up_parked_accounts_at_their_cursor(woken: Any) -> None:
    task = factories.started_task(1)
    factories.end(task, Outcome("PARKED", reason="challenge"))
    task.runs.update(cursor=2)
    task.refresh_from_db()
    assert task.status == TaskStatus.FAILED

    assert services.resume(task, by=None) == 1

    task.refresh_from_db()
    run = task.runs.get()
    assert (task.status, task.completed_at) == (TaskStatus.QUEUED, None)
    assert (run.status, run.cursor, run.reason) == (RunStatus.PENDING, 2, "")


@pytest.mark.parametrize("happened", [True, False])
def test_settle_decides_a_doubt(happened: bool, woken: Any) -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    store.record_intent(spec.lease, spec.attempt, LIKE)
    store.finish(spec.lease, Outcome("PARKED", reason="in_doubt"))
    with pytest.raises(IllegalTransition, match="nothing to resume"):
        services.resume(task, by=None)

    services.settle(task.runs.get(), happened=happened, by=None)

    run = task.runs.get()
    assert (run.status, run.cursor) == (RunStatus.PENDING, int(happened))
    assert StepRecord.objects.get().result == ("DONE" if happened else "FAILED")
    (again,) = factories.claim(task)
    assert not again.in_doubt


def test_unpark_takes_up_one_account(woken: Any) -> None:
    task = factories.started_task(2)
    for _ in range(2):
        factories.end(task, Outcome("PARKED", reason="challenge"))
    first, second = task.runs.order_by("pk")

    services.unpark(first, by=None)

    task.refresh_from_db()
    second.refresh_from_db()
    assert (task.status, task.runs.get(pk=first.pk).status, second.status) == ("QUEUED", "PENDING", "PARKED")
    with pytest.raises(IllegalTransition, match="not parked"):
        services.unpark(first, by=None)


def test_unpark_of_a_doubt_is_refused() -> None:
    run = factories.run_in(RunStatus.PARKED)
    WarmupAccount.objects.filter(pk=run.pk).update(reason="in_doubt")

    with pytest.raises(IllegalTransition, match="to be settled"):
        services.unpark(run, by=None)


def test_settle_of_a_run_that_is_not_in_doubt_is_refused() -> None:
    run = factories.run_in(RunStatus.PARKED)

    with pytest.raises(IllegalTransition, match="not parked in doubt"):
        services.settle(run, happened=True, by=None)


def test_stop_ends_what_waits_and_asks_what_runs() -> None:
    task = factories.started_task(3)
    (spec,) = factories.claim(task)

    assert services.stop(task, by=None) == 3

    task.refresh_from_db()
    assert task.status == TaskStatus.RUNNING
    assert task.stop_requested_at is not None
    assert task.runs.counts()["STOPPED"] == 2
    assert factories.claim(task) == []
    store.finish(spec.lease, Outcome("STOPPED"))
    task.refresh_from_db()
    assert task.status == TaskStatus.STOPPED


def test_force_stop_takes_the_leases_away() -> None:
    task = factories.started_task(2)
    (spec,) = factories.claim(task)
    services.stop(task, by=None)

    services.stop(task, by=None, force=True)

    task.refresh_from_db()
    assert task.status == TaskStatus.STOPPED
    assert not store.finish(spec.lease, Outcome("COMPLETED"))
    assert task.runs.counts()["STOPPED"] == 2


def test_stop_of_a_pending_task() -> None:
    task = factories.make_task(1)

    services.stop(task, by=None)

    task.refresh_from_db()
    assert task.status == TaskStatus.STOPPED


@pytest.mark.parametrize("status", ["COMPLETED", "PARTIAL", "FAILED", "STOPPED"])
def test_stop_of_an_ended_task_is_refused(status: str) -> None:
    with pytest.raises(IllegalTransition, match="ended already"):
        services.stop(factories.task_in(status), by=None)


@pytest.mark.parametrize("verb", [services.pause, services.resume, services.stop])
def test_verb_on_a_task_that_was_deleted(verb: Any) -> None:
    task = factories.make_task(0)
    WarmupTask.objects.filter(pk=task.pk).delete()

    with pytest.raises(NotFound):
        verb(task, by=None)


@pytest.mark.parametrize("verb", [services.pause, services.resume])
def test_task_being_stopped_takes_no_other_verb(verb: Any) -> None:
    task = factories.started_task(1)
    factories.claim(task)
    services.stop(task, by=None)

    with pytest.raises(IllegalTransition, match="being stopped"):
        verb(task, by=None)


@pytest.mark.parametrize(("which", "expected"), [("failed", 3), ("all", 4)])
def test_restart_runs_again_from_the_first_step(which: Any, expected: int, woken: Any) -> None:
    task = factories.started_task(4)
    factories.end(task, Outcome("COMPLETED"))
    factories.end(task, Outcome("FAILED", reason="x"))
    factories.end(task, Outcome("PARKED", reason="challenge"))
    services.stop(task, by=None)  # the parked and the waiting one
    task.runs.update(cursor=3)

    count = services.restart(task, which=which, by=None)

    task.refresh_from_db()
    again = task.runs.filter(status=RunStatus.PENDING)
    assert count == again.count() == expected
    assert {(run.cursor, run.reason, run.started_at) for run in again} == {(0, "", None)}
    assert (task.status, task.stop_requested_at) == (TaskStatus.QUEUED, None)


def test_restart_of_a_paused_task_leaves_it_paused(woken: Any) -> None:
    task = factories.started_task(2)
    factories.end(task, Outcome("FAILED"))
    services.pause(task, by=None)

    services.restart(task, which="failed", by=None)

    task.refresh_from_db()
    assert task.status == TaskStatus.PAUSED
    assert len(woken) == 1


def test_restart_of_nothing_is_refused() -> None:
    with pytest.raises(IllegalTransition, match="no run to restart"):
        services.restart(factories.task_in(TaskStatus.COMPLETED), which="failed", by=None)


def test_restart_with_the_latest_playbook() -> None:
    task = factories.task_in(TaskStatus.COMPLETED)
    factories.make_playbook(task.playbook.name, [{"do": "open", "target": "feed"}])

    services.restart(task, which="all", by=None, latest_playbook=True)

    task.refresh_from_db()
    assert task.playbook.version == 2


def test_restart_keeps_the_playbook_unless_asked() -> None:
    task = factories.task_in(TaskStatus.COMPLETED)
    factories.make_playbook(task.playbook.name, [{"do": "open", "target": "feed"}])

    services.restart(task, which="all", by=None)

    task.refresh_from_db()
    assert task.playbook.version == 1


def test_another_playbook_needs_a_restart_of_all() -> None:
    with pytest.raises(IllegalTransition, match="restart of all"):
        services.restart(factories.task_in(TaskStatus.FAILED), which="failed", by=None, latest_playbook=True)


def test_latest_playbook_must_fit_the_site() -> None:
    task = factories.task_in(TaskStatus.COMPLETED)
    factories.make_playbook(task.playbook.name, [{"do": "open", "target": "nowhere"}])

    with pytest.raises(InvalidInput, match="nowhere"):
        services.restart(task, which="all", by=None, latest_playbook=True)
    task.refresh_from_db()
    assert (task.status, task.playbook.version) == (TaskStatus.COMPLETED, 1)


def test_saved_playbook_never_changes() -> None:
    playbook = factories.make_playbook()
    playbook.name = "other"

    with pytest.raises(Exception, match="never changes"):
        playbook.save()
    assert Playbook.objects.get().name == "browse"


def test_reconcile_takes_back_expired_leases_and_wakes(woken: Any) -> None:
    task = factories.started_task(1)
    factories.claim(task)
    past = store.database_now() - timedelta(minutes=5)
    WarmupAccount.objects.update(lease_until=past)
    WarmupTask.objects.update(woken_at=past)
    woken.clear()

    assert services.reconcile() == {"expired": 1, "woken": 1, "settled": 0}

    assert woken == [(task.pk, 1)]
    assert services.reconcile() == {"expired": 0, "woken": 0, "settled": 0}


def test_reconcile_wakes_a_task_at_once_that_has_just_lost_a_worker(woken: Any) -> None:
    task = factories.started_task(1)
    factories.claim(task)
    now = store.database_now()
    WarmupAccount.objects.update(lease_until=now - timedelta(seconds=1))
    # Woken lately: no reason to wait, since the slice that was lost wakes nobody when it ends.
    WarmupTask.objects.update(woken_at=now - timedelta(seconds=5))
    woken.clear()

    assert services.reconcile() == {"expired": 1, "woken": 1, "settled": 0}

    assert woken == [(task.pk, 1)]


def test_after_slice_lets_what_backs_off_be_woken_as_soon_as_it_is_due(woken: Any) -> None:
    task = factories.started_task(1)
    factories.end(task, Outcome("PENDING", reason="the browser died", retry_after_seconds=1))
    woken.clear()
    services.after_slice(task.pk)
    assert woken == []
    assert services.reconcile()["woken"] == 0

    WarmupAccount.objects.update(available_at=store.database_now())

    assert services.reconcile()["woken"] == 1
    assert woken == [(task.pk, 1)]


def test_reconcile_settles_a_task_without_live_runs() -> None:
    task = factories.started_task(1)
    WarmupAccount.objects.transition(RunStatus.STOPPED, now=store.database_now())

    assert services.reconcile()["settled"] == 1

    task.refresh_from_db()
    assert task.status == TaskStatus.FAILED


def test_after_slice_wakes_a_successor_and_what_waited_for_its_slots(woken: Any) -> None:
    site = factories.SiteFactory(concurrency=1)
    first, second = factories.started_task(2, site=site), factories.started_task(1, site=site)
    factories.started_task(1)
    WarmupTask.objects.update(woken_at=store.database_now() - timedelta(seconds=10))
    woken.clear()

    services.after_slice(first.pk)

    assert woken == [(first.pk, 1), (second.pk, 1)]


def test_after_slice_without_work_wakes_nobody(woken: Any) -> None:
    task = factories.task_in(TaskStatus.COMPLETED)
    woken.clear()

    services.after_slice(task.pk)

    assert woken == []


@pytest.mark.parametrize("reason", ["challenge", "in_doubt"])
def test_parked_account_of_a_paused_task_waits_for_the_resume(reason: str, woken: Any) -> None:
    task = factories.started_task(2)
    factories.end(task, Outcome("PARKED", reason=reason))
    services.pause(task, by=None)
    run = task.runs.get(status=RunStatus.PARKED)

    if reason == "in_doubt":
        services.settle(run, happened=True, by=None)
    else:
        services.unpark(run, by=None)

    task.refresh_from_db()
    assert (task.status, task.runs.get(pk=run.pk).status) == (TaskStatus.PAUSED, RunStatus.PENDING)


def test_run_given_back_to_a_task_being_stopped_is_stopped() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    services.stop(task, by=None)

    assert store.finish(spec.lease, Outcome("PENDING", reason="the browser died"))

    task.refresh_from_db()
    assert (task.runs.get().status, task.status) == (RunStatus.STOPPED, TaskStatus.STOPPED)
