"""django-q2's own pusher, worker and monitor, in the process of a test."""

from __future__ import annotations

from multiprocessing import Event, Value
from queue import Queue
from typing import Any

from django_q import monitor as django_q_monitor
from django_q import worker as django_q_worker
from django_q.pusher import pusher


def work_off(broker: Any) -> list[dict[str, Any]]:
    """What django-q2 does with what is in the broker; returns the jobs that were run."""
    jobs: Queue[Any] = Queue()
    results: Queue[Any] = Queue()
    stop = Event()
    stop.set()  # each look is one
    while broker.queue_size():
        pusher(jobs, stop, broker)
    jobs.put("STOP")
    django_q_worker.worker(jobs, results, Value("f", -1))
    done = list(results.queue)
    results.put("STOP")
    django_q_monitor.monitor(results, broker)
    return done
