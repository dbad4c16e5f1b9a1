"""Making tasks: the one way, for the admin, the load file and the schedules."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from core.errors import InvalidInput
from core.models import Account, Site
from warmup import services
from warmup.audit import Actor
from warmup.models import Playbook, WarmupTask

INSERT_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a task is, without its accounts."""

    name: str
    playbook: Playbook
    site: Site
    concurrency: int
    delay_min_seconds: float
    delay_max_seconds: float
    seed: int


def create(definition: Definition, *, accounts: QuerySet[Account] | None, by: Actor) -> WarmupTask:
    """A PENDING task for these accounts, or, with None, for every enabled account of the site.

    Raises `InvalidInput` when there is a task of that name.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                task = WarmupTask.objects.create(
                    name=definition.name,
                    playbook=definition.playbook,
                    site=definition.site,
                    all_accounts=accounts is None,
                    concurrency=definition.concurrency,
                    delay_min_seconds=definition.delay_min_seconds,
                    delay_max_seconds=definition.delay_max_seconds,
                    seed=definition.seed,
                    created_by_id=by.pk if by else None,
                )
        except IntegrityError:
            raise InvalidInput([f"name: there is a task '{definition.name}' already"]) from None
        if accounts is not None:
            choose(task, accounts)
    return task


def create_and_start(
    definition: Definition,
    *,
    accounts: QuerySet[Account] | None,
    by: Actor,
    not_before: services.NotBefore | None = None,
) -> tuple[WarmupTask, int]:
    """The started task, and how many accounts it has; no task when it cannot start.

    Raises what `create` and `services.start` raise.
    """
    with transaction.atomic():
        task = create(definition, accounts=accounts, by=by)
        return task, services.start(task, by=by, not_before=not_before)


def choose(task: WarmupTask, accounts: QuerySet[Account]) -> None:
    """Have a task take just these accounts; in batches, for they may be ten thousand."""
    link = WarmupTask.accounts.through
    link.objects.filter(warmuptask=task).delete()
    ids = accounts.order_by("pk").values_list("pk", flat=True)
    last = 0
    while batch := list(ids.filter(pk__gt=last)[:INSERT_BATCH]):
        link.objects.bulk_create([link(warmuptask_id=task.pk, account_id=pk) for pk in batch])
        last = batch[-1]
