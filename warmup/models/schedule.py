"""Schedules: tasks that start by themselves; and what each of their slots came to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from core.models import Account, Site
from warmup import timetable
from warmup.models.playbook import Playbook
from warmup.models.status import StatusQuerySet
from warmup.models.task import WarmupTask
from warmup.states import FIRING_FINAL, FIRING_OPEN, FIRING_TRANSITIONS, TASK_ACTIVE, FiringStatus

DAY_MINUTES = 24 * 60
MAX_INTERVAL_MINUTES = 31 * DAY_MINUTES


class WarmupScheduleQuerySet(models.QuerySet["WarmupSchedule"]):
    def due(self, now: datetime) -> WarmupScheduleQuerySet:
        """Of which a slot has come."""
        return self.filter(paused=False, next_slot_at__lte=now)


class WarmupSchedule(models.Model):
    """When which task is made and started. `next_slot_at` is the first slot that was not looked at yet."""

    class Rhythm(models.TextChoices):
        CRON = "cron", _("Cron expression")
        INTERVAL = "interval", _("Interval")

    class Overlap(models.TextChoices):
        SKIP = "skip", _("Skip the slot")
        QUEUE = "queue", _("Let one slot wait for it")

    name = models.CharField(_("name"), max_length=100, unique=True)
    # What is started.
    site = models.ForeignKey(Site, models.PROTECT, related_name="schedules", verbose_name=_("site"))
    playbook = models.ForeignKey(
        Playbook, models.PROTECT, related_name="schedules", verbose_name=_("playbook")
    )
    newest_playbook = models.BooleanField(
        _("use the newest version"), default=True, help_text=_("Of the playbook, as of each start.")
    )
    all_accounts = models.BooleanField(
        _("all accounts"), default=True, help_text=_("Every enabled account of the site, as of each start.")
    )
    accounts = models.ManyToManyField(
        Account, blank=True, related_name="schedules", verbose_name=_("accounts")
    )
    concurrency = models.PositiveIntegerField(
        _("accounts at once"), default=4, validators=[MinValueValidator(1)]
    )
    delay_min_seconds = models.FloatField(
        _("delay before an account, from (s)"), default=0, validators=[MinValueValidator(0)]
    )
    delay_max_seconds = models.FloatField(_("to (s)"), default=0, validators=[MinValueValidator(0)])
    # When.
    rhythm = models.CharField(_("rhythm"), max_length=8, choices=Rhythm.choices, default=Rhythm.CRON)
    cron = models.CharField(
        _("cron expression"),
        max_length=200,
        blank=True,
        help_text=_("Minute, hour, day of month, month, day of week: 30 6 * * mon-fri"),
    )
    interval_minutes = models.PositiveIntegerField(
        _("interval (minutes)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_INTERVAL_MINUTES)],
        help_text=_("Counted from midnight UTC of 1 January 1970: 360 means 0, 6, 12 and 18 o'clock UTC."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="UTC",
        help_text=_("Whose wall clock the cron expression means."),
    )
    jitter_minutes = models.PositiveIntegerField(
        _("spread (minutes)"),
        default=0,
        validators=[MaxValueValidator(DAY_MINUTES)],
        help_text=_("Each account begins up to this much later, and always by the same time."),
    )
    # What if.
    overlap = models.CharField(
        _("if the task before has not ended"), max_length=5, choices=Overlap.choices, default=Overlap.SKIP
    )
    catch_up_minutes = models.PositiveIntegerField(
        _("catch up within (minutes)"),
        default=60,
        validators=[MaxValueValidator(DAY_MINUTES)],
        help_text=_("A slot that is later than this, since no worker lived, is missed."),
    )
    canary_accounts = models.PositiveIntegerField(
        _("canary accounts"),
        default=0,
        help_text=_("So many accounts go first; 0: all go at once."),
    )
    canary_percent = models.PositiveSmallIntegerField(
        _("of which must complete (%)"),
        default=80,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("With fewer, the other accounts are not started."),
    )
    paused = models.BooleanField(_("paused"), default=False, editable=False)
    next_slot_at = models.DateTimeField(_("next"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects: ClassVar[WarmupScheduleQuerySet] = WarmupScheduleQuerySet.as_manager()  # type: ignore[assignment]
    if TYPE_CHECKING:
        firings: ScheduleFiringQuerySet

    class Meta:
        ordering = ["name"]
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        constraints = [
            models.CheckConstraint(
                condition=(Q(rhythm="cron") & ~Q(cron=""))
                | Q(rhythm="interval", interval_minutes__isnull=False, interval_minutes__gte=1),
                name="schedule_rhythm_complete",
            ),
            models.CheckConstraint(condition=Q(concurrency__gte=1), name="schedule_concurrency_positive"),
            models.CheckConstraint(
                condition=Q(delay_min_seconds__gte=0) & Q(delay_max_seconds__gte=F("delay_min_seconds")),
                name="schedule_delay_range",
            ),
            models.CheckConstraint(
                condition=Q(canary_percent__gte=1, canary_percent__lte=100), name="schedule_canary_percent"
            ),
        ]
        indexes = [
            models.Index(fields=["next_slot_at"], condition=Q(paused=False), name="schedule_next_slot")
        ]

    def __str__(self) -> str:
        return self.name

    def timetable(self) -> timetable.Timetable:
        """When it is due; raises `InvalidInput` for an expression or a time zone that is none."""
        if self.rhythm == self.Rhythm.INTERVAL:
            return timetable.Interval(self.interval_minutes or MAX_INTERVAL_MINUTES)
        return timetable.cron(self.cron, self.time_zone)

    def wall_clock(self) -> ZoneInfo:
        """Its time zone; raises `InvalidInput`."""
        return timetable.time_zone(self.time_zone)

    def next_after(self, moment: datetime) -> datetime | None:
        """The first slot later than that."""
        return next(self.timetable().slots(moment), None)

    def begins(self, account_id: int, slot: datetime) -> datetime:
        """When the run of an account begins."""
        return slot + timetable.jitter(self.pk, account_id, self.jitter_minutes)

    def catch_up(self) -> timedelta:
        """How late a slot may start."""
        return timedelta(minutes=self.catch_up_minutes)

    def selected_accounts(self) -> models.QuerySet[Account]:
        """The accounts that a start would take, in order; the first of them are the canary."""
        chosen = self.site.accounts.all() if self.all_accounts else self.accounts.all()
        return chosen.filter(enabled=True).order_by("pk")

    def present_playbook(self) -> Playbook:
        """The version that a start would take."""
        versions = Playbook.objects.filter(name=self.playbook.name).order_by("-version")
        return versions[0] if self.newest_playbook else self.playbook


class ScheduleFiringQuerySet(StatusQuerySet["ScheduleFiring"]):
    transitions = FIRING_TRANSITIONS
    final = FIRING_FINAL

    def open(self) -> ScheduleFiringQuerySet:
        """Not decided yet."""
        return self.filter(status__in=FIRING_OPEN)

    def going_on(self) -> ScheduleFiringQuerySet:
        """Whose task has not ended, or is still to be made."""
        return self.filter(Q(status__in=FIRING_OPEN) | Q(task__status__in=TASK_ACTIVE))


class ScheduleFiring(models.Model):
    """What one slot of a schedule came to. There is one row for each slot, whatever happens."""

    schedule = models.ForeignKey(
        WarmupSchedule, models.CASCADE, related_name="firings", verbose_name=_("schedule")
    )
    slot = models.DateTimeField(_("slot"))
    status = models.CharField(
        _("status"), max_length=8, choices=FiringStatus.choices, default=FiringStatus.WAITING, editable=False
    )
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    by_hand = models.BooleanField(_("by hand"), default=False)
    canary = models.ForeignKey(
        WarmupTask, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("canary")
    )
    task = models.ForeignKey(
        WarmupTask, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("task")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    completed_at = models.DateTimeField(_("decided"), null=True, blank=True)

    objects: ClassVar[ScheduleFiringQuerySet] = ScheduleFiringQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ["-slot"]
        verbose_name = _("firing")
        verbose_name_plural = _("firings")
        constraints = [
            models.UniqueConstraint(fields=["schedule", "slot"], name="firing_once_per_slot"),
            models.CheckConstraint(
                condition=Q(status__in=sorted(FIRING_FINAL), completed_at__isnull=False)
                | (~Q(status__in=sorted(FIRING_FINAL)) & Q(completed_at__isnull=True)),
                name="firing_completed_at_exactly_when_final",
            ),
            models.CheckConstraint(condition=Q(status__in=FiringStatus.values), name="firing_status_known"),
        ]
        indexes = [
            models.Index(fields=["schedule"], condition=Q(status__in=sorted(FIRING_OPEN)), name="firing_open")
        ]

    def __str__(self) -> str:
        return f"{self.schedule} {self.slot:%Y-%m-%d %H:%M}"
