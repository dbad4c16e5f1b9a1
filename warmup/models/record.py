"""What happened: steps, log lines, artifacts, daily counts, and who asked for what."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Account
from warmup.models.run import WarmupAccount
from warmup.models.task import WarmupTask


class StepRecord(models.Model):
    """One step of one attempt. INTENT is written, durably, *before* a `once` step acts."""

    class Result(models.TextChoices):
        INTENT = "INTENT", _("Begun")
        DONE = "DONE", _("Done")
        SKIPPED = "SKIPPED", _("Skipped")
        FAILED = "FAILED", _("Failed")

    run = models.ForeignKey(WarmupAccount, models.CASCADE, related_name="steps", verbose_name=_("run"))
    attempt = models.PositiveIntegerField(_("attempt"))
    index = models.PositiveIntegerField(_("step"))
    place = models.CharField(_("place"), max_length=200)
    do = models.CharField(_("action"), max_length=30)
    label = models.CharField(_("label"), max_length=300)
    result = models.CharField(_("result"), max_length=10, choices=Result.choices)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        ordering = ["run_id", "attempt", "index"]
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        constraints = [
            models.UniqueConstraint(fields=["run", "attempt", "index"], name="step_once_per_attempt")
        ]

    def __str__(self) -> str:
        return f"{self.index}: {self.label}"


class LogLine(models.Model):
    """One line of a task's log, for people; `event` is a stable name."""

    class Level(models.TextChoices):
        DEBUG = "DEBUG", "DEBUG"
        INFO = "INFO", "INFO"
        WARNING = "WARNING", "WARNING"
        ERROR = "ERROR", "ERROR"

    task = models.ForeignKey(WarmupTask, models.CASCADE, related_name="log")
    run = models.ForeignKey(WarmupAccount, models.CASCADE, null=True, blank=True, related_name="log")
    at = models.DateTimeField(_("time"))
    level = models.CharField(_("level"), max_length=7, choices=Level.choices)
    event = models.CharField(_("event"), max_length=50)
    text = models.CharField(_("text"), max_length=500, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("log line")
        verbose_name_plural = _("log lines")
        indexes = [models.Index(fields=["task", "id"], name="log_by_task")]

    def __str__(self) -> str:
        return f"{self.event} {self.text}"


class Artifact(models.Model):
    """Evidence of a run. The file is sealed, under a UUID name in the data directory."""

    class Kind(models.TextChoices):
        SCREENSHOT = "screenshot", _("Screenshot")
        HTML = "html", _("Page HTML")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(WarmupAccount, models.CASCADE, related_name="artifacts", verbose_name=_("run"))
    attempt = models.PositiveIntegerField(_("attempt"))
    step = models.PositiveIntegerField(_("step"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    name = models.CharField(_("name"), max_length=100)
    size_bytes = models.PositiveIntegerField(_("size in bytes"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["created_at"]
        verbose_name = _("artifact")
        verbose_name_plural = _("artifacts")

    def __str__(self) -> str:
        return self.name


class DailyCount(models.Model):
    """How often an account did what a site limits per day (`limits.daily`)."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="daily_counts")
    day = models.DateField()
    name = models.CharField(max_length=50)
    used = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("daily count")
        verbose_name_plural = _("daily counts")
        constraints = [models.UniqueConstraint(fields=["account", "day", "name"], name="daily_count_once")]

    def __str__(self) -> str:
        return f"{self.name}: {self.used}"


class AuditEntry(models.Model):
    """Who asked for what. Rows are only added."""

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(_("actor"), max_length=150)
    verb = models.CharField(_("verb"), max_length=30)
    object = models.CharField(_("object"), max_length=200)
    count = models.PositiveIntegerField(_("accounts"), default=0)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.object}"
