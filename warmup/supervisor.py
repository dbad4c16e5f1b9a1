"""What the main process of a qcluster does while its workers work: it keeps watch.

Every few seconds: bring the queue in step with the database, start what schedules say, kill browsers whose
workers are gone, and see whether this cluster's workers still take jobs; once a day: delete old evidence.
It depends on none of django-q2's own loops.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import close_old_connections
from django.db.utils import Error as DatabaseError

from core.browser import reap_orphans
from warmup import queue, retention, schedules, services, store

log = structlog.get_logger(__name__)

WATCH_SECONDS = 5.0
# An idle cluster is sent a job that does nothing, to see that its workers take jobs.
QUIET_SECONDS = 20.0
# Jobs that were fetched and wait while no worker shows a sign of life: the queue is dead.
STUCK_SECONDS = 60.0


class Watch:
    """The watch over one cluster. `look` is called every WATCH_SECONDS and never raises."""

    def __init__(self, cluster: str, stuck_jobs: Callable[[], int], clock: Callable[[], float]) -> None:
        self.cluster, self.stuck_jobs, self.clock = cluster, stuck_jobs, clock
        self.sent_at = self.moving_at = clock()

    def look(self) -> bool:
        """Do what is due; False when the cluster is stuck beyond help and must be started again."""
        try:
            close_old_connections()
            done = services.reconcile() | schedules.fire_due()
            if any(done.values()):
                log.info("reconciled", **done)
            orphans = reap_orphans()
            if orphans:
                log.warning("orphans_killed", processes=orphans)
            retention.purge_if_due()
            return self._moves()
        except DatabaseError as error:
            # Nobody can move without a database: that is not the queue's fault.
            log.warning("watch_failed", error=str(error).strip())
            self.moving_at = self.clock()
            return True

    def _moves(self) -> bool:
        now = self.clock()
        quiet = store.seconds_since_beat(self.cluster)
        if (quiet is None or quiet > QUIET_SECONDS) and now - self.sent_at > QUIET_SECONDS:
            queue.send_beat()
            self.sent_at = now
        if not self.stuck_jobs():
            self.moving_at = now
        elif quiet is not None:
            self.moving_at = max(self.moving_at, now - quiet)
        if now - self.moving_at <= STUCK_SECONDS:
            return True
        log.critical("queue_stuck", cluster=self.cluster, seconds=round(now - self.moving_at))
        return False
