"""Account runs: one account's passage through a task."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Count, Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from core.models import Account
from warmup.models.status import StatusQuerySet
from warmup.models.task import WarmupTask
from warmup.states import RUN_ACTIVE, RUN_FINAL, RUN_TRANSITIONS, RunStatus


class WarmupAccountQuerySet(StatusQuerySet["WarmupAccount"]):
    transitions = RUN_TRANSITIONS
    final = RUN_FINAL

    def active(self) -> WarmupAccountQuerySet:
        """Held by a worker."""
        return self.filter(status__in=RUN_ACTIVE)

    def claimable(self, now: datetime) -> WarmupAccountQuerySet:
        """Waiting, not backing off, and of an account that no other run holds."""
        busy = WarmupAccount.objects.active().filter(account_id=OuterRef("account_id"))
        return self.filter(
            Q(available_at=None) | Q(available_at__lte=now), ~Exists(busy), status=RunStatus.PENDING
        )

    def expired(self, now: datetime) -> WarmupAccountQuerySet:
        """Held by a worker that has not renewed its lease."""
        return self.active().filter(lease_until__lte=now)

    def held(self, token: UUID) -> WarmupAccountQuerySet:
        """The fence: only what this lease still owns."""
        return self.active().filter(lease_token=token)

    def counts(self) -> dict[str, int]:
        """How many runs have each status; every status is there."""
        found = dict(self.order_by().values_list("status").annotate(n=Count("pk")))
        return {status: found.get(status, 0) for status in RunStatus.values}


class WarmupAccount(models.Model):
    """One account's run within a task.

    `attempt` only ever grows; the attempts since the last start or restart are those above
    `attempt_base`. `cursor` is the index of the next plan step.
    """

    task = models.ForeignKey(WarmupTask, models.CASCADE, related_name="runs", verbose_name=_("task"))
    account = models.ForeignKey(Account, models.PROTECT, related_name="runs", verbose_name=_("account"))
    seed = models.BigIntegerField(_("seed"), editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=RunStatus.choices, default=RunStatus.PENDING, editable=False
    )
    # PARKED: one of ParkReason; FAILED, or waiting after an error: one line for a person.
    reason = models.CharField(_("reason"), max_length=500, blank=True, editable=False)
    detail = models.CharField(_("detail"), max_length=500, blank=True, editable=False)
    attempt = models.PositiveIntegerField(_("attempt"), default=0, editable=False)
    attempt_base = models.PositiveIntegerField(default=0, editable=False)
    cursor = models.PositiveIntegerField(_("step"), default=0, editable=False)
    steps_total = models.PositiveIntegerField(_("steps"), default=0, editable=False)
    # Where the page was after the last finished step: a run that is taken over goes on from there.
    resume_url = models.TextField(blank=True, editable=False)
    available_at = models.DateTimeField(_("not before"), null=True, blank=True, editable=False)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True, editable=False)
    worker = models.CharField(_("worker"), max_length=100, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True, editable=False)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True, editable=False)

    objects: ClassVar[WarmupAccountQuerySet] = WarmupAccountQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["task_id", "pk"]
        verbose_name = _("account run")
        verbose_name_plural = _("account runs")
        constraints = [
            models.UniqueConstraint(fields=["task", "account"], name="run_once_per_task"),
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(status__in=sorted(RUN_ACTIVE)),
                name="run_one_active_per_account",
            ),
            models.CheckConstraint(
                condition=Q(status__in=sorted(RUN_FINAL), completed_at__isnull=False)
                | (~Q(status__in=sorted(RUN_FINAL)) & Q(completed_at__isnull=True)),
                name="run_completed_at_exactly_when_final",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=sorted(RUN_ACTIVE), lease_token__isnull=False, lease_until__isnull=False
                )
                | (~Q(status__in=sorted(RUN_ACTIVE)) & Q(lease_token__isnull=True, lease_until__isnull=True)),
                name="run_lease_exactly_when_running",
            ),
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="run_status_known"),
        ]
        indexes = [
            models.Index(fields=["task", "status", "id"], name="run_by_task_and_status"),
            models.Index(
                fields=["lease_until"], condition=Q(status__in=sorted(RUN_ACTIVE)), name="run_lease_until"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} in {self.task}"
