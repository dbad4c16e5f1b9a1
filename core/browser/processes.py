"""The processes and the temporary directory of a launch: found, watched, killed, swept up.

The driver is a child of ours and stays in our process group; Chromium is a session of its own, a
child of the driver. Both carry two environment variables: `WARMUP_OWNER`, which says whose they are,
and a `TMPDIR` of their own, which says of which launch. Chromium's children carry neither, so they
are killed as a group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from core.owners import owner_is_gone

OWNER_VARIABLE = "WARMUP_OWNER"
_DIRECTORY_PREFIX = "warmup-browser-"
_OWNER_FILE = "owner"
# Statuses in which a process answers nobody.
_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def make_directory(marker: str) -> Path:
    """A temporary directory for one launch, which names its owner."""
    directory = Path(tempfile.mkdtemp(prefix=_DIRECTORY_PREFIX))
    (directory / _OWNER_FILE).write_text(marker)
    return directory


class Processes:
    """The driver and the browser of one launch.

    `on_exit` is called with what died, on the event loop, as soon as the kernel knows.
    """

    def __init__(self, directory: Path, on_exit: Callable[[str], None]) -> None:
        self._directory = directory
        self._on_exit = on_exit
        self._tracked: list[psutil.Process] = []
        # Those without which nothing goes on: not the crash handler, not Chromium's children.
        self._vital: list[psutil.Process] = []
        # The browser's: its renderers do not carry the variables.
        self._groups: set[int] = set()
        self._watched: set[int] = set()

    def track(self) -> None:
        """Find the processes that were started and watch them until `forget`."""
        self._tracked = [
            process
            for process in psutil.Process().children(recursive=True)
            if _variable(process, "TMPDIR") == str(self._directory)
        ]
        self._vital = [process for process in self._tracked if _is_vital(process)]
        for process in self._vital:
            self._watch(process.pid, f"{'the browser' if _is_browser(process) else 'the driver'} died")
        self._groups = _browser_groups(self._tracked)

    def forget(self) -> None:
        """Stop watching."""
        for descriptor in tuple(self._watched):
            self._unwatch(descriptor)

    def frozen(self) -> bool:
        """Whether the driver or the browser is stopped, or dead already, and so will not answer."""
        for process in self._vital:
            try:
                if process.status() in _STOPPED:
                    return True
            except psutil.NoSuchProcess:
                return True
        return False

    def alive(self) -> bool:
        """Whether any of them still runs. A zombie does not: only its parent can remove it."""
        return any(_runs(process) for process in self._tracked)

    def kill(self) -> None:
        """Kill whatever is left of the launch, also what has lost its parent. Does not wait."""
        self._tracked = [
            process
            for process in psutil.process_iter()
            if _variable(process, "TMPDIR") == str(self._directory) or _group(process) in self._groups
        ]
        kill_all(self._tracked)

    async def gone(self, seconds: float) -> bool:
        """Wait at most `seconds` until none runs; False if one still does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.alive():  # noqa: ASYNC110 - nobody tells when orphans end
                    await asyncio.sleep(0.01)
        return not self.alive()

    def remove_directory(self) -> None:
        """Remove the launch's temporary directory with all that is in it."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _watch(self, pid: int, death: str) -> None:
        # Linux tells of a death through a descriptor; elsewhere the next call finds out.
        try:
            descriptor = os.pidfd_open(pid)
        except (AttributeError, OSError):
            return
        self._watched.add(descriptor)
        asyncio.get_running_loop().add_reader(descriptor, self._died, descriptor, death)

    def _died(self, descriptor: int, death: str) -> None:
        self._unwatch(descriptor)
        self._on_exit(death)

    def _unwatch(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._watched.discard(descriptor)


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL all, the drivers first, and with each browser its whole process group."""
    found = list(processes)
    groups = _browser_groups(found)
    for process in sorted(found, key=_is_driver, reverse=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def reap_orphans() -> int:
    """Kill the drivers and browsers of this host whose owner is gone, and remove what they left.

    Returns how many processes were killed. Safe to call at any time, from any process.
    """
    orphans = [
        process
        for process in psutil.process_iter()
        if (marker := _variable(process, OWNER_VARIABLE)) is not None and owner_is_gone(marker)
    ]
    kill_all(orphans)
    psutil.wait_procs(orphans, timeout=1)
    for directory in Path(tempfile.gettempdir()).glob(f"{_DIRECTORY_PREFIX}*"):
        with contextlib.suppress(OSError):
            if owner_is_gone((directory / _OWNER_FILE).read_text()):
                shutil.rmtree(directory, ignore_errors=True)
    return len(orphans)


def _variable(process: psutil.Process, name: str) -> str | None:
    """A variable of the environment that the process was started with."""
    try:
        return process.environ().get(name)
    except (psutil.Error, OSError):
        return None


def _is_driver(process: psutil.Process) -> bool:
    try:
        return "run-driver" in process.cmdline()
    except psutil.Error:
        return False


def _is_browser(process: psutil.Process) -> bool:
    try:
        return "--remote-debugging-pipe" in process.cmdline()
    except psutil.Error:
        return False


def _browser_groups(processes: Iterable[psutil.Process]) -> set[int]:
    """The process groups of those that are certainly browsers.

    A driver is in the group of the worker that started it, maybe of a whole cluster; and one that is just
    ending has lost the command line that tells what it is.
    """
    groups = (_group(process) for process in processes if _is_browser(process))
    return {group for group in groups if group is not None} - {os.getpgrp()}


def _is_vital(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return not any(part.startswith("--type=") or "crashpad" in part for part in command)


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
