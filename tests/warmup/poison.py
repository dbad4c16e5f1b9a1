"""Poison for django-q2's tables and queues, and whether it has struck."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q import core_signing
from django_q import monitor as django_q_monitor
from django_q import scheduler as django_q_scheduler
from django_q import worker as django_q_worker
from django_q.conf import Conf

from warmup import queue

STRUCK: list[object] = []


def strike(*args: object, **kwargs: object) -> None:
    """What the poison calls."""
    STRUCK.append((args, kwargs))


STRIKE = f"{__name__}.strike"


class Bomb:
    """Strikes when it is unpickled."""

    def __reduce__(self) -> Any:
        return strike, ("unpickled",)


class Raw:
    """A serializer that lets any bytes be signed."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def __call__(self) -> Raw:
        return self

    def dumps(self, _: object) -> bytes:
        return self.data


@contextmanager
def nothing_struck(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails when something struck meanwhile, `strike` or a shell: both leave a trace."""
    STRUCK.clear()
    monkeypatch.chdir(folder)
    for module in (django_q_worker, django_q_monitor, django_q_scheduler):  # the test's own is to stay open
        monkeypatch.setattr(module, "close_old_django_connections", lambda: None)
    yield
    assert STRUCK == []
    assert list(folder.glob("struck*")) == []


def task(**parts: Any) -> dict[str, Any]:
    """What a message of ours says, with other parts in it."""
    mine = {"id": "1", "name": "n", "func": queue.BEAT, "args": (), "kwargs": {}, "started": timezone.now()}
    return mine | parts


def signed(content: Any, *, key: str | None = None, salt: str | None = None) -> str:
    serializer = Raw(content) if isinstance(content, bytes) else Raw(pickle.dumps(content))
    return str(
        core_signing.dumps(
            None, key=key or Conf.SECRET_KEY, salt=salt or Conf.PREFIX, serializer=serializer, compress=True
        )
    )
