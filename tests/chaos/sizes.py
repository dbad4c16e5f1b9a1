"""How large the fault runs are, and with which dice: from the environment, so that one test serves CI and
the full runs by hand.

`CHAOS_N` is `small` (the default) or `full`, `CHAOS_DATABASE` `sqlite` (the default) or `postgres`,
`CHAOS_SEED` a number (else drawn, and printed by each scenario).
"""

from __future__ import annotations

import os
import random
from typing import Literal, TypeVar, cast

T = TypeVar("T")

Database = Literal["sqlite", "postgres"]

SIZE = os.environ.get("CHAOS_N", "") or "small"
DATABASE = cast(Database, os.environ.get("CHAOS_DATABASE", "") or "sqlite")
SEED = int(os.environ.get("CHAOS_SEED", "") or random.randrange(1_000_000))

if SIZE not in {"small", "full"} or DATABASE not in {"sqlite", "postgres"}:
    raise ValueError(f"CHAOS_N={SIZE} CHAOS_DATABASE={DATABASE}: use small or full, sqlite or postgres")

# Seconds that pytest gives one scenario.
TIME_LIMIT = 280 if SIZE == "small" else 5400


def pick(small: T, full: T) -> T:
    """The value for the size of this run."""
    return full if SIZE == "full" else small
