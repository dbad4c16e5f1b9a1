"""The import and the export of accounts: what the admin shows and does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from core.errors import InvalidInput
from core.models import Account, AccountSecret, Proxy, SessionState, Site
from warmup import audit
from warmup.audit import Actor
from warmup.transfer import writing
from warmup.transfer.checking import checked_rows, worded
from warmup.transfer.columns import EXPORTED, Table
from warmup.transfer.writing import CHANGED, CREATED, SAME, Change

READ_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Plan:
    """What the file would do, row by row."""

    table: Table
    changes: Sequence[Change]

    def counts(self) -> Counter[str]:
        """How many accounts are CREATED, CHANGED and the SAME."""
        return Counter(change.what for change in self.changes)


def plan(table: Table, *, may_set_secrets: bool, lock: bool = False) -> Plan:
    """Check a file against the database and change nothing; raises `InvalidInput` with every fault."""
    entries = checked_rows(
        table,
        sites=dict.fromkeys(Site.objects.values_list("slug", flat=True)),
        proxies=set(Proxy.objects.values_list("name", flat=True)),
        may_set_secrets=may_set_secrets,
    )
    changes, faults = writing.compare(entries, sparse=True, lock=lock)
    if faults:
        raise InvalidInput([worded(table, fault) for fault in faults])
    return Plan(table, changes)


def import_accounts(table: Table, *, source: str, may_set_secrets: bool, by: Actor) -> Plan:
    """Bring a file in, as a whole or not at all; the same file again changes nothing.

    Accounts are known by site and username. `source` is the file's name. Leaves one audit entry. Raises
    `InvalidInput` with every fault.
    """
    with transaction.atomic():
        done = plan(table, may_set_secrets=may_set_secrets, lock=True)
        writing.write(done.changes)
        counts = done.counts()
        audit.record(
            by,
            "import",
            source,
            count=counts[CREATED] + counts[CHANGED],
            reason=", ".join(f"{counts[what]} {what}" for what in (CREATED, CHANGED, SAME)),
        )
    return done


def exported_rows(accounts: QuerySet[Account]) -> Iterator[dict[str, Any]]:
    """The accounts as rows for `write_csv` and `write_json`; no secret is read from the database."""
    newest = SessionState.objects.filter(account=OuterRef("pk")).order_by("-pk")
    rows = accounts.order_by("site__slug", "username").values_list(
        "site__slug",
        "username",
        "proxy__name",
        "enabled",
        Exists(AccountSecret.objects.filter(account=OuterRef("pk"))),
        "last_warmup_at",
        "last_login_at",
        "failures_in_a_row",
        Subquery(newest.values("created_at")[:1]),
    )
    for row in rows.iterator(READ_AT_ONCE):
        yield {name: _plain(value) for name, value in zip(EXPORTED, row, strict=True)}


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
