"""What happened: steps, log lines, artifacts, daily counts, and who asked for what."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.errors import AppendOnly
from core.models import Account
from core.permissions import may_use_secrets
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


class ArtifactQuerySet(models.QuerySet["Artifact"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """What `user` may see, given that they may see artifacts."""
        return self if may_use_secrets(user) else self.filter(kind__in=Artifact.WITHOUT_SECRETS)


class Artifact(models.Model):
    """Evidence of a run. The file is sealed, under a UUID name in the data directory."""

    class Kind(models.TextChoices):
        SCREENSHOT = "screenshot", _("Screenshot")
        HTML = "html", _("Page HTML")

    # Secret steps are not photographed; every other kind, and each new one, may hold secrets.
    WITHOUT_SECRETS = frozenset({Kind.SCREENSHOT})

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(WarmupAccount, models.CASCADE, related_name="artifacts", verbose_name=_("run"))
    attempt = models.PositiveIntegerField(_("attempt"))
    step = models.PositiveIntegerField(_("step"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    name = models.CharField(_("name"), max_length=100)
    size_bytes = models.PositiveIntegerField(_("size in bytes"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = ArtifactQuerySet.as_manager()

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


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Adds and reads, and nothing else."""

    def update(self, **_: Any) -> int:
        raise AppendOnly("audit entries are not changed")

    def bulk_update(self, *_: Any, **__: Any) -> int:
        raise AppendOnly("audit entries are not changed")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly("audit entries are not deleted")


class AuditEntry(models.Model):
    """Who did what. Rows are only added; triggers of the database see to it (`warmup.append_only`)."""

    # No constraint: the entry outlives the user, and stays as it was written.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    actor_name = models.CharField(_("actor"), max_length=150)
    verb = models.CharField(_("verb"), max_length=30)
    kind = models.CharField(_("kind"), max_length=50, blank=True)  # a model's label: "core.account"
    object_key = models.CharField(_("key"), max_length=64, blank=True)
    object = models.CharField(_("object"), max_length=200)
    # Of the task that it is about, if any: no foreign key, for the entry outlives the task.
    task_key = models.BigIntegerField(_("task"), null=True, blank=True, db_index=True)
    count = models.PositiveIntegerField(_("accounts"), default=0)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    at = models.DateTimeField(_("time"), auto_now_add=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.object}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("audit entries are not changed")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly("audit entries are not deleted")
