"""Random choices that are the same in every process and on every Python version."""

from __future__ import annotations

import random
from hashlib import sha256

from warmup.playbooks.fields import OneOf, Range, bounds


class Draw:
    """The choices of one concrete step: a stream of its own, made from the run's seed and the step's path.

    Only `random.Random(int).random()` is used: Python promises its sequence to stay the same, and
    promises nothing for `uniform`, `randrange` or `choice`.
    """

    def __init__(self, seed: int, path: str) -> None:
        digest = sha256(f"{seed}|{path}".encode()).digest()
        self._random = random.Random(int.from_bytes(digest, "big"))

    def fraction(self) -> float:
        """A number from 0 up to, not including, 1, in thousandths."""
        return int(self._random.random() * 1000) / 1000

    def number(self, value: float | Range) -> float:
        """`value`, or a number of its range, rounded to 3 decimals."""
        return self.between(*bounds(value))

    def between(self, low: float, high: float) -> float:
        """A number from `low` to `high`, both included, rounded to 3 decimals where they allow it."""
        return min(max(round(low + self._random.random() * (high - low), 3), low), high)

    def whole(self, value: int | Range) -> int:
        """`value`, or a whole number of its range."""
        low, high = bounds(value)
        return int(low) + int(self._random.random() * (int(high) - int(low) + 1))

    def text(self, value: str | OneOf) -> str:
        """`value`, or one of its texts."""
        if isinstance(value, str):
            return value
        return value.one_of[int(self._random.random() * len(value.one_of))]
