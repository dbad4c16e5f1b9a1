"""Owner markers: who is gone, and of whom we cannot know."""

from __future__ import annotations

import os
import subprocess

import psutil
import pytest

from core import owners


def test_own_marker_is_alive_and_of_this_host() -> None:
    marker = owners.owner_marker()

    assert f":{os.getpid()}:" in marker
    assert owners.on_this_host(marker)
    assert not owners.owner_is_gone(marker)


def test_ended_process_is_gone() -> None:
    process = subprocess.Popen(["sleep", "60"])
    marker = owners.owner_marker(process.pid)
    assert not owners.owner_is_gone(marker)

    process.kill()
    process.wait()

    assert owners.owner_is_gone(marker)


def test_process_id_taken_by_another_process_is_gone() -> None:
    host, pid, start = owners.owner_marker().rsplit(":", 2)

    assert owners.owner_is_gone(f"{host}:{pid}:{int(start) - 1}")


@pytest.mark.parametrize("marker", ["elsewhere/00000000:1:2", "", "worker:1:1", "x", ":::"])
def test_other_hosts_and_other_texts_are_never_gone(marker: str) -> None:
    assert not owners.owner_is_gone(marker)
    assert not owners.on_this_host(marker)


def test_process_that_ends_while_it_is_looked_at_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel lets the file be opened, and then refuses to have it read."""
    host, _, start = owners.owner_marker().rsplit(":", 2)

    def gone(path: object) -> str:
        raise ProcessLookupError(path)

    monkeypatch.setattr("pathlib.Path.read_text", gone)

    assert owners.owner_is_gone(f"{host}:{2**22 + 1}:{start}")


def test_process_that_cannot_be_looked_at_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    marker = owners.owner_marker()

    def refuse(pid: int | None = None) -> str:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(owners, "owner_marker", refuse)

    assert not owners.owner_is_gone(marker)
