"""Faults of what the system stands on: its database, its broker, its disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from tests.chaos.harness import System


def lock_sqlite(system: System, seconds: float) -> None:
    """Hold SQLite's write lock."""
    with closing(sqlite3.connect(system.database.url, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def cut_off(system: System, seconds: float, *, frozen: bool) -> None:
    """PostgreSQL is gone: crashed, or (`frozen`) silent."""
    assert system.proxy is not None
    if frozen:
        system.proxy.freeze()
    else:
        system.proxy.cut()
    time.sleep(seconds)
    system.proxy.heal()


def purge_broker(system: System) -> int:
    """Every message is gone; returns how many there were."""
    url = system.environment.get("Q_BROKER_URL")
    if url is None:
        return system.database.execute("DELETE FROM django_q_ormq")
    purged = 0
    with closing(redis.Redis.from_url(url)) as client:
        for key in client.keys("django_q*"):
            if client.type(key) == b"list":
                purged += client.llen(key)
                client.delete(key)
    return purged


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A directory on a file system of `size` (as mount(8) reads it); skips where it cannot be mounted."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small file system: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
