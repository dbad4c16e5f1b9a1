"""The audit can only grow: through the ORM, through SQL, and when its neighbours are deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from core.errors import AppendOnly
from warmup import append_only, audit
from warmup.models import AuditEntry

TABLE = append_only.TABLE
STATEMENTS = [f"UPDATE {TABLE} SET reason = 'nothing'", f"DELETE FROM {TABLE}"]
if connection.vendor == "postgresql":
    STATEMENTS.append(f"TRUNCATE {TABLE}")


@pytest.fixture
def entry(db: None) -> AuditEntry:
    audit.record(User.objects.create_user("anna"), "start", "morning", count=3)
    return AuditEntry.objects.get()


def refused(statement: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError as error:
        return append_only.REFUSAL in str(error)
    return False


@pytest.mark.parametrize("statement", STATEMENTS)
def test_sql_is_refused(entry: AuditEntry, statement: str) -> None:
    before = AuditEntry.objects.values().get()

    assert refused(statement)

    assert AuditEntry.objects.values().get() == before


@pytest.mark.parametrize(
    "attempt",
    [
        lambda entry: entry.save(),
        lambda entry: entry.delete(),
        lambda entry: AuditEntry.objects.update(reason="nothing"),
        lambda entry: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda entry: AuditEntry.objects.bulk_update([entry], ["reason"]),
    ],
)
def test_orm_is_refused(entry: AuditEntry, attempt: Callable[[AuditEntry], object]) -> None:
    with pytest.raises(AppendOnly):
        attempt(entry)

    assert AuditEntry.objects.filter(pk=entry.pk, reason="").exists()


def test_entry_outlives_its_actor(entry: AuditEntry) -> None:
    actor = entry.actor_id

    User.objects.all().delete()

    kept = AuditEntry.objects.get()
    assert (kept.actor_id, kept.actor_name) == (actor, "anna")


@pytest.mark.django_db(transaction=True)
def test_migrate_puts_back_what_was_lifted() -> None:
    audit.record(None, "start", "morning")
    with connection.cursor() as cursor:
        for statement in append_only.removal(connection.vendor):
            cursor.execute(statement)
    assert not refused(STATEMENTS[0])

    call_command("migrate", verbosity=0)

    assert refused(STATEMENTS[0])
    assert refused(STATEMENTS[1])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_flush_between_tests_leaves_the_audit_empty_and_locked(turn: int) -> None:
    assert not AuditEntry.objects.exists()

    audit.record(None, "start", "morning")

    assert refused(STATEMENTS[1])
