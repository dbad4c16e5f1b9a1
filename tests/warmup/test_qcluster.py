"""The qcluster command: its processes die together, and it ends when its cluster does."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.sharedctypes import RawValue
from typing import Any

import psutil
import pytest
from django.db import OperationalError, connections
from structlog.testing import capture_logs

from core import lifecycle
from warmup import queue, retention, schedules, services, store, supervisor
from warmup.management.commands import qcluster
from warmup.management.commands.qcluster import Command, DrainingCluster, die_with_parent

# A parent, its child and its grandchild, each of which writes its process and group and then waits.
FAMILY = """
import os, signal, sys
import django
django.setup()
from core import lifecycle
from warmup.management.commands.qcluster import die_with_parent

os.register_at_fork(after_in_child=die_with_parent)
lifecycle.name_cluster(f"host:{os.getpid()}:1")
level = 0
for _ in range(2):
    if os.fork():
        break
    level += 1
# One write: lines of several processes must not mix.
os.write(1, f"{level} {os.getpid()} {os.getpgid(0)}\\n".encode())
signal.pause()
"""


class Family:
    """The three processes, by level, with their process groups."""

    def __init__(self, main: subprocess.Popen[str]) -> None:
        assert main.stdout is not None
        rows = sorted([int(word) for word in main.stdout.readline().split()] for _ in range(3))
        self.main = main
        self.pids = [pid for _, pid, _ in rows]
        self.groups = [group for _, _, group in rows]
        # Known by their start times too: an id may be another process's by the time of the clean-up.
        self.relatives = [psutil.Process(pid) for pid in self.pids[1:]]

    def all_are_gone(self) -> bool:
        """Whether nobody holds the other end of the pipe any more; waits for it."""
        try:
            self.main.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            return False
        return True


@pytest.fixture
def family() -> Iterator[Family]:
    """A family, none of which outlives the test, whatever fails."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "settings.test"}
    command = [sys.executable, "-c", FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as main:
        made: Family | None = None
        try:
            made = Family(main)
            yield made
        finally:
            main.kill()
            for relative in made.relatives if made else ():
                with suppress(psutil.NoSuchProcess):
                    relative.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_processes_of_a_cluster_die_with_their_parent_at_every_level(family: Family) -> None:
    family.main.kill()

    assert family.all_are_gone()


def test_processes_of_a_cluster_leave_the_group_of_the_main_process(family: Family) -> None:
    main, sentinel, worker = family.pids

    # The sentinel has a group of its own, and its workers stay in it.
    assert family.groups == [os.getpgid(main), sentinel, sentinel]
    assert family.groups[0] not in (sentinel, worker)


def test_process_whose_parent_ended_before_the_kernel_was_asked_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(BaseException):
        pass

    def end(code: int) -> None:
        raise Ended(code)

    asked: list[tuple[int, int]] = []
    parents = iter([4711, 1])
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Kernel(asked))
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(os, "_exit", end)

    with pytest.raises(Ended, match="1"):
        die_with_parent()

    assert asked == [(qcluster.PR_SET_PDEATHSIG, signal.SIGKILL)]


class Kernel:
    """The C library, as far as `die_with_parent` calls it."""

    def __init__(self, asked: list[tuple[int, int]]) -> None:
        self.asked = asked

    def prctl(self, option: int, argument: int) -> None:
        self.asked.append((option, argument))


# ---- the main process -------------------------------------------------------------------------------


class Sentinel:
    """A sentinel process that lives for some looks."""

    def __init__(self, looks: int, exitcode: int = -9) -> None:
        self.looks, self.exitcode = looks, exitcode
        self.joined: list[float | None] = []
        self.killed = False

    def is_alive(self) -> bool:
        self.looks -= 1
        return self.looks >= 0

    def join(self, timeout: float | None = None) -> None:
        self.joined.append(timeout)

    def kill(self) -> None:
        self.killed = True


class StopEvent:
    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        self.is_set = True


class StubCluster(DrainingCluster):
    """Starts nothing and takes over no signals."""

    sentinel: Any
    made: list[StubCluster] = []  # emptied for each test

    def __init__(self, looks: int = 0) -> None:
        self.cluster_id = "stub"
        self.sentinel = Sentinel(looks)
        self.stop_event = StopEvent()
        self.start_event = StopEvent()
        self.started = False
        self.made.append(self)

    def start(self) -> int:
        self.started = True
        return 1


@pytest.fixture(autouse=True)
def a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state that a qcluster has in its processes, for each test anew."""
    monkeypatch.setattr(lifecycle, "_draining", RawValue("b", 0))
    monkeypatch.setattr(lifecycle, "_cluster", "")
    StubCluster.made.clear()


@pytest.fixture
def quiet_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to reconcile, no orphans, a queue that moves."""
    monkeypatch.setattr(supervisor, "close_old_connections", lambda: None)
    monkeypatch.setattr(services, "reconcile", dict)
    monkeypatch.setattr(schedules, "fire_due", dict)
    monkeypatch.setattr(supervisor, "reap_orphans", lambda: 0)
    monkeypatch.setattr(retention, "purge_if_due", lambda: None)
    monkeypatch.setattr(store, "seconds_since_beat", lambda cluster: 1.0)
    monkeypatch.setattr(queue, "stuck_jobs", lambda cluster_id: 0)


@pytest.mark.usefixtures("quiet_watch")
def test_sentinel_that_dies_by_itself_ends_the_command_with_1() -> None:
    cluster = StubCluster(looks=2)

    with capture_logs() as logs, pytest.raises(SystemExit) as exited:
        Command()._watch(cluster)

    assert exited.value.code == 1
    assert [(entry["event"], entry["exitcode"]) for entry in logs] == [("sentinel_died", -9)]
    assert cluster.sentinel.joined == [supervisor.WATCH_SECONDS] * 2


@pytest.mark.usefixtures("quiet_watch")
def test_sentinel_that_ends_because_the_cluster_drains_ends_the_command_in_peace() -> None:
    lifecycle.start_draining()

    with capture_logs() as logs:
        Command()._watch(StubCluster(looks=1))

    assert logs == []


@pytest.mark.usefixtures("quiet_watch")
def test_database_error_while_reconciling_is_logged_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([OperationalError("the server closed the connection"), None])

    def reconcile() -> dict[str, int]:
        error = next(answers)
        if error is not None:
            raise error
        lifecycle.start_draining()
        return {"woken": 1}

    monkeypatch.setattr(services, "reconcile", reconcile)
    cluster = StubCluster(looks=2)

    with capture_logs() as logs:
        Command()._watch(cluster)

    assert [entry["event"] for entry in logs] == ["watch_failed", "reconciled"]
    assert logs[0]["error"] == "the server closed the connection"
    assert not cluster.sentinel.killed


@pytest.mark.parametrize("draining", [False, True])
@pytest.mark.usefixtures("quiet_watch")
def test_queue_that_is_stuck_ends_the_cluster_unless_it_drains(
    draining: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor.Watch, "look", lambda self: False)
    cluster = StubCluster(looks=1)
    if draining:
        lifecycle.start_draining()
        Command()._watch(cluster)
    else:
        with pytest.raises(SystemExit) as exited:
            Command()._watch(cluster)
        assert exited.value.code == 1

    assert cluster.sentinel.killed is not draining


# ---- the command ------------------------------------------------------------------------------------


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `handle` does, in its order; nothing of it happens."""
    done: list[str] = []
    monkeypatch.setattr(os, "register_at_fork", lambda after_in_child: done.append(after_in_child.__name__))
    monkeypatch.setattr(queue, "ensure_schedule", lambda: done.append("schedule"))
    monkeypatch.setattr(qcluster, "reap_orphans", lambda: done.append("reap"))
    monkeypatch.setattr(connections, "close_all", lambda: done.append("close connections"))
    monkeypatch.setattr(qcluster, "DrainingCluster", StubCluster)
    monkeypatch.setattr(StubCluster, "start", lambda self: done.append("start"))
    monkeypatch.setattr(Command, "_watch", lambda self, cluster: done.append("watch"))
    monkeypatch.setenv("Q_CLUSTER_NAME", "before")
    level = logging.getLogger("django-q").level
    monkeypatch.setattr(logging.getLogger("django-q"), "level", level)
    return done


def test_handle_prepares_what_the_forked_processes_need_before_it_starts_them(acts: list[str]) -> None:
    Command().handle()

    assert acts == ["die_with_parent", "schedule", "reap", "close connections", "start", "watch"]
    assert f":{os.getpid()}:" in lifecycle.cluster_name()
    assert os.environ["Q_CLUSTER_NAME"] == "before"


def test_handle_with_a_name_passes_it_on(acts: list[str]) -> None:
    Command().handle(cluster_name="night")

    assert os.environ["Q_CLUSTER_NAME"] == "night"


def test_handle_that_is_to_run_once_drains_at_once(acts: list[str]) -> None:
    Command().handle(run_once=True)

    assert lifecycle.draining()
    assert acts[-1] == "watch"


# ---- draining ---------------------------------------------------------------------------------------


def test_stop_asks_the_workers_to_drain_and_waits_for_them() -> None:
    cluster = StubCluster(looks=1)
    event: Any = cluster.stop_event

    assert cluster.stop()

    assert lifecycle.draining()
    assert event.is_set
    assert cluster.sentinel.joined == [qcluster.DRAIN_SECONDS]
    assert not cluster.sentinel.killed
    assert (cluster.start_event, cluster.stop_event) == (None, None)


def test_stop_kills_what_does_not_drain_in_time() -> None:
    cluster = StubCluster(looks=2)

    with capture_logs() as logs:
        assert cluster.stop()

    assert cluster.sentinel.killed
    assert "cluster_killed" in [entry["event"] for entry in logs]


def test_stop_of_a_cluster_that_has_ended_only_says_so() -> None:
    cluster = StubCluster(looks=0)

    assert not cluster.stop()

    assert lifecycle.draining()
    assert cluster.sentinel.joined == []


def test_stop_that_comes_twice_waits_once() -> None:
    cluster = StubCluster(looks=9)
    cluster.stop_event = None

    assert not cluster.stop()

    assert cluster.sentinel.joined == []
