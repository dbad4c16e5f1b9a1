"""Key rotation: everything readable at every moment, and nothing lost."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from core import artifacts, rotation, secrets
from core.models import AccountSecret, Proxy, ProxySecret, SessionState
from tests import factories

pytestmark = pytest.mark.django_db

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def stored(settings: Any, data_dir: Path) -> uuid.UUID:
    """One of each secret, under the old key."""
    settings.FIELD_KEYS = [OLD]
    account = factories.AccountFactory(password="pw")
    SessionState.save_version(account.pk, {"cookies": [], "origins": []})
    proxy = Proxy.objects.create(name="office", server="http://127.0.0.1:1")
    ProxySecret.objects.create(
        proxy=proxy, credentials=secrets.encrypt_json({"username": "u", "password": "p"})
    )
    name = uuid.uuid4()
    artifacts.write(name, b"evidence")
    return name


def rotate() -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("rotate_keys", stdout=out, stderr=err)
    except SystemExit as exit_:
        return int(exit_.code or 0), err.getvalue()
    return 0, out.getvalue()


def test_after_rotation_the_old_key_is_not_needed(settings: Any, stored: uuid.UUID) -> None:
    settings.FIELD_KEYS = [NEW, OLD]

    code, out = rotate()

    settings.FIELD_KEYS = [NEW]
    assert code == 0
    assert "core.AccountSecret.password: 1 rotated" in out
    assert "artifacts: 1 rotated" in out
    assert secrets.decrypt(AccountSecret.objects.get().password) == b"pw"
    assert Proxy.objects.get().spec().password == "p"
    assert SessionState.objects.get().open() == {"cookies": [], "origins": []}
    assert artifacts.read(stored) == b"evidence"


def test_every_sealed_column_is_rotated() -> None:
    assert {f"{model._meta.label}.{name}" for model, name in rotation.sealed_columns()} == {
        "core.AccountSecret.password",
        "core.ProxySecret.credentials",
        "core.SessionState.sealed",
    }


def test_second_rotation_finds_nothing_to_do(settings: Any, stored: uuid.UUID) -> None:
    settings.FIELD_KEYS = [NEW, OLD]
    rotate()
    before = bytes(AccountSecret.objects.get().password)

    code, out = rotate()

    assert code == 0
    assert "rotated" not in out
    assert bytes(AccountSecret.objects.get().password) == before


def test_lost_key_is_reported_and_the_blob_kept(settings: Any, stored: uuid.UUID) -> None:
    before = bytes(AccountSecret.objects.get().password)
    settings.FIELD_KEYS = [NEW]

    code, err = rotate()

    assert code == 1
    assert "4 do not open" in err
    assert bytes(AccountSecret.objects.get().password) == before


def test_row_that_changes_meanwhile_is_left(settings: Any, stored: uuid.UUID, monkeypatch: Any) -> None:
    settings.FIELD_KEYS = [NEW, OLD]
    plain = rotation.renewed

    def change_first(token: bytes) -> tuple[str, bytes]:
        AccountSecret.objects.update(password=secrets.encrypt(b"changed"))
        return plain(token)

    monkeypatch.setattr(rotation, "renewed", change_first)

    rotate()

    assert secrets.decrypt(AccountSecret.objects.get().password) == b"changed"


def test_draft_that_a_kill_left_is_no_secret(settings: Any, stored: uuid.UUID, data_dir: Path) -> None:
    artifacts.path_of(stored).with_suffix(".part").write_bytes(b"half")
    settings.FIELD_KEYS = [NEW, OLD]

    code, _ = rotate()

    assert code == 0
    assert artifacts.read(stored) == b"evidence"
