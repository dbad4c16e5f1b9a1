"""Playbooks: versions that never change once they are saved."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.errors import WarmupError
from warmup.playbooks.schema import PlaybookSpec, parse_playbook


class Playbook(models.Model):
    """One version of a named, validated list of steps. A change is a new version."""

    name = models.CharField(_("name"), max_length=100)
    version = models.PositiveIntegerField(_("version"))
    definition = models.JSONField(_("definition"))
    digest = models.CharField(_("digest"), max_length=64, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["name", "-version"]
        verbose_name = _("playbook")
        verbose_name_plural = _("playbooks")
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="playbook_version_once")]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the version; raises `WarmupError` for one that is already saved."""
        if not self._state.adding:
            raise WarmupError(f"playbook {self} is a saved version and never changes: save a new version")
        super().save(*args, **kwargs)

    def spec(self) -> PlaybookSpec:
        """The validated definition."""
        return parse_playbook(self.definition)

    @classmethod
    def save_version(cls, spec: PlaybookSpec) -> tuple[Playbook, bool]:
        """The newest version when it already says this, else a new one; and whether it is new."""
        latest = cls.objects.filter(name=spec.name).order_by("-version").first()
        if latest and latest.digest == spec.digest():
            return latest, False
        version = cls(
            name=spec.name,
            version=latest.version + 1 if latest else 1,
            definition=spec.definition(),
            digest=spec.digest(),
        )
        version.save()
        return version, True
