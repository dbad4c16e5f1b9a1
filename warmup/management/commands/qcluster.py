"""django-q2's cluster, plus what it lacks: it dies with its parent at every level, it drains within a
bound, and its main process keeps watch over queue, leases and browsers."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from typing import Any

import structlog
from django.db import connections
from django_q import cluster as django_q_cluster
from django_q.cluster import Cluster
from django_q.management.commands.qcluster import Command as DjangoQCommand

from core import lifecycle
from core.browser import reap_orphans
from core.owners import owner_marker
from warmup import queue
from warmup.supervisor import WATCH_SECONDS, Watch

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG = 1  # prctl(2)
# From SIGTERM to the end: what runs is given back at its next step; what hangs is killed then.
DRAIN_SECONDS = 40.0


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however it ends (Linux).

    The sentinel also leaves the main process's group: a signal to the whole group (Ctrl-C in a terminal,
    a supervisor's SIGTERM) then reaches the main process alone, which drains the others.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the kernel was asked
            os._exit(1)
    if f":{parent}:" in lifecycle.cluster_name():
        os.setpgid(0, 0)


class DrainingCluster(Cluster):  # type: ignore[misc]  # django-q2 is not typed
    """A cluster that asks its workers to give their runs back before it waits for them."""

    start_event: Any
    stop_event: Any

    def stop(self) -> bool:
        """Drain, and kill what has not ended after DRAIN_SECONDS: its leases end by themselves."""
        lifecycle.start_draining()
        if not self.sentinel.is_alive() or self.stop_event is None:
            return False
        log.info("cluster_draining", seconds=DRAIN_SECONDS)
        self.stop_event.set()
        self.sentinel.join(DRAIN_SECONDS)
        if self.sentinel.is_alive():
            log.error("cluster_killed", reason="it did not drain in time")
            self.kill()
        log.info("cluster_stopped")
        self.start_event, self.stop_event = None, None
        return True

    def kill(self) -> None:
        """End the sentinel now; the workers die with it, and their browsers with them."""
        self.sentinel.kill()
        self.sentinel.join()


class Command(DjangoQCommand):  # type: ignore[misc]  # django-q2 is not typed
    help = "Starts the workers: a django-q2 cluster that dies with its parent and drains on SIGTERM."

    def handle(self, *_: Any, **options: Any) -> None:
        lifecycle.name_cluster(owner_marker())
        # Only processes that Python forks run this hook; the browser driver is started by exec.
        os.register_at_fork(after_in_child=die_with_parent)
        logging.getLogger("django-q").setLevel(logging.INFO)
        if options.get("cluster_name"):
            os.environ["Q_CLUSTER_NAME"] = options["cluster_name"]
        django_q_cluster.scheduler = queue.run_schedules
        queue.ensure_schedule()
        reap_orphans()
        connections.close_all()  # a connection must not be shared by the processes forked from here
        cluster = DrainingCluster()
        cluster.start()
        if options.get("run_once"):
            cluster.stop()
        self._watch(cluster)

    def _watch(self, cluster: DrainingCluster) -> None:
        """Until the cluster ends; exits 1, for a supervisor to start it again, when it ended by itself."""
        watch = Watch(lifecycle.cluster_name(), lambda: queue.stuck_jobs(cluster.cluster_id), time.monotonic)
        while cluster.sentinel.is_alive():
            if not watch.look() and not lifecycle.draining():
                cluster.kill()
                sys.exit(1)
            cluster.sentinel.join(WATCH_SECONDS)
        if not lifecycle.draining():
            log.error("sentinel_died", exitcode=cluster.sentinel.exitcode)
            sys.exit(1)
