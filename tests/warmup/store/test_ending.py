"""How a run's turn ends, and what becomes of expired leases."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from core.models import Account, SessionState
from tests import factories
from warmup import services, store
from warmup.models import LogLine, WarmupAccount
from warmup.states import RunStatus, TaskStatus
from warmup.types import Lease, Outcome

pytestmark = pytest.mark.django_db

STATE = factories.state(factories.cookie())


def test_finish_completes_the_run_and_its_task() -> None:
    task = factories.started_task(1)

    factories.end(task, Outcome("COMPLETED", storage_state=STATE, logged_in_now=True))

    run = task.runs.get()
    task.refresh_from_db()
    assert (run.status, run.lease_token, run.worker) == ("COMPLETED", None, "")
    assert run.completed_at == task.completed_at is not None
    assert task.status == TaskStatus.COMPLETED
    state = run.account.current_state()
    assert state is not None
    assert state.open() == STATE
    assert (state.cookies, state.origins) == (1, 0)
    assert run.account.last_login_at == run.account.last_warmup_at == run.completed_at


def test_finish_of_a_lost_lease_changes_nothing() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)

    assert not store.finish(Lease(spec.lease.run_id, uuid.uuid4()), Outcome("COMPLETED", storage_state=STATE))
    assert not store.finish(Lease(0, spec.lease.token), Outcome("COMPLETED"))

    assert task.runs.get().status == RunStatus.RUNNING
    assert not SessionState.objects.exists()


def test_interrupted_run_goes_back_without_its_attempt() -> None:
    task = factories.started_task(1)

    factories.end(task, Outcome("PENDING", counts_as_attempt=False, storage_state=STATE))

    run = task.runs.get()
    assert (run.status, run.attempt, run.available_at) == ("PENDING", 0, None)
    assert SessionState.objects.count() == 1


def test_retried_run_backs_off_and_fails_when_its_attempts_end(settings: Any) -> None:
    settings.WARMUP_MAX_ATTEMPTS = 2
    task = factories.started_task(1)
    again = Outcome("PENDING", reason="the browser died")

    factories.end(task, again)
    run = task.runs.get()
    assert (run.status, run.attempt, run.reason) == ("PENDING", 1, "the browser died")
    factories.end(task, again)

    run.refresh_from_db()
    assert (run.status, run.attempt, run.reason) == ("FAILED", 2, "the browser died")


def test_restart_counts_attempts_afresh(settings: Any) -> None:
    settings.WARMUP_MAX_ATTEMPTS = 1
    task = factories.started_task(1)
    factories.end(task, Outcome("PENDING", reason="x"))
    services.restart(task, which="failed", by=None)

    (spec,) = factories.claim(task)

    assert spec.attempt == 2


def test_failures_in_a_row_are_counted_until_one_succeeds() -> None:
    task = factories.started_task(1)

    for expected, status in [(1, "FAILED"), (2, "FAILED"), (0, "COMPLETED")]:
        factories.end(task, Outcome(status))  # type: ignore[arg-type]
        assert Account.objects.get().failures_in_a_row == expected
        services.restart(task, which="all", by=None)


def test_state_of_another_site_is_not_saved_and_changes_no_result() -> None:
    task = factories.started_task(1)
    foreign = factories.state(factories.cookie(value="s3cret", domain="evil.test"))

    factories.end(task, Outcome("COMPLETED", storage_state=foreign))

    line = LogLine.objects.get(event="state_not_saved")
    assert (task.runs.get().status, line.level) == ("COMPLETED", "WARNING")
    assert "evil.test" in line.text
    assert "s3cret" not in line.text
    assert not SessionState.objects.exists()


def test_only_the_newest_states_are_kept() -> None:
    account = factories.AccountFactory()

    for number in range(SessionState.KEEP + 3):
        SessionState.save_version(account.pk, factories.state(factories.cookie(value=str(number))))

    kept = [int(state.open()["cookies"][0]["value"]) for state in account.states.order_by("pk")]
    assert kept == list(range(3, SessionState.KEEP + 3))


def test_expired_lease_goes_back_to_the_queue_with_its_attempt_counted() -> None:
    task = factories.started_task(1)
    _expire_leases(task)

    assert store.expire(task.pk) == 1

    run = task.runs.get()
    assert (run.status, run.attempt) == ("PENDING", 1)
    assert "was lost" in run.reason
    assert LogLine.objects.get().event == "run_taken_back"


def test_expired_lease_fails_when_the_attempts_are_used_up(settings: Any) -> None:
    settings.WARMUP_MAX_ATTEMPTS = 1
    task = factories.started_task(1)
    _expire_leases(task)

    store.expire(task.pk)

    task.refresh_from_db()
    assert task.runs.get().status == RunStatus.FAILED
    assert task.status == TaskStatus.FAILED


def test_expired_lease_of_a_task_being_stopped_is_stopped() -> None:
    task = factories.started_task(1)
    _expire_leases(task)
    services.stop(task, by=None)

    store.expire(task.pk)

    task.refresh_from_db()
    assert task.runs.get().status == RunStatus.STOPPED
    assert task.status == TaskStatus.STOPPED


def test_lease_that_holds_does_not_expire() -> None:
    task = factories.started_task(1)
    factories.claim(task)

    assert store.expire(task.pk) == 0
    assert store.expire(0) == 0


def test_settling_a_task_that_is_not_active_changes_nothing() -> None:
    task = factories.make_task(1)

    store.settle_task(task.pk, store.database_now())

    task.refresh_from_db()
    assert task.status == TaskStatus.PENDING


def _expire_leases(task: Any) -> None:
    factories.claim(task)
    WarmupAccount.objects.active().update(lease_until=store.database_now() - timedelta(seconds=1))
