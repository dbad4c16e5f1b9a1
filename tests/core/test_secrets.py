"""Sealed columns and the key ring."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from core import secrets
from core.errors import SecretUnreadable
from core.models import Account, AccountSecret, Proxy, SessionState
from tests import factories

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_newest_key_encrypts_and_every_key_opens(settings: Any) -> None:
    settings.FIELD_KEYS = [OLD]
    token = secrets.encrypt(b"x")

    settings.FIELD_KEYS = [NEW, OLD]

    assert secrets.decrypt(token) == b"x"
    assert Fernet(NEW).decrypt(secrets.encrypt(b"y")) == b"y"


def test_lost_key_is_named(settings: Any) -> None:
    settings.FIELD_KEYS = [OLD]
    token = secrets.encrypt(b"x")
    settings.FIELD_KEYS = [NEW]

    with pytest.raises(SecretUnreadable, match="FIELD_KEYS"):
        secrets.decrypt(token)


def test_json_round_trip_keeps_what_is_not_ascii() -> None:
    value = {"имя": ["é", 1, None]}

    assert secrets.decrypt_json(secrets.encrypt_json(value)) == value


def test_what_opens_but_is_no_json_is_unreadable() -> None:
    with pytest.raises(SecretUnreadable, match="no JSON"):
        secrets.decrypt_json(secrets.encrypt(b"{"))


@pytest.mark.django_db
def test_clear_text_never_reaches_a_sealed_column() -> None:
    account = factories.AccountFactory()

    with pytest.raises(ValueError, match="seal the value"):
        AccountSecret.objects.filter(account=account).update(password=b"clear")


@pytest.mark.django_db
def test_lost_key_does_not_break_a_list(settings: Any) -> None:
    account = factories.AccountFactory()
    SessionState.save_version(account.pk, {"cookies": [], "origins": []})
    settings.FIELD_KEYS = [NEW]

    assert [row.username for row in Account.objects.select_related("secret")] == [account.username]
    with pytest.raises(SecretUnreadable):
        account.spec()


@pytest.mark.django_db
def test_state_that_is_no_object_is_unreadable() -> None:
    account = factories.AccountFactory()
    state = SessionState.save_version(account.pk, {"cookies": [], "origins": []})
    state.sealed = secrets.encrypt_json([1])

    with pytest.raises(SecretUnreadable, match="no object"):
        state.open()


@pytest.mark.django_db
def test_rows_say_what_they_are_without_opening_anything(settings: Any) -> None:
    account = factories.AccountFactory(username="anna")
    state = SessionState.save_version(account.pk, {"cookies": [], "origins": []})
    settings.FIELD_KEYS = [NEW]

    assert str(account) == "anna"
    assert str(account.pk) in str(AccountSecret.objects.get())
    assert str(state.pk) in str(state)
    assert str(Proxy(name="office")) == "office"
    assert str(account.site) == account.site.name
