"""`rotate_keys` as a process of its own, killed midway again and again: at every moment everything opens.

`ROTATION_KILLS=20` runs it in full size.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.db import connection

from core import artifacts
from core.models import Account, AccountSecret, SessionState
from tests import factories

KILLS = int(os.environ.get("ROTATION_KILLS", "3"))
ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60 + 20 * KILLS)]


def environment(data_dir: Path) -> dict[str, str]:
    """Of the command: the test's own database and data, and both keys."""
    name = connection.settings_dict["NAME"]
    url = f"sqlite:///{name}"
    if connection.vendor != "sqlite":
        url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings.local",
        "DATABASE_URL": url,
        "FIELD_KEYS": f"{NEW},{OLD}",
        "WARMUP_DATA_DIR": str(data_dir),
    }


def fill(rows: int, files: int) -> dict[uuid.UUID, bytes]:
    """Passwords and states of `rows` accounts, and `files` of the size of screenshots."""
    site = factories.SiteFactory()
    accounts = Account.objects.bulk_create([Account(site=site, username=f"u{n}") for n in range(rows)])
    AccountSecret.objects.bulk_create(
        [AccountSecret.sealed(account, account.username) for account in accounts]
    )
    for account in accounts[::10]:
        SessionState.save_version(account.pk, factories.state(factories.cookie(value=account.username)))
    evidence = {uuid.uuid4(): os.urandom(100_000) for _ in range(files)}
    for name, content in evidence.items():
        artifacts.write(name, content)
    return evidence


def in_order(evidence: dict[uuid.UUID, bytes]) -> list[Callable[[], bytes]]:
    """How to read each token, in the order in which they are rotated."""

    def column(model: Any, name: str, pk: int) -> Callable[[], bytes]:
        return lambda: bytes(model.objects.values_list(name, flat=True).get(pk=pk))

    rows = [(AccountSecret, "password"), (SessionState, "sealed")]
    tokens = [
        column(model, name, pk)
        for model, name in rows
        for pk in model.objects.order_by("pk").values_list("pk", flat=True)
    ]
    return [*tokens, *(path.read_bytes for path in sorted(map(artifacts.path_of, evidence)))]


def is_rotated(read: Callable[[], bytes]) -> bool:
    try:
        Fernet(NEW).decrypt(read())
    except InvalidToken:
        return False
    return True


def assert_everything_opens(evidence: dict[uuid.UUID, bytes]) -> None:
    for secret in AccountSecret.objects.select_related("account"):
        assert secret.open() == secret.account.username
    for state in SessionState.objects.select_related("account__site"):
        assert state.open()["cookies"][0]["value"] == state.account.username
    for name, content in evidence.items():
        assert artifacts.read(name) == content


def start(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "rotate_keys"],
        cwd=ROOT,
        env=environment(data_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_when(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """SIGKILL as soon as it has; fails when the command ends or 60 s pass before."""
    end = time.monotonic() + 60
    while not happened():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_killed_midway_nothing_is_unreadable_and_nothing_begins_again(settings: Any, data_dir: Path) -> None:
    settings.FIELD_KEYS = [OLD]
    evidence = fill(rows=60 * KILLS, files=30 * KILLS)
    tokens = in_order(evidence)
    settings.FIELD_KEYS = [NEW, OLD]
    dice = random.Random(0)
    # One in the first half of each stretch: none too near to the next, and every kind of token has its own.
    size = len(tokens) // KILLS
    targets = [number * size + dice.randrange(size // 2) for number in range(KILLS)]

    for target in targets:
        kill_when(lambda target=target: is_rotated(tokens[target]), start(data_dir))  # type: ignore[misc]
        assert_everything_opens(evidence)
    last = start(data_dir)
    said, _ = last.communicate(timeout=60)

    assert last.returncode == 0, said
    again = re.search(r"^(\d+) re-encrypted$", said, re.MULTILINE)
    assert again is not None
    assert int(again[1]) < len(tokens) - targets[-1]
    settings.FIELD_KEYS = [NEW]
    assert_everything_opens(evidence)
    assert all(map(is_rotated, tokens))
    print(f"{KILLS} kills, {len(tokens)} tokens, {again[1]} left for the last turn")
