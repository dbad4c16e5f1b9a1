"""Pickles of plain values, read without importing anything that acts.

Whoever can write into a table or into Redis could otherwise run what they like: a pickle names the
functions that are called while it is read.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection
from typing import Any

Name = tuple[str, str]  # module and name

TIMES: frozenset[Name] = frozenset(
    {("datetime", "datetime"), ("datetime", "timezone"), ("datetime", "timedelta")}
)


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, data: bytes, allowed: Collection[Name]) -> None:
        super().__init__(io.BytesIO(data))
        self.allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def loads(data: bytes, allowed: Collection[Name] = TIMES) -> Any:
    """What `data` holds: plain values, times, and objects of the `allowed` classes.

    Raises `pickle.UnpicklingError` for what names anything else, and what damaged pickles raise, which
    may be any exception.
    """
    return _PlainUnpickler(data, allowed).load()
