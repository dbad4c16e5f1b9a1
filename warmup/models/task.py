"""Warm-up tasks: what an operator starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from core.models import Account, Site
from warmup.models.playbook import Playbook
from warmup.models.status import StatusQuerySet
from warmup.states import TASK_ACTIVE, TASK_CLAIMABLE, TASK_FINAL, TASK_TRANSITIONS, TaskStatus

if TYPE_CHECKING:
    from warmup.models.run import WarmupAccountQuerySet


class WarmupTaskQuerySet(StatusQuerySet["WarmupTask"]):
    transitions = TASK_TRANSITIONS
    final = TASK_FINAL

    def active(self) -> WarmupTaskQuerySet:
        """Started and not ended."""
        return self.filter(status__in=TASK_ACTIVE)

    def claimable(self) -> WarmupTaskQuerySet:
        """Of which a worker may claim runs."""
        return self.filter(status__in=TASK_CLAIMABLE, stop_requested_at=None)


class WarmupTask(models.Model):
    """A playbook version x accounts, with limits and pacing."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    playbook = models.ForeignKey(Playbook, models.PROTECT, related_name="tasks", verbose_name=_("playbook"))
    site = models.ForeignKey(Site, models.PROTECT, related_name="tasks", verbose_name=_("site"))
    all_accounts = models.BooleanField(
        _("all accounts"), default=False, help_text=_("Every enabled account of the site, as of the start.")
    )
    accounts = models.ManyToManyField(Account, blank=True, related_name="tasks", verbose_name=_("accounts"))
    concurrency = models.PositiveIntegerField(
        _("accounts at once"), default=4, validators=[MinValueValidator(1)]
    )
    delay_min_seconds = models.FloatField(
        _("delay before an account, from (s)"), default=0, validators=[MinValueValidator(0)]
    )
    delay_max_seconds = models.FloatField(_("to (s)"), default=0, validators=[MinValueValidator(0)])
    seed = models.BigIntegerField(_("seed"), default=0, help_text=_("The same seed gives the same plans."))
    status = models.CharField(
        _("status"), max_length=10, choices=TaskStatus.choices, default=TaskStatus.PENDING, editable=False
    )
    stop_requested_at = models.DateTimeField(_("stop requested"), null=True, blank=True, editable=False)
    # When a slice was last put into the queue: the reconciler does not repeat itself too soon.
    woken_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When a run was last claimed, ended or queued: work that waits much longer is stuck.
    moved_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    started_at = models.DateTimeField(_("started"), null=True, blank=True, editable=False)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True, editable=False)

    objects: ClassVar[WarmupTaskQuerySet] = WarmupTaskQuerySet.as_manager()  # type: ignore[assignment]
    runs: WarmupAccountQuerySet

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("warm-up task")
        verbose_name_plural = _("warm-up tasks")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=sorted(TASK_FINAL), completed_at__isnull=False)
                | (~Q(status__in=sorted(TASK_FINAL)) & Q(completed_at__isnull=True)),
                name="task_completed_at_exactly_when_final",
            ),
            models.CheckConstraint(condition=Q(status__in=TaskStatus.values), name="task_status_known"),
            models.CheckConstraint(condition=Q(concurrency__gte=1), name="task_concurrency_positive"),
            models.CheckConstraint(
                condition=Q(delay_min_seconds__gte=0) & Q(delay_max_seconds__gte=F("delay_min_seconds")),
                name="task_delay_range",
            ),
        ]
        indexes = [models.Index(fields=["status"], name="task_status")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_final(self) -> bool:
        """Whether the task has ended."""
        return self.status in TASK_FINAL

    def selected_accounts(self) -> models.QuerySet[Account]:
        """The accounts that a start would take, in order."""
        chosen = self.site.accounts.all() if self.all_accounts else self.accounts.all()
        return chosen.filter(enabled=True).order_by("pk")
