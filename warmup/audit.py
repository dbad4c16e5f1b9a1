"""Who asked for what: one row for each change that a person or a command made."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser

from warmup.models import AuditEntry

# Who acts: a user of the admin, or None for the command line and for the system itself.
Actor = AbstractBaseUser | None


def record(by: Actor, verb: str, subject: object, *, count: int = 0, reason: str = "") -> None:
    """Add an entry: `count` is how many accounts the verb touched."""
    AuditEntry.objects.create(
        actor_id=by.pk if by else None,
        actor_name=by.get_username() if by else "command line",
        verb=verb,
        object=str(subject)[:200],
        count=count,
        reason=reason[:500],
    )
