"""Signs of life: when the workers of a cluster last did anything at all."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ClusterPulse(models.Model):
    """One row for each qcluster; `name` is its main process (`core.owners`)."""

    name = models.CharField(_("cluster"), max_length=100, unique=True)
    beat_at = models.DateTimeField(_("last sign of life"))

    class Meta:
        ordering = ["name"]
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")

    def __str__(self) -> str:
        return self.name
