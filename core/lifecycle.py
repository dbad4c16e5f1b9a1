"""Whether this worker is to drain: one byte of memory that a qcluster's processes share by fork.

A byte, not a lock or an event: a process that is killed while it holds a shared lock would leave the
others waiting for ever.
"""

from __future__ import annotations

import os
import socket
from multiprocessing.sharedctypes import RawValue

import psutil

_draining = RawValue("b", 0)


def start_draining() -> None:
    """Ask every process of this cluster to stop claiming and to give its runs back."""
    _draining.value = 1


def draining() -> bool:
    """Whether `start_draining` was called in this process or one that it was forked from or forked."""
    return bool(_draining.value)


def owner_marker() -> str:
    """`host:pid:starttime` of this process: what its browsers are marked with, and its leases say."""
    process = psutil.Process(os.getpid())
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.0f}"
