"""Rows for tests. A status is reached through the services and the store, as in real life."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import factory
from django.contrib.auth.models import User
from factory.django import DjangoModelFactory

from core.models import Account, AccountSecret, Site
from warmup import services, store
from warmup.models import Playbook, WarmupAccount, WarmupTask
from warmup.playbooks.schema import parse_playbook
from warmup.states import RunStatus, TaskStatus
from warmup.types import Outcome, RunSpec

STEPS: list[dict[str, Any]] = [
    {"do": "open", "target": "feed"},
    {"do": "scroll", "pixels": 900},
    {"do": "click", "target": "like", "counts_as": "like", "done": ".liked"},
]


class SiteFactory(DjangoModelFactory[Site]):
    class Meta:
        model = Site

    slug = factory.Sequence(lambda n: f"reel{n}")
    name = factory.LazyAttribute(lambda site: site.slug.title())
    base_url = "http://site.test"
    allowed_hosts = ["site.test"]
    targets = {"feed": {"path": "/feed"}, "card": {"selector": ".card"}, "like": {"selector": ".like"}}
    logged_in = {"path": "/feed", "selector": ".card"}
    log_in = {"path": "/login", "username": "#username", "password": "#password", "submit": "#go"}
    challenges = ["#challenge"]


class AccountFactory(DjangoModelFactory[Account]):
    class Meta:
        model = Account
        skip_postgeneration_save = True

    site = factory.SubFactory(SiteFactory)
    username = factory.Sequence(lambda n: f"user{n:04d}")

    @factory.post_generation
    def password(self: Any, create: bool, extracted: str | None, **_: Any) -> None:
        AccountSecret.store(self, extracted or "pw")


def cookie(name: str = "session", value: str = "1", **more: Any) -> dict[str, Any]:
    """A cookie of the factories' sites, as Playwright writes it."""
    return {"name": name, "value": value, "domain": "site.test", "path": "/", **more}


def state(*cookies: dict[str, Any], origins: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A storage state of such a site."""
    return {"cookies": list(cookies), "origins": list(origins)}


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"operator{n}")


def make_playbook(name: str = "browse", steps: list[dict[str, Any]] | None = None) -> Playbook:
    return Playbook.save_version(parse_playbook({"name": name, "steps": steps or STEPS}))[0]


def make_task(accounts: int = 3, *, site: Site | None = None, **fields: Any) -> WarmupTask:
    """A PENDING task for fresh accounts of one site."""
    site = site or SiteFactory()
    people = AccountFactory.create_batch(accounts, site=site)
    fields.setdefault("name", f"task-{uuid.uuid4().hex[:8]}")
    fields.setdefault("playbook", make_playbook())
    fields.setdefault("concurrency", 10)
    task = WarmupTask.objects.create(site=site, **fields)
    task.accounts.set(people)
    return task


def started_task(accounts: int = 3, **fields: Any) -> WarmupTask:
    task = make_task(accounts, **fields)
    services.start(task, by=None)
    task.refresh_from_db()
    return task


def claim(task: WarmupTask, limit: int = 1) -> list[RunSpec]:
    return store.claim(task.pk, limit, "worker:1:1")


def end(task: WarmupTask, outcome: Outcome) -> None:
    """Claim one run of the task and end it so."""
    (spec,) = claim(task)
    assert store.finish(spec.lease, outcome)


def run_in(status: str, *, task: WarmupTask | None = None) -> WarmupAccount:
    """A run that has reached `status` the ordinary way; its task has a second, waiting run."""
    task = task or started_task(2)
    first = task.runs.order_by("pk")[0]
    if status == RunStatus.RUNNING:
        claim(task)
    elif status == RunStatus.PARKED:
        end(task, Outcome("PARKED", reason="challenge"))
    elif status != RunStatus.PENDING:
        end(task, Outcome(status, reason="because"))  # type: ignore[arg-type]  # a final status
    first.refresh_from_db()
    assert first.status == status
    return first


def task_in(status: str) -> WarmupTask:
    """A task of two accounts that has reached `status` the ordinary way."""
    task = make_task(2)
    if status != TaskStatus.PENDING:
        services.start(task, by=None)
    if status == TaskStatus.RUNNING:
        claim(task)
    elif status == TaskStatus.PAUSED:
        services.pause(task, by=None)
    elif status == TaskStatus.STOPPED:
        services.stop(task, by=None)
    elif status in {TaskStatus.COMPLETED, TaskStatus.PARTIAL, TaskStatus.FAILED}:
        end(task, Outcome("FAILED" if status == TaskStatus.FAILED else "COMPLETED"))
        end(task, Outcome("COMPLETED" if status == TaskStatus.COMPLETED else "FAILED"))
    task.refresh_from_db()
    assert task.status == status
    return task
