"""Claiming: limits, leases, attempts, one active run for each account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.models import AccountSecret, ProxySecret, SessionState
from tests import factories
from warmup import services, store
from warmup.models import StepRecord, WarmupAccount
from warmup.plan import PlanStep
from warmup.states import RunStatus, TaskStatus
from warmup.types import Outcome

pytestmark = pytest.mark.django_db

LIKE = PlanStep(index=0, place="steps[0]", do="click", label="click like", effect="once")


def test_claim_takes_runs_in_order_and_leases_them(settings: Any) -> None:
    task = factories.started_task(3)
    before = store.database_now()

    specs = factories.claim(task, 2)

    runs = list(task.runs.order_by("pk"))
    assert [spec.lease.run_id for spec in specs] == [run.pk for run in runs[:2]]
    assert [run.status for run in runs] == ["RUNNING", "RUNNING", "PENDING"]
    assert runs[0].attempt == specs[0].attempt == 1
    assert runs[0].lease_token == specs[0].lease.token
    assert runs[0].lease_until >= before + timedelta(seconds=settings.WARMUP_LEASE_SECONDS)
    assert runs[0].worker == "worker:1:1"
    assert runs[0].started_at is not None


def test_claim_gives_all_that_a_run_needs() -> None:
    task = factories.started_task(1, delay_min_seconds=1, delay_max_seconds=2, seed=7)
    account = task.runs.get().account
    SessionState.save_version(account.pk, factories.state(factories.cookie("a")))

    (spec,) = factories.claim(task)

    assert spec.account.username == account.username
    assert spec.account.password == "pw"
    assert spec.account.storage_state == factories.state(factories.cookie("a"))
    assert spec.site.url("/feed") == "http://site.test/feed"
    assert spec.playbook == task.playbook.definition
    assert 1 <= spec.start_delay_seconds <= 2
    assert not spec.in_doubt
    assert "pw" not in repr(spec)


def test_first_claim_makes_the_task_running() -> None:
    task = factories.started_task(1)

    factories.claim(task)

    task.refresh_from_db()
    assert task.status == TaskStatus.RUNNING
    assert task.started_at is not None


def test_claim_respects_the_tasks_concurrency() -> None:
    task = factories.started_task(5, concurrency=2)

    assert len(factories.claim(task, 10)) == 2
    assert factories.claim(task, 10) == []


def test_claim_respects_the_sites_concurrency_across_tasks() -> None:
    site = factories.SiteFactory(concurrency=3)
    first, second = factories.started_task(2, site=site), factories.started_task(4, site=site)

    assert len(factories.claim(first, 10)) == 2
    assert len(factories.claim(second, 10)) == 1


def test_claim_leaves_an_account_that_another_task_holds() -> None:
    first = factories.started_task(1)
    second = factories.make_task(0, site=first.site)
    second.accounts.set(first.accounts.all())
    services.start(second, by=None)
    factories.claim(first)

    assert factories.claim(second) == []
    assert not store.has_work(second.pk)


@pytest.mark.parametrize("status", [TaskStatus.PENDING, TaskStatus.PAUSED, TaskStatus.STOPPED])
def test_claim_takes_nothing_of_a_task_that_is_not_to_run(status: str) -> None:
    task = factories.task_in(status)

    assert factories.claim(task, 5) == []
    assert not store.has_work(task.pk)


def test_claim_of_a_task_that_is_gone_is_empty() -> None:
    assert store.claim(0, 5, "w") == []
    assert not store.has_work(0)


def test_claim_of_nothing_is_empty() -> None:
    task = factories.started_task(1)

    assert store.claim(task.pk, 0, "w") == []


def test_claim_leaves_a_run_that_backs_off() -> None:
    task = factories.started_task(1)
    factories.end(task, Outcome("PENDING", reason="429", retry_after_seconds=100))

    assert factories.claim(task) == []
    assert 99 < (store.seconds_until_work(task.pk) or 0) <= 100


def test_seconds_until_work_is_none_when_nothing_backs_off() -> None:
    assert store.seconds_until_work(factories.started_task(1).pk) is None


def test_seconds_until_work_is_none_for_a_task_that_is_not_to_run() -> None:
    task = factories.started_task(1)
    factories.end(task, Outcome("PENDING", retry_after_seconds=100))
    services.pause(task, by=None)

    assert store.seconds_until_work(task.pk) is None


def test_run_whose_secret_does_not_open_fails_alone() -> None:
    task = factories.started_task(2)
    bad = task.runs.order_by("pk")[0]
    AccountSecret.objects.filter(account=bad.account).update(password=b"gAAAAnot-a-token")

    specs = factories.claim(task, 2)

    bad.refresh_from_db()
    assert len(specs) == 1
    assert bad.status == RunStatus.FAILED
    assert "FIELD_KEYS" in bad.reason
    assert bytes(AccountSecret.objects.get(account=bad.account).password) == b"gAAAAnot-a-token"


def test_run_whose_state_was_moved_from_another_account_fails_alone() -> None:
    task = factories.started_task(2)
    bad = task.runs.order_by("pk")[0]
    SessionState.save_version(bad.account_id, factories.state(factories.cookie()))
    SessionState.objects.update(account=task.runs.order_by("pk")[1].account)

    specs = factories.claim(task, 2)

    moved = task.runs.order_by("pk")[1]
    assert [spec.lease.run_id for spec in specs] == [bad.pk]
    assert (moved.status, SessionState.objects.count()) == (RunStatus.FAILED, 1)
    assert "sealed for another place" in moved.reason


def test_run_whose_state_cannot_be_restored_fails_alone() -> None:
    task = factories.started_task(2)
    bad = task.runs.order_by("pk")[0]
    SessionState.save_version(bad.account_id, factories.state(factories.cookie()))
    task.site.allowed_hosts = ["elsewhere.test"]
    task.site.save()

    assert len(factories.claim(task, 2)) == 1

    bad.refresh_from_db()
    assert bad.status == RunStatus.FAILED
    assert "cookies[0].domain: 'site.test' is none of the site's allowed hosts" in bad.reason


def test_task_of_unreadable_secrets_ends_failed() -> None:
    task = factories.started_task(1)
    AccountSecret.objects.update(password=b"gAAAAnot-a-token")

    assert factories.claim(task) == []

    task.refresh_from_db()
    assert task.status == TaskStatus.FAILED


def test_claim_gives_proxy_credentials() -> None:
    from core.models import Proxy

    task = factories.started_task(1)
    proxy = Proxy.objects.create(name="office", server="http://127.0.0.1:3128")
    ProxySecret.store(proxy, {"username": "u", "password": "s3cret"})
    account = task.runs.get().account
    account.proxy = proxy
    account.save()

    (spec,) = factories.claim(task)

    assert spec.account.proxy is not None
    assert (spec.account.proxy.server, spec.account.proxy.username) == ("http://127.0.0.1:3128", "u")
    assert "s3cret" not in repr(spec)


def test_second_owner_is_told_of_an_intent_without_outcome() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    store.record_intent(spec.lease, spec.attempt, LIKE)
    _expire(task)

    (again,) = factories.claim(task)

    assert again.in_doubt
    assert again.attempt == 2


def test_intent_of_before_a_restart_is_no_doubt() -> None:
    task = factories.started_task(1)
    (spec,) = factories.claim(task)
    store.record_intent(spec.lease, spec.attempt, LIKE)
    store.finish(spec.lease, Outcome("FAILED"))
    services.restart(task, which="failed", by=None)

    (again,) = factories.claim(task)

    assert not again.in_doubt
    assert StepRecord.objects.count() == 1


def _expire(task: Any) -> None:
    WarmupAccount.objects.active().update(lease_until=store.database_now() - timedelta(seconds=1))
    assert store.expire(task.pk) == 1
