"""The domain's tables: the definition (playbook), what was asked for (task), and what happened (run)."""

from warmup.models.playbook import Playbook, PlaybookSecret
from warmup.models.pulse import ClusterPulse
from warmup.models.record import Artifact, AuditEntry, DailyCount, LogLine, StepRecord
from warmup.models.run import WarmupAccount
from warmup.models.schedule import ScheduleFiring, WarmupSchedule
from warmup.models.task import WarmupTask

__all__ = [
    "Artifact",
    "AuditEntry",
    "ClusterPulse",
    "DailyCount",
    "LogLine",
    "Playbook",
    "PlaybookSecret",
    "ScheduleFiring",
    "StepRecord",
    "WarmupAccount",
    "WarmupSchedule",
    "WarmupTask",
]
