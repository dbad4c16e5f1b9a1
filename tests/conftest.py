"""What every test gets: a data directory of its own, and a guard over the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base as postgresql
from django.db.backends.sqlite3 import base as sqlite


class LoopGuard:
    """Records each ORM call on a thread whose event loop runs, also when the code swallows the error."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.expected = False

    def see(self, what: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        self.calls.append(what)


@pytest.fixture(autouse=True)
def loop_guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopGuard]:
    """Fails a test in which the ORM was called on an event loop, unless it sets `expected`."""
    guard = LoopGuard()
    for name in ("cursor", "ensure_connection"):
        plain = getattr(BaseDatabaseWrapper, name)

        def watched(self: Any, *args: Any, _plain: Any = plain, _name: str = name, **kwargs: Any) -> Any:
            guard.see(f"{self.alias}.{_name}")
            return _plain(self, *args, **kwargs)

        monkeypatch.setattr(BaseDatabaseWrapper, name, watched)
    yield guard
    # Nothing may switch Django's own guard off: neither the environment nor what a test ran.
    assert "DJANGO_ALLOW_ASYNC_UNSAFE" not in os.environ
    assert guard.expected or not guard.calls, f"ORM calls on the event loop: {guard.calls}"


@pytest.fixture(scope="session", autouse=True)
def audit_can_be_flushed() -> Iterator[None]:
    """Lets Django empty the database behind a test; `post_migrate`, which follows, locks the audit again."""
    from warmup import append_only  # Django is set up by now

    with pytest.MonkeyPatch.context() as patch:
        for backend in (sqlite, postgresql):
            operations = backend.DatabaseWrapper.ops_class
            plain = operations.sql_flush

            def flush(self: Any, *args: Any, _plain: Any = plain, **kwargs: Any) -> list[str]:
                return [*append_only.removal(self.connection.vendor), *_plain(self, *args, **kwargs)]

            patch.setattr(operations, "sql_flush", flush)
        yield


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    """Artifacts of a test stay with it."""
    settings.WARMUP_DATA_DIR = tmp_path / "data"
    settings.WARMUP_DATA_DIR.mkdir()
    path: Path = settings.WARMUP_DATA_DIR
    return path
