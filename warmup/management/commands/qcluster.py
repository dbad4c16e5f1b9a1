"""django-q2's cluster, plus what it lacks: it dies with its parent at every level, it drains within a
bound, and its main process keeps the queue in step with the database."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from typing import Any

import structlog
from django.db import close_old_connections, connections
from django.db.utils import Error as DatabaseError
from django_q.cluster import Cluster
from django_q.management.commands.qcluster import Command as DjangoQCommand

from core import lifecycle
from warmup import queue, services

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG = 1  # prctl(2)
RECONCILE_SECONDS = 15.0
# From SIGTERM to the end: what runs is given back at its next step; what hangs is killed then.
DRAIN_SECONDS = 40.0


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however it ends (Linux)."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the kernel was asked
            os._exit(1)


class DrainingCluster(Cluster):  # type: ignore[misc]  # django-q2 is not typed
    """A cluster that asks its workers to give their runs back before it waits for them."""

    def stop(self) -> bool:
        """Drain, and kill what has not ended after DRAIN_SECONDS: its leases end by themselves."""
        lifecycle.start_draining()
        if not self.sentinel.is_alive():
            return False
        log.info("cluster_draining", seconds=DRAIN_SECONDS)
        self.stop_event.set()
        self.sentinel.join(DRAIN_SECONDS)
        if self.sentinel.is_alive():
            log.error("cluster_killed", reason="it did not drain in time")
            self.sentinel.kill()  # the workers die with it
            self.sentinel.join()
        log.info("cluster_stopped")
        self.start_event, self.stop_event = None, None
        return True


class Command(DjangoQCommand):  # type: ignore[misc]  # django-q2 is not typed
    help = "Starts the workers: a django-q2 cluster that dies with its parent and drains on SIGTERM."

    def handle(self, *_: Any, **options: Any) -> None:
        # Only processes that Python forks run this hook; the browser driver is started by exec.
        os.register_at_fork(after_in_child=die_with_parent)
        logging.getLogger("django-q").setLevel(logging.INFO)
        queue.ensure_schedule()
        connections.close_all()  # a connection must not be shared by the processes forked from here
        if options.get("cluster_name"):
            os.environ["Q_CLUSTER_NAME"] = options["cluster_name"]
        cluster = DrainingCluster()
        cluster.start()
        if options.get("run_once"):
            cluster.stop()
        self._keep_in_step(cluster)

    def _keep_in_step(self, cluster: DrainingCluster) -> None:
        """Reconcile now and then until the cluster ends, whatever becomes of django-q2's scheduler."""
        while cluster.sentinel.is_alive():
            try:
                close_old_connections()
                done = services.reconcile()
                if any(done.values()):
                    log.info("reconciled", **done)
            except DatabaseError as error:
                log.warning("reconcile_failed", error=str(error))
            cluster.sentinel.join(RECONCILE_SECONDS)
        if not lifecycle.draining():
            log.error("sentinel_died", exitcode=cluster.sentinel.exitcode)
            sys.exit(1)
