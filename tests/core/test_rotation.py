"""Key rotation: everything readable at every moment, and nothing lost."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
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
    SessionState.save_version(account.pk, factories.state())
    proxy = Proxy.objects.create(name="office", server="http://127.0.0.1:1")
    ProxySecret.store(proxy, {"username": "u", "password": "p"})
    name = uuid.uuid4()
    artifacts.write(name, b"evidence")
    return name


def rotate(*arguments: str) -> tuple[int, str]:
    """How the command exits, and all that it says."""
    out = io.StringIO()
    try:
        call_command("rotate_keys", *arguments, stdout=out, stderr=out, no_color=True)
    except SystemExit as exit_:
        return int(exit_.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_after_rotation_the_old_key_is_not_needed(settings: Any, stored: uuid.UUID) -> None:
    settings.FIELD_KEYS = [NEW, OLD]

    code, out = rotate()

    settings.FIELD_KEYS = [NEW]
    assert code == 0
    assert out.splitlines() == [
        "4 re-encrypted",
        "core.ProxySecret.credentials: 1 on the newest key",
        "core.AccountSecret.password: 1 on the newest key",
        "core.SessionState.sealed: 1 on the newest key",
        "warmup.PlaybookSecret.texts: none",
        "artifacts: 1 on the newest key",
        "every secret is on the newest key: older keys may be removed from FIELD_KEYS",
    ]
    assert AccountSecret.objects.get().open() == "pw"
    assert Proxy.objects.get().spec().password == "p"
    assert SessionState.objects.get().open() == factories.state()
    assert artifacts.read(stored) == b"evidence"


def test_check_only_reports_what_is_on_an_old_key(settings: Any, stored: uuid.UUID) -> None:
    before = AccountSecret.objects.get().password
    settings.FIELD_KEYS = [NEW, OLD]
    AccountSecret.store(factories.AccountFactory.create(), "new")

    code, out = rotate("--check")

    assert code == 1
    assert "core.AccountSecret.password: 1 on an old key, 1 on the newest key" in out
    assert "artifacts: 1 on an old key" in out
    assert "4 still on an old key: restart the workers" in out
    assert AccountSecret.objects.earliest("pk").password == before


def test_what_is_written_with_the_old_key_meanwhile_is_reported(
    settings: Any, stored: uuid.UUID, monkeypatch: Any
) -> None:
    """A worker that was not restarted yet goes on with the old key first."""
    settings.FIELD_KEYS = [OLD]
    fresh = secrets.encrypt(b"late", secrets.place_of(AccountSecret.objects.get(), "password"))
    settings.FIELD_KEYS = [NEW, OLD]
    plain = rotation.report

    def report() -> rotation.Report:
        AccountSecret.objects.update(password=fresh)
        return plain()

    monkeypatch.setattr(rotation, "report", report)

    code, out = rotate()

    assert code == 1
    assert "1 still on an old key" in out


def test_second_rotation_finds_nothing_to_do(settings: Any, stored: uuid.UUID) -> None:
    settings.FIELD_KEYS = [NEW, OLD]
    rotate()
    before = bytes(AccountSecret.objects.get().password)

    code, out = rotate()

    assert code == 0
    assert "0 re-encrypted" in out
    assert bytes(AccountSecret.objects.get().password) == before


def test_lost_key_is_reported_and_the_blob_kept(settings: Any, stored: uuid.UUID) -> None:
    before = bytes(AccountSecret.objects.get().password)
    settings.FIELD_KEYS = [NEW]

    code, out = rotate()

    assert code == 1
    assert "4 do not open" in out
    account = AccountSecret.objects.get().account_id
    assert f"core.AccountSecret.password account_id={account}: unreadable" in out
    assert bytes(AccountSecret.objects.get().password) == before


def test_what_changes_or_goes_meanwhile_is_left(settings: Any, stored: uuid.UUID, monkeypatch: Any) -> None:
    settings.FIELD_KEYS = [NEW, OLD]
    plain = rotation.everything

    def change_first() -> Iterator[rotation.Token]:
        for token in plain():
            if token.column == "core.AccountSecret.password":
                AccountSecret.store(AccountSecret.objects.get().account, "changed")
            elif token.column == "artifacts":
                artifacts.delete(stored)
            yield token

    monkeypatch.setattr(rotation, "everything", change_first)

    rotation.rotate()

    assert AccountSecret.objects.get().open() == "changed"
    assert not artifacts.path_of(stored).exists()


def test_file_that_goes_between_listing_and_reading_is_no_fault(
    settings: Any, stored: uuid.UUID, monkeypatch: Any
) -> None:
    plain = artifacts.stored

    def listed() -> Iterator[artifacts.Stored]:
        yield from list(plain())
        artifacts.delete(stored)

    monkeypatch.setattr(artifacts, "stored", listed)

    assert rotation.report().columns["artifacts"] == {}


def test_draft_that_a_kill_left_is_no_secret(settings: Any, stored: uuid.UUID, data_dir: Path) -> None:
    artifacts.path_of(stored).with_suffix(".part").write_bytes(b"half")
    settings.FIELD_KEYS = [NEW, OLD]

    code, _ = rotate()

    assert code == 0
    assert artifacts.read(stored) == b"evidence"
