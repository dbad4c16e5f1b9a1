"""Whether this worker is to drain: one byte of memory that a qcluster's processes share by fork.

A byte, not a lock or an event: a process that is killed while it holds a shared lock would leave the
others waiting for ever.
"""

from __future__ import annotations

from multiprocessing.sharedctypes import RawValue

_draining = RawValue("b", 0)
_cluster = ""


def start_draining() -> None:
    """Ask every process of this cluster to stop claiming and to give its runs back."""
    _draining.value = 1


def name_cluster(name: str) -> None:
    """Say which cluster this process is the main process of; the ones forked from it know it too."""
    global _cluster
    _cluster = name


def cluster_name() -> str:
    """The cluster that this process belongs to; "" outside of one."""
    return _cluster


def draining() -> bool:
    """Whether `start_draining` was called in this process or one that it was forked from or forked."""
    return bool(_draining.value)
