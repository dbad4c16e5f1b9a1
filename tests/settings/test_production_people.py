"""What settings.production makes of cookies, HTTPS and proxies, as a request sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.settings.test_env import PRODUCTION, ROOT

ASK = """
import json, sys
import django
django.setup()
from django.conf import settings
from django.test import Client
starts = ("SESSION_COOKIE", "CSRF_COOKIE", "SESSION_EXPIRE")
names = [name for name in dir(settings) if name.startswith(starts)]
answers = {}
for how, more in {
    "plain": {},
    "forwarded": {"HTTP_X_FORWARDED_PROTO": "https"},
    "secure": {"secure": True},
}.items():
    response = Client().get("/", HTTP_HOST="warmup.example.com", **more)
    answers[how] = [response.status_code, response["Location"], response.get("Strict-Transport-Security")]
print(json.dumps({"settings": {name: getattr(settings, name) for name in names}, "answers": answers}))
"""


def asked(tmp_path: Path, **environment: str) -> dict[str, Any]:
    (tmp_path / "static").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env={
            **os.environ,
            **PRODUCTION,
            "DJANGO_SETTINGS_MODULE": "settings.production",
            "WARMUP_DATA_DIR": str(tmp_path),
            "WARMUP_ALLOW_ROOT": "true",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_cookies_are_secure_and_end_with_the_browser(tmp_path: Path) -> None:
    found = asked(tmp_path, SESSION_MAX_HOURS="8")["settings"]

    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert found["SESSION_COOKIE_HTTPONLY"] is True
    assert found["SESSION_COOKIE_SAMESITE"] == found["CSRF_COOKIE_SAMESITE"] == "Lax"
    assert found["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert found["CSRF_COOKIE_NAME"].startswith("__Host-")
    # What the prefix asks for besides: no domain, and the path /.
    assert found["SESSION_COOKIE_DOMAIN"] is found["CSRF_COOKIE_DOMAIN"] is None
    assert found["SESSION_COOKIE_PATH"] == found["CSRF_COOKIE_PATH"] == "/"
    assert found["SESSION_EXPIRE_AT_BROWSER_CLOSE"] is True
    assert found["SESSION_COOKIE_AGE"] == 8 * 3600


@pytest.mark.parametrize("proxies", ["0", "1"])
def test_forwarded_scheme_counts_only_behind_a_proxy(tmp_path: Path, proxies: str) -> None:
    answers = asked(tmp_path, TRUSTED_PROXIES=proxies)["answers"]

    to_https = "https://warmup.example.com/"
    assert answers["plain"][:2] == [301, to_https]
    assert answers["forwarded"][:2] == ([301, to_https] if proxies == "0" else [302, "/admin/"])


def test_answers_over_https_carry_hsts(tmp_path: Path) -> None:
    # Behind a proxy the scheme is the header's; without, the connection's.
    answers = asked(tmp_path, TRUSTED_PROXIES="0")["answers"]

    assert answers["secure"] == [302, "/admin/", "max-age=31536000; includeSubDomains; preload"]
