"""PostgreSQL and Redis for the tests that need them: where they are, and databases that are dropped again."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

POSTGRES_URL = os.environ.get("TEST_POSTGRES_URL", "postgres://root@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
REQUIRED = os.environ.get("REQUIRE_SERVICES", "") not in {"", "0"}


def postgres_problem() -> str:
    """Why PostgreSQL cannot be used; empty when it can."""
    try:
        psycopg.connect(POSTGRES_URL, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        return f"PostgreSQL does not answer at {urlsplit(POSTGRES_URL).netloc}: {error}".strip()
    return ""


def redis_problem() -> str:
    """Why Redis cannot be used; empty when it can."""
    client = redis.Redis.from_url(REDIS_URL, socket_connect_timeout=3)
    try:
        client.ping()
    except redis.RedisError as error:
        return f"Redis does not answer at {urlsplit(REDIS_URL).netloc}: {error}"
    finally:
        client.close()
    return ""


def need(problem: str) -> None:
    """Skip the test, or fail it when services are required."""
    if problem and REQUIRED:
        pytest.fail(f"REQUIRE_SERVICES is set, but {problem}")
    if problem:
        pytest.skip(problem)


@contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of a fresh database, dropped afterwards."""
    need(postgres_problem())
    name = f"warmup_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(POSTGRES_URL)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def redis_database() -> Iterator[str]:
    """The URL of an emptied Redis database of the tests' own, emptied again afterwards."""
    need(redis_problem())
    client = redis.Redis.from_url(REDIS_URL)
    client.flushdb()
    try:
        yield REDIS_URL
    finally:
        client.flushdb()
        client.close()
