"""The environment, read and checked in one place. An error names the variable and the fix.

`OPTIONS` is also what `.env.example` is compared with.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

BASE_DIR = Path(__file__).resolve().parent.parent


def bad(name: str, problem: str, fix: str) -> ImproperlyConfigured:
    """The error for a variable: its name, what is wrong, and what to do."""
    return ImproperlyConfigured(f"{name}: {problem}. {fix}")


def read_env_file() -> None:
    """Load `.env` of the project's root, if there; what the environment already sets wins."""
    path = BASE_DIR / ".env"
    if path.is_file():
        environ.Env.read_env(path)


def text(name: str, default: str = "") -> str:
    """A variable as text, without the blanks around it; an empty one counts as unset."""
    return os.environ.get(name, "").strip() or default


def integer(name: str, default: int, *, low: int, high: int, unit: str) -> int:
    """A whole number from `low` to `high`."""
    raw = text(name)
    if not raw:
        return default
    fix = f"Set a whole number of {unit} from {low} to {high}, or leave it unset for {default}"
    try:
        value = int(raw)
    except ValueError:
        raise bad(name, f"'{raw}' is not a whole number", fix) from None
    if not low <= value <= high:
        raise bad(name, f"{value} is out of range", fix)
    return value


def boolean(name: str, default: bool) -> bool:
    """`true`/`false`, `1`/`0`, `yes`/`no`, `on`/`off`."""
    raw = text(name).lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    if not raw:
        return default
    raise bad(name, f"'{raw}' is neither true nor false", "Set true or false, or leave it unset")


def words(name: str) -> list[str]:
    """A comma-separated list; empty items are dropped."""
    return [item.strip() for item in text(name).split(",") if item.strip()]


def directory(name: str, default: Path) -> Path:
    """A directory that can be written to; made if it is missing."""
    path = Path(text(name) or default).expanduser()
    if not path.is_absolute():
        path = BASE_DIR / path
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"'{path}' cannot be made ({error.strerror})"
        raise bad(name, problem, "Name a directory that can be written to") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise bad(name, f"'{path}' cannot be written to", "Name a directory that can be written to")
    return path


def _checked(name: str, parse: Callable[[], T], fix: str) -> T:
    try:
        return parse()
    except (ValueError, KeyError, ImproperlyConfigured) as error:
        raise bad(name, f"cannot be read ({error})", fix) from None


MAKE_FIELD_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
MAKE_SECRET_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(50))'"  # noqa: S105 - a command

SQLITE_OPTIONS = {
    # Measured with four writer processes: without each of the three, "database is locked" or writes
    # that wait for 14 s; with them, none in 11 s.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}

POSTGRES_OPTIONS = {
    # A peer that vanished without a word must not hold a worker's only database thread for minutes:
    # libpq gives up on it after about 25 s (the last in milliseconds).
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20000,
}


def database(name: str, data_dir: Path) -> dict[str, Any]:
    """Django's database dictionary of a URL; SQLite in `data_dir` when unset."""
    fix = "Use sqlite:////absolute/path.sqlite3 or postgres://user:password@host:5432/name"
    url = text(name)
    if not url:
        config: dict[str, Any] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(data_dir / "warmup.sqlite3"),
        }
    else:
        if urlsplit(url).scheme not in {"sqlite", "postgres", "postgresql"}:
            raise bad(name, f"the scheme '{urlsplit(url).scheme}' is not supported", fix)
        config = dict(_checked(name, lambda: environ.Env.db_url_config(url), fix))
        if not config.get("NAME"):
            raise bad(name, "it names no database", fix)
    if config["ENGINE"].endswith("sqlite3"):
        if config["NAME"] == ":memory:":
            raise bad(name, "an in-memory database is not shared by the workers", fix)
        config.setdefault("OPTIONS", {}).update(SQLITE_OPTIONS)
    else:
        config["CONN_MAX_AGE"] = 60
        config["CONN_HEALTH_CHECKS"] = True
        config.setdefault("OPTIONS", {}).update(POSTGRES_OPTIONS)
    return config


def redis_url(name: str) -> str:
    """The broker's URL, or "" for the database."""
    url = text(name)
    parts = urlsplit(url)
    if url and (parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.path)):
        raise bad(
            name,
            f"'{parts.scheme or url}' is no broker",
            "Use redis://host:6379/0, or leave it unset for the database",
        )
    return url


def redis_is_guarded(url: str) -> bool:
    """Whether a broker's URL names a password or a socket, whose file has its permissions; "" does."""
    parts = urlsplit(url)
    return not url or parts.scheme == "unix" or bool(parts.password or parse_qs(parts.query).get("password"))


def endpoint(name: str) -> str:
    """A browser endpoint's URL, or ""."""
    url = text(name)
    if url and urlsplit(url).scheme not in {"ws", "wss", "http", "https"}:
        raise bad(
            name,
            "not a URL of a browser endpoint",
            "Use ws://host:port/... (Playwright) or http://host:9222 (CDP)",
        )
    return url


def executable(name: str) -> str:
    """An executable file's path, or "" to look for a browser."""
    path = text(name)
    if path and not os.access(path, os.X_OK):
        raise bad(
            name,
            f"'{path}' is not an executable file",
            "Name the browser's executable, or leave it unset to look for one",
        )
    return path


def field_keys(name: str) -> list[str]:
    """Fernet keys, newest first."""
    keys = words(name)
    for position, key in enumerate(keys, start=1):
        _checked(
            name,
            lambda key=key: Fernet(key),  # type: ignore[misc]
            f"Key {position} is no Fernet key: make one with {MAKE_FIELD_KEY}",
        )
    return keys
