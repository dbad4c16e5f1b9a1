"""What is said about a run holds none of its account's secrets."""

from __future__ import annotations

import json
from urllib.parse import quote

from core.scrubbing import MOST_CHARACTERS, MOST_VALUES, Scrubber, secrets_of
from core.types import AccountSpec, ProxySpec

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
