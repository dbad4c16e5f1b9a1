"""Who owns a lease, a browser, a temporary directory: `host:pid:starttime` of the worker process.

No other process ever has the same marker, so whoever finds one can tell whether its owner is gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from functools import lru_cache
from pathlib import Path

import psutil


def owner_marker(pid: int | None = None) -> str:
    """The marker of a process (this one)."""
    pid = os.getpid() if pid is None else pid
    return f"{_host()}:{pid}:{_start_time(pid)}"


def owner_is_gone(marker: str) -> bool:
    """Whether `marker` names a process of this host that no longer lives; False when in doubt."""
    host, _, rest = marker.rpartition(":")[0].rpartition(":")
    if host != _host() or not rest.isdecimal():
        return False
    try:
        return owner_marker(int(rest)) != marker
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def on_this_host(marker: str) -> bool:
    """Whether `marker` names a process, alive or not, that this one could see."""
    return marker.startswith(f"{_host()}:")


@lru_cache(maxsize=1)
def _host() -> str:
    """The host's name, and a digest of what tells apart machines and containers of the same name.

    Process ids mean nothing outside their boot and their namespace.
    """
    seen = ""
    with contextlib.suppress(OSError):  # not Linux: then the name must do
        seen = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()[:60]}/{hashlib.sha256(seen.encode()).hexdigest()[:8]}"


def _start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot: no clock change moves it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        # Gone, also while it was read, or not Linux.
        return int(psutil.Process(pid).create_time())
    # The name in parentheses may hold spaces; starttime is field 22, and 20th after the name.
    return int(stat.rpartition(")")[2].split()[19])
