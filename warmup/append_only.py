"""The audit is append-only in the database itself: triggers refuse every UPDATE, DELETE and TRUNCATE.

They are made after each `migrate`, and not in one migration: SQLite drops the triggers of a table when a
later migration remakes it.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

from warmup.models import AuditEntry

TABLE = AuditEntry._meta.db_table
REFUSAL = "audit entries are only added"

_SQLITE = {
    f"{TABLE}_no_{verb.lower()}": (
        f"CREATE TRIGGER IF NOT EXISTS {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE}"
        f" BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )
    for verb in ("UPDATE", "DELETE")
}
_POSTGRES = (
    f"CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    f"CREATE OR REPLACE TRIGGER {TABLE}_no_change BEFORE UPDATE OR DELETE ON {TABLE}"
    f" FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
    f"CREATE OR REPLACE TRIGGER {TABLE}_no_truncate BEFORE TRUNCATE ON {TABLE}"
    f" FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse()",
)


def install(using: str = "default") -> None:
    """Make the triggers that are missing, if the table is there."""
    connection = connections[using]
    statements = tuple(_SQLITE.values()) if connection.vendor == "sqlite" else _POSTGRES
    with connection.cursor() as cursor:
        if TABLE in connection.introspection.table_names(cursor):
            for statement in statements:
                cursor.execute(statement)


def removal(vendor: str) -> list[str]:
    """The SQL that lifts the triggers, for those who may drop the table anyway; `migrate` puts them back."""
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {name}" for name in _SQLITE]
    return [f"DROP TRIGGER IF EXISTS {TABLE}_{name} ON {TABLE}" for name in ("no_change", "no_truncate")]


def after_migrate(*, using: str, **_: Any) -> None:
    """The `post_migrate` receiver."""
    install(using)
