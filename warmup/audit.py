"""Who did what: one row for each change that a person or a command made, and for each refusal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import models

from core.client import current_address
from core.text import one_line
from warmup.models import AuditEntry, WarmupAccount, WarmupTask


@dataclass(frozen=True, slots=True)
class Machine:
    """A part of the system that acts without being asked; its name stands in the audit."""

    name: str
    pk: None = None

    def get_username(self) -> str:
        return self.name


# Who acts: a user of the admin, a schedule, or None for the command line and what it does by itself.
Actor = AbstractBaseUser | Machine | None

COMMAND_LINE = "command line"
NOBODY = "not logged in"
BATCH = 1000


def record(by: Actor, verb: str, subject: object, *, count: int = 0, reason: str = "") -> None:
    """Add an entry: `count` is how many accounts the verb touched."""
    _entry(by, COMMAND_LINE, verb, subject, count=count, reason=reason).save()


def record_each(by: Actor, verb: str, subjects: Iterable[object]) -> None:
    """Add an entry for each of many rows."""
    entries = [_entry(by, COMMAND_LINE, verb, subject) for subject in subjects]
    AuditEntry.objects.bulk_create(entries, batch_size=BATCH)


def record_refusal(by: Actor, verb: str, subject: object, *, reason: str) -> None:
    """Add an entry for what was not done; `by` is None for somebody who is not logged in."""
    _entry(by, NOBODY, verb, subject, reason=reason).save()


def _entry(
    by: Actor, nobody: str, verb: str, subject: object, *, count: int = 0, reason: str = ""
) -> AuditEntry:
    row = subject if isinstance(subject, models.Model) else None
    return AuditEntry(
        actor_id=by.pk if by else None,
        actor_name=by.get_username() if by else nobody,
        verb=verb,
        kind=row._meta.label_lower if row else "",
        object_key=str(row.pk) if row else "",
        object=one_line(str(subject), 200),
        task_key=_task_key(subject),
        count=count,
        reason=one_line(reason, 500),
        address=current_address(),
    )


def _task_key(subject: object) -> int | None:
    if isinstance(subject, WarmupTask):
        return subject.pk
    return subject.task_id if isinstance(subject, WarmupAccount) else None
