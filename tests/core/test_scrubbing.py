"""What is said about a run holds none of its account's secrets."""

from __future__ import annotations

import json
import traceback
from urllib.parse import quote

import pytest

from core.scrubbing import MOST_CHARACTERS, MOST_VALUES, Scrubber, forget_context, secrets_of
from core.types import AccountSpec, ProxySpec

SECRET = "hunter" + str(2)  # not as a source line says it
ODD = 'pä ss/"w&'


def account(**fields: object) -> AccountSpec:
    return AccountSpec(1, "anna", **fields)  # type: ignore[arg-type]


def stored(*values: str) -> dict[str, object]:
    cookies = [{"name": "c", "value": value, "domain": "x", "path": "/"} for value in values]
    return {"cookies": cookies, "origins": []}


def test_secret_is_hidden_however_it_is_written() -> None:
    scrub = Scrubber([ODD, None, ""])

    for form in (ODD, quote(ODD), json.dumps(ODD)[1:-1], json.dumps(ODD, ensure_ascii=False)[1:-1]):
        assert scrub(f"before {form} after") == "before [hidden] after"
    assert scrub("nothing of it") == "nothing of it"


def test_secret_within_another_leaves_nothing_of_either() -> None:
    scrub = Scrubber(["pass", "password1"])

    assert scrub("password1 pass") == "[hidden] [hidden]"


def test_secrets_of_an_account_are_its_password_its_proxys_and_what_was_stored() -> None:
    origins = [{"origin": "http://x", "localStorage": [{"name": "jwt", "value": "local-storage-token"}]}]
    state = {**stored("cookie-token"), "origins": origins}

    found = secrets_of(
        account(password="pw", proxy=ProxySpec("http://p:1", "u", "proxy-pw"), storage_state=state)
    )

    assert found == ["pw", "proxy-pw", "cookie-token", "local-storage-token"]
    assert secrets_of(account()) == [None, None]


def test_values_that_are_no_secrets_or_too_many_are_left_alone() -> None:
    values = ["1234567", "12345678", "x" * (MOST_CHARACTERS + 1)]

    assert secrets_of(account(storage_state=stored(*values)))[2:] == ["12345678"]
    many = stored(*(f"token-number-{number}" for number in range(MOST_VALUES + 5)))
    assert len(secrets_of(account(storage_state=many))) == 2 + MOST_VALUES


def test_traceback_without_its_context_does_not_quote_it() -> None:
    def raise_while(said: Exception) -> None:
        try:
            raise said
        except type(said):
            raise OSError("away")  # noqa: B904 - what is tested

    def give_up() -> None:
        try:
            raise_while(ValueError(SECRET))
        except OSError as cause:
            raise RuntimeError("gave up") from cause

    with pytest.raises(RuntimeError) as caught:
        give_up()

    assert SECRET in "".join(traceback.format_exception(caught.value))
    forget_context(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert "away" in shown


def test_username_of_a_proxy_is_a_secret_when_it_is_no_ordinary_word() -> None:
    proxied = [account(proxy=ProxySpec("http://p:1", name, "pw")) for name in ("anna", "anna-session-7f3a")]

    assert [secrets_of(one)[2:] for one in proxied] == [[], ["anna-session-7f3a"]]
