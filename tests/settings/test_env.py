"""Settings from the environment: typed, and an error names the variable and the fix."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from settings import env
from settings.local import local_keys

ROOT = Path(__file__).resolve().parents[2]
GOOD_SECRET, GOOD_KEY = "tests-only-" * 6, "Zm9yLXRlc3RzLW9ubHktZm9yLXRlc3RzLW9ubHktMDA="


def number() -> int:
    return env.integer("X", 8, low=1, high=64, unit="contexts")


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (number, "many", "X: 'many' is not a whole number. Set a whole number of contexts from 1 to 64"),
        (number, "0", "X: 0 is out of range. Set a whole number of contexts from 1 to 64"),
        (number, "65", "X: 65 is out of range"),
        (number, "1.5", "X: '1.5' is not a whole number"),
        (lambda: env.boolean("X", False), "maybe", "X: 'maybe' is neither true nor false. Set true or false"),
        (
            lambda: env.database("X", Path()),
            "mysql://a/b",
            "X: the scheme 'mysql' is not supported. Use sqlite:",
        ),
        (lambda: env.database("X", Path()), "warmup.sqlite3", "X: the scheme '' is not supported"),
        (lambda: env.database("X", Path()), "postgres://localhost/", "X: it names no database"),
        (lambda: env.database("X", Path()), "postgres://h:port/n", "X: cannot be read"),
        (lambda: env.database("X", Path()), "sqlite://:memory:", "X: an in-memory database is not shared"),
        (lambda: env.redis_url("X"), "amqp://h", "X: 'amqp' is no broker. Use redis://host:6379/0"),
        (lambda: env.redis_url("X"), "localhost:6379", "X: 'localhost' is no broker"),
        (lambda: env.redis_url("X"), "redis://", "X: 'redis' is no broker"),
        (lambda: env.endpoint("X"), "localhost:9222", "X: not a URL of a browser endpoint. Use ws://"),
        (lambda: env.executable("X"), "/no/such/browser", "X: '/no/such/browser' is not an executable file"),
        (lambda: env.field_keys("X"), "short", "X: cannot be read"),
        (lambda: env.field_keys("X"), f"{GOOD_KEY},bad", "Key 2 is no Fernet key: make one with python -c"),
        (lambda: env.directory("X", Path()), "/proc/no", "X: '/proc/no' cannot be made"),
    ],
)
def test_malformed_value_names_the_variable_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], Any], value: str, message: str
) -> None:
    monkeypatch.setenv("X", value)

    with pytest.raises(ImproperlyConfigured) as caught:
        read()

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (number, "", 8),
        (number, " 9 ", 9),
        (lambda: env.boolean("X", True), "", True),
        (lambda: env.boolean("X", True), "OFF", False),
        (lambda: env.boolean("X", False), "yes", True),
        (lambda: env.words("X"), " a, ,b", ["a", "b"]),
        (lambda: env.redis_url("X"), "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        (lambda: env.redis_url("X"), "", ""),
        (lambda: env.endpoint("X"), "ws://grid:3000/x", "ws://grid:3000/x"),
        (lambda: env.executable("X"), sys.executable, sys.executable),
        (lambda: env.field_keys("X"), f"{GOOD_KEY}, {GOOD_KEY}", [GOOD_KEY, GOOD_KEY]),
    ],
)
def test_value_is_typed(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], Any], value: str, expected: Any
) -> None:
    monkeypatch.setenv("X", value)

    assert read() == expected


def test_database_defaults_to_tuned_sqlite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("X", raising=False)

    config = env.database("X", tmp_path)

    assert config["NAME"] == str(tmp_path / "warmup.sqlite3")
    assert config["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert config["OPTIONS"]["timeout"] == 20
    assert "journal_mode=WAL" in config["OPTIONS"]["init_command"]


def test_database_of_postgres_has_no_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "postgres://u:p@h:5433/n")

    config = env.database("X", Path())

    assert (config["ENGINE"], config["HOST"], config["NAME"]) == ("django.db.backends.postgresql", "h", "n")
    assert "pool" not in config["OPTIONS"]


def test_relative_directory_counts_from_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "docs")

    assert env.directory("X", Path()) == ROOT / "docs"


def test_directory_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "/proc")
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(ImproperlyConfigured, match="cannot be written to"):
        env.directory("X", Path())


def test_local_keys_are_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "keys.json"
    path.parent.mkdir()

    first = local_keys(path)

    assert local_keys(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


PRODUCTION = {
    "SECRET_KEY": GOOD_SECRET,
    "FIELD_KEYS": GOOD_KEY,
    "ALLOWED_HOSTS": "warmup.example.com",
    "WARMUP_ALLOW_ROOT": "true",
    "Q_BROKER_URL": "",
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY: it is missing or shorter than 50 characters. Make one with"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY: it is missing or shorter than 50 characters"),
        ({"SECRET_KEY": f"django-insecure-{GOOD_SECRET}"}, "SECRET_KEY: it is a default, or no random text"),
        ({"SECRET_KEY": "abcd" * 15}, "SECRET_KEY: it is a default, or no random text"),
        ({"FIELD_KEYS": ""}, "FIELD_KEYS: it is missing"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS: it is missing or a wildcard"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS: it is missing or a wildcard"),
        ({"ALLOWED_HOSTS": "a.example.com,*.example.com"}, "ALLOWED_HOSTS: it is missing or a wildcard"),
        ({"ALLOWED_HOSTS": "a.example.com,."}, "ALLOWED_HOSTS: it is missing or a wildcard"),
        ({"DEBUG": "true"}, "DEBUG: it is set, and debug pages show"),
        ({"Q_BROKER_URL": "redis://10.0.0.5:6379/0"}, "Q_BROKER_URL: whoever reaches this Redis"),
        ({"Q_BROKER_URL": "rediss://user@10.0.0.5/0"}, "Use redis://:password@host:6379/0 or unix:///run"),
        pytest.param(
            {"WARMUP_ALLOW_ROOT": ""},
            "WARMUP_ALLOW_ROOT: this runs as root, and Chromium would run without its sandbox",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="it is root that is refused"),
        ),
        (
            {"WARMUP_SLICE_SECONDS": "x"},
            "WARMUP_SLICE_SECONDS: 'x' is not a whole number. Set a whole number of seconds",
        ),
        ({"WARMUP_LEASE_SECONDS": "10"}, "core.E003"),
    ],
)
def test_production_refuses_to_start(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    done = check_production(tmp_path, changes)

    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("broker", ["", "redis://:pw@10.0.0.5:6379/0", "unix:///run/redis/redis.sock?db=1"])
def test_production_starts_with_what_is_safe(tmp_path: Path, broker: str) -> None:
    done = check_production(tmp_path, {"Q_BROKER_URL": broker})

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("url", "guarded"),
    [
        ("", True),
        ("unix:///run/redis.sock", True),
        ("redis://:pw@h/0", True),
        ("redis://h/0?password=pw", True),
        ("redis://h/0", False),
        ("redis://user@h/0", False),
        ("redis://user:@h/0", False),
        ("rediss://h/0?password=", False),
    ],
)
def test_redis_is_guarded_by_a_password_or_a_socket(url: str, guarded: bool) -> None:
    assert env.redis_is_guarded(url) is guarded


def check_production(data: Path, changes: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        **PRODUCTION,
        "DJANGO_SETTINGS_MODULE": "settings.production",
        "WARMUP_DATA_DIR": str(data),
        **changes,
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
