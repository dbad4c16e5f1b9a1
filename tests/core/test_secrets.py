"""The key ring, and sealed columns that are bound to their place."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import models
from django.test.utils import isolate_apps

from core import secrets
from core.errors import SecretUnreadable
from core.models import Account, AccountSecret, Proxy, SessionState
from core.secrets import SealedField
from tests import factories

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
PLACE = "core.AccountSecret.password account_id=7"


def test_newest_key_encrypts_and_every_key_opens(settings: Any) -> None:
    settings.FIELD_KEYS = [OLD]
    token = secrets.encrypt(b"x", PLACE)

    settings.FIELD_KEYS = [NEW, OLD]

    assert secrets.decrypt(token, PLACE) == b"x"
    assert Fernet(NEW).decrypt(secrets.encrypt(b"y", PLACE)) == PLACE.encode() + b"\0y"


def test_lost_key_is_named_and_so_is_the_place(settings: Any) -> None:
    settings.FIELD_KEYS = [OLD]
    token = secrets.encrypt(b"x", PLACE)
    settings.FIELD_KEYS = [NEW]

    with pytest.raises(SecretUnreadable, match=f"^{PLACE}: .* FIELD_KEYS"):
        secrets.decrypt(token, PLACE)


@pytest.mark.parametrize("place", ["core.AccountSecret.password account_id=70", PLACE[:-1], "", "artifact 7"])
def test_token_opens_at_its_own_place_only(place: str) -> None:
    token = secrets.encrypt(b"s3cret", PLACE)

    with pytest.raises(SecretUnreadable, match="sealed for another place") as caught:
        secrets.decrypt(token, place)

    assert "s3cret" not in str(caught.value)


def test_content_cannot_pass_for_another_place() -> None:
    token = secrets.encrypt(b" account_id=8\0x", "place")

    with pytest.raises(SecretUnreadable):
        secrets.decrypt(token, "place account_id=8")
    assert secrets.decrypt(token, "place") == b" account_id=8\0x"


def test_token_that_is_bound_to_nothing_does_not_open() -> None:
    token = secrets.key_ring().encrypt(b"s3cret")

    with pytest.raises(SecretUnreadable, match="another place") as caught:
        secrets.decrypt(token, PLACE)

    assert "s3cret" not in str(caught.value)


def test_json_round_trip_keeps_what_is_not_ascii() -> None:
    value = {"имя": ["é", 1, None]}

    assert secrets.decrypt_json(secrets.encrypt_json(value, PLACE), PLACE) == value


def test_what_opens_but_is_no_json_is_unreadable() -> None:
    with pytest.raises(SecretUnreadable, match="no JSON"):
        secrets.decrypt_json(secrets.encrypt(b"{", PLACE), PLACE)


def test_place_names_the_column_and_its_owner() -> None:
    assert secrets.place_of(AccountSecret(account_id=7), "password") == PLACE
    state = SessionState(account_id=7)
    assert secrets.place_of(state, "sealed") == f"core.SessionState.sealed account_id=7 uuid={state.uuid}"


def test_place_needs_a_saved_owner() -> None:
    with pytest.raises(ValueError, match="save its owner first"):
        secrets.place_of(AccountSecret(), "password")
    with pytest.raises(TypeError, match="no SealedField"):
        secrets.place_of(AccountSecret(account_id=7), "account")


@pytest.mark.parametrize(
    ("bound_to", "faults"), [((), 1), (("id",), 1), (("owner_id", "owner"), 1), (("owner_id",), 0)]
)
@isolate_apps("core")
def test_column_that_is_bound_to_nothing_is_refused(bound_to: tuple[str, ...], faults: int) -> None:
    class Vault(models.Model):
        owner = models.ForeignKey(Account, models.CASCADE)
        sealed = SealedField(bound_to=bound_to)

        class Meta:
            app_label = "core"

        def __str__(self) -> str:
            return "vault"

    errors = Vault._meta.get_field("sealed").check()

    assert [error.id for error in errors] == ["core.E004"] * faults


def test_binding_survives_a_copy_of_the_field() -> None:
    field = AccountSecret._meta.get_field("password")

    assert field.clone().bound_to == field.bound_to == ("account_id",)


@pytest.mark.django_db
def test_clear_text_never_reaches_a_sealed_column() -> None:
    account = factories.AccountFactory()

    with pytest.raises(ValueError, match="seal the value"):
        AccountSecret.objects.filter(account=account).update(password=b"clear")


@pytest.mark.django_db
def test_lost_key_does_not_break_a_list(settings: Any) -> None:
    account = factories.AccountFactory()
    SessionState.save_version(account.pk, factories.state())
    settings.FIELD_KEYS = [NEW]

    assert [row.username for row in Account.objects.select_related("secret")] == [account.username]
    with pytest.raises(SecretUnreadable):
        account.spec()


@pytest.mark.django_db
def test_rows_say_what_they_are_without_opening_anything(settings: Any) -> None:
    account = factories.AccountFactory(username="anna")
    state = SessionState.save_version(account.pk, factories.state())
    settings.FIELD_KEYS = [NEW]

    assert str(account) == "anna"
    assert str(account.pk) in str(AccountSecret.objects.get())
    assert str(state.pk) in str(state)
    assert str(Proxy(name="office")) == "office"
    assert str(account.site) == account.site.name
