"""What is done to many accounts at once, in a number of queries that does not follow theirs."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from core.errors import IllegalTransition
from core.models import Account, Proxy
from warmup import audit
from warmup.audit import Actor
from warmup.models import WarmupAccount

BATCH = 1000
NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class InUse:
    """The accounts, of many, that cannot be deleted."""

    running: int  # a worker has one of their runs now
    with_runs: int  # those among them
    names: tuple[str, ...]  # the first of them

    def __bool__(self) -> bool:
        return self.with_runs > 0


def assign_proxy(accounts: QuerySet[Account], *, proxy: Proxy | None, by: Actor) -> int:
    """Have these accounts go out through `proxy` from their next turn on; returns how many did not before."""
    with transaction.atomic():
        chosen = Account.objects.filter(pk__in=accounts.order_by().values("pk"))
        count = chosen.exclude(proxy=proxy).update(proxy=proxy, updated_at=timezone.now())
        audit.record(by, "assign proxy", proxy or "no proxy", count=count)
    return count


def in_use(accounts: QuerySet[Account]) -> InUse:
    """Those of the accounts that have runs: deleting one would take the record of what it did with it."""
    runs = WarmupAccount.objects.filter(account=OuterRef("pk"))
    chosen = Account.objects.filter(pk__in=accounts.order_by().values("pk"))
    used = chosen.filter(Exists(runs))
    names = used.order_by("username").values_list("username", flat=True)[:NAMES_SHOWN]
    return InUse(chosen.filter(Exists(runs.active())).count(), used.count(), tuple(names))


def delete(accounts: QuerySet[Account], *, by: Actor) -> int:
    """Delete accounts with their secrets and saved states; returns how many.

    Raises `IllegalTransition`, and deletes none, while one of them has a run.
    """
    with transaction.atomic():
        if used := in_use(accounts):
            raise IllegalTransition(
                f"{used.with_runs} of the accounts have runs, and {used.running} are running"
            )
        rows = list(accounts.order_by("pk").values_list("pk", "username"))
        for start in range(0, len(rows), BATCH):
            Account.objects.filter(pk__in=[pk for pk, _name in rows[start : start + BATCH]]).delete()
        names = [name for _pk, name in rows[:BATCH]]
        subject = names[0] if len(rows) == 1 else f"{len(rows)} accounts"
        audit.record(by, "delete", subject, count=len(rows), reason=", ".join(names))
    return len(rows)
