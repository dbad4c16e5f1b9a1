"""The processes of a system: found by role, signalled, and looked for when nothing should be left."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

# What django-q2's processes say of themselves in the log.
_SAID = re.compile(r"(ready for work|monitoring|pushing tasks) at (\d+)")
_ROLES = {"ready for work": "worker", "monitoring": "monitor", "pushing tasks": "pusher"}


def alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def send(process: psutil.Process, number: signal.Signals) -> bool:
    """Signal a process; False when it is gone."""
    try:
        process.send_signal(number)
    except psutil.Error:
        return False
    return True


def send_group(pid: int, number: signal.Signals) -> None:
    os.killpg(pid, number)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that descend from it."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def roles(main: psutil.Process, log: Path) -> dict[str, list[psutil.Process]]:
    """The processes of one qcluster: `main`, `sentinel`, `worker`, `pusher`, `monitor`."""
    said = {int(pid): _ROLES[what] for what, pid in _SAID.findall(log.read_text(errors="replace"))}
    found: dict[str, list[psutil.Process]] = {"main": [main], "sentinel": [], "worker": []}
    found |= {"pusher": [], "monitor": []}
    try:
        for child in main.children():
            if child.children():
                found["sentinel"].append(child)
                for process in child.children():
                    if (role := said.get(process.pid)) and alive(process):
                        found[role].append(process)
    except psutil.Error:
        pass
    return found


class Browsers:
    """The drivers and browsers of one system: those whose temporary directories lie in `temporary`."""

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary

    def processes(self) -> list[psutil.Process]:
        """All of them that run: drivers, browsers and the browsers' children."""
        found: dict[int, psutil.Process] = {}
        for process in self._roots(lambda _: True):
            found |= {member.pid: member for member in family(process) if alive(member)}
        return list(found.values())

    def drivers(self) -> list[psutil.Process]:
        return self._roots(lambda command: "run-driver" in command)

    def roots(self) -> list[psutil.Process]:
        """The browsers' main processes."""
        return self._roots(
            lambda command: (
                "run-driver" not in command
                and not any(part.startswith("--type=") or "crashpad" in part for part in command)
            )
        )

    def renderers(self) -> list[psutil.Process]:
        children = [child for root in self.roots() for child in family(root)[1:]]
        return [child for child in children if "--type=renderer" in _command(child)]

    def directories(self) -> list[Path]:
        return list(self.temporary.glob("warmup-browser-*"))

    def _roots(self, wanted: Callable[[list[str]], bool]) -> list[psutil.Process]:
        mine = []
        for process in psutil.process_iter():
            try:
                directory = process.environ().get("TMPDIR", "")
            except (psutil.Error, OSError):
                continue
            # A qcluster's own processes have the directory itself, a launch's one below it.
            below = directory.startswith(f"{self.temporary}/")
            if below and alive(process) and wanted(_command(process)):
                mine.append(process)
        return mine


def kill_all(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        send(process, signal.SIGKILL)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
