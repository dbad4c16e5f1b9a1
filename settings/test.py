"""The test-suite: fixed keys, a database of its own, strict templates."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("WARMUP_DATA_DIR", str(Path(tempfile.gettempdir()) / f"warmup-tests-{os.getuid()}"))

from settings.base import *  # noqa: F403
from settings.base import DATABASES, WARMUP_DATA_DIR

SECRET_KEY = "tests-only-" + "k" * 50
FIELD_KEYS = ["dGVzdHMtb25seS1rZXktdGVzdHMtb25seS1rZXktMDA="]
WARMUP_ALLOW_ROOT = True
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file, not memory: the bridge's thread and the test's thread use connections of their own.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": str(WARMUP_DATA_DIR / f"test-{os.getpid()}.sqlite3")}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["TEST"] = {"NAME": f"test_warmup_{os.getpid()}"}

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
