"""Guarded status changes: the only code that writes `status`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django.db import models

from core.errors import IllegalTransition
from warmup.states import Transitions, sources

M = TypeVar("M", bound=models.Model)


class StatusQuerySet(models.QuerySet[M]):
    """A queryset whose statuses change only along a transition table."""

    transitions: ClassVar[Transitions]
    final: ClassVar[frozenset[str]]

    def transition(self, to: str, *, now: datetime, frm: Iterable[str] | None = None, **changes: Any) -> int:
        """Move the rows that may go to `to`, in one conditional UPDATE; returns how many went.

        `frm` narrows the statuses that the table allows. `completed_at` follows the status, as the
        database's constraint demands. No row is an ordinary answer (somebody was faster); `changes`
        may be expressions.
        """
        allowed = sources(self.transitions, to)
        if frm is not None:
            allowed &= frozenset(frm)
        changes["completed_at"] = now if to in self.final else None
        return self.filter(status__in=allowed).update(status=to, **changes)

    def transition_one(
        self, to: str, *, now: datetime, frm: Iterable[str] | None = None, **changes: Any
    ) -> None:
        """Move exactly the one row of this queryset, or raise `IllegalTransition` naming its status."""
        if self.transition(to, now=now, frm=frm, **changes):
            return
        current = self.values_list("status", flat=True).first()
        raise IllegalTransition(
            f"the {self.model._meta.verbose_name} is {current or 'gone'}: it cannot become {to}"
        )
