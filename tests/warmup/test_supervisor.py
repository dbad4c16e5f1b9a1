"""The watch over a cluster, with a clock and a queue of the test's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from core import owners
from tests import factories
from warmup import queue, retention, services, store, supervisor
from warmup.models import ClusterPulse, WarmupAccount
from warmup.supervisor import QUIET_SECONDS, STUCK_SECONDS, Watch

pytestmark = pytest.mark.django_db


class Cluster:
    """A watched cluster: a clock to turn, jobs that wait, beats that were sent."""

    def __init__(self) -> None:
        self.now, self.waiting, self.sent = 1000.0, 0, 0
        self.watch = Watch("main:1:1", lambda: self.waiting, lambda: self.now)

    def send(self) -> None:
        self.sent += 1

    def beaten(self, seconds_ago: float) -> None:
        at = store.database_now() - timedelta(seconds=seconds_ago)
        ClusterPulse.objects.update_or_create(name="main:1:1", defaults={"beat_at": at})


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(queue, "send_beat", made.send)
    monkeypatch.setattr(supervisor, "reap_orphans", lambda: 0)
    monkeypatch.setattr(supervisor, "close_old_connections", lambda: None)
    return made


def test_idle_cluster_is_sent_a_beat_now_and_then(cluster: Cluster) -> None:
    cluster.watch.look()
    assert cluster.sent == 0
    cluster.now += QUIET_SECONDS + 1

    cluster.watch.look()
    cluster.watch.look()

    assert cluster.sent == 1


def test_busy_cluster_is_sent_none(cluster: Cluster) -> None:
    cluster.beaten(seconds_ago=1)
    cluster.now += QUIET_SECONDS + 1

    cluster.watch.look()

    assert cluster.sent == 0


def test_jobs_that_wait_while_nobody_shows_life_mean_that_it_is_stuck(cluster: Cluster) -> None:
    cluster.beaten(seconds_ago=500)
    cluster.waiting = 1

    assert cluster.watch.look()
    cluster.now += STUCK_SECONDS + 1

    assert not cluster.watch.look()


@pytest.mark.parametrize(("waiting", "beat"), [(0, 500), (1, 1)])
def test_empty_queue_or_a_sign_of_life_mean_that_it_is_not(cluster: Cluster, waiting: int, beat: int) -> None:
    cluster.waiting = waiting
    for _ in range(5):
        cluster.beaten(seconds_ago=beat)
        cluster.now += STUCK_SECONDS / 2

        assert cluster.watch.look()


def test_database_that_is_away_is_not_the_queues_fault(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.beaten(seconds_ago=500)
    cluster.waiting = 1
    cluster.now += STUCK_SECONDS + 1

    def away() -> Any:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(services, "reconcile", away)

    assert cluster.watch.look()
    assert cluster.watch.moving_at == cluster.now


def test_runs_of_a_worker_that_is_gone_are_taken_back_before_their_lease_ends(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = factories.started_task(2)
    factories.claim(task, 2)
    gone, alive = task.runs.order_by("pk")
    WarmupAccount.objects.filter(pk=gone.pk).update(worker="gone")
    WarmupAccount.objects.filter(pk=alive.pk).update(worker=owners.owner_marker())
    monkeypatch.setattr(services, "owner_is_gone", lambda worker: worker == "gone")
    monkeypatch.setattr(supervisor, "reap_orphans", lambda: 3)

    cluster.watch.look()

    gone.refresh_from_db()
    alive.refresh_from_db()
    assert (gone.status, gone.attempt) == ("PENDING", 1)
    assert "worker was lost" in gone.reason
    assert alive.status == "RUNNING"


def test_old_pulses_are_forgotten() -> None:
    ClusterPulse.objects.create(name="old", beat_at=store.database_now() - timedelta(days=2))
    store.beat("new")

    store.forget_old_pulses()

    assert [str(pulse) for pulse in ClusterPulse.objects.all()] == ["new"]
    assert (store.seconds_since_beat("new") or 0) < 60
    assert store.seconds_since_beat("old") is None


def test_evidence_is_purged_when_that_is_due(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    purged = []
    monkeypatch.setattr(retention, "purge_if_due", lambda: purged.append(1))

    cluster.watch.look()

    assert purged == [1]
