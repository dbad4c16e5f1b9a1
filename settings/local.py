"""One machine, for a person: SQLite, debug pages, and keys of its own kept beside the data."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.management.utils import get_random_secret_key

from settings.base import *  # noqa: F403
from settings.base import ALLOWED_HOSTS, FIELD_KEYS, SECRET_KEY, WARMUP_DATA_DIR


def local_keys(path: Path) -> dict[str, str]:
    """The keys of this checkout, made once; readable by their owner only.

    Written beside and linked into place, so that two processes that start at once agree.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        keys = {"SECRET_KEY": get_random_secret_key(), "FIELD_KEY": Fernet.generate_key().decode()}
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(keys))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was first: its keys are the ones that hold
        finally:
            draft.unlink()
    stored: dict[str, str] = json.loads(path.read_text())
    return stored


if not SECRET_KEY or not FIELD_KEYS:
    _keys = local_keys(WARMUP_DATA_DIR / "local-keys.json")
    SECRET_KEY = SECRET_KEY or _keys["SECRET_KEY"]
    FIELD_KEYS = FIELD_KEYS or [_keys["FIELD_KEY"]]

DEBUG = True
ALLOWED_HOSTS = ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]"]
