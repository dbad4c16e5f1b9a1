"""Signs of life of the workers, which the watchdog and `healthcheck` read."""

from __future__ import annotations

from datetime import datetime, timedelta

from warmup.models import ClusterPulse
from warmup.store.leases import database_now

FORGOTTEN_AFTER = timedelta(days=1)


def beat(cluster: str) -> None:
    """A worker of this cluster is doing something now."""
    ClusterPulse.objects.update_or_create(name=cluster, defaults={"beat_at": database_now()})


def seconds_since_beat(cluster: str | None = None) -> float | None:
    """How long ago a worker of the cluster (None: of any) last did something; None if never."""
    pulses = ClusterPulse.objects.all() if cluster is None else ClusterPulse.objects.filter(name=cluster)
    last: datetime | None = pulses.order_by("-beat_at").values_list("beat_at", flat=True).first()
    return None if last is None else (database_now() - last).total_seconds()


def forget_old_pulses() -> None:
    """Drop the pulses of clusters that ended long ago."""
    ClusterPulse.objects.filter(beat_at__lt=database_now() - FORGOTTEN_AFTER).delete()
