from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from core.errors import InvalidInput
from tests.warmup.load_examples import BACK, COOKIE, SECRET, account, parse, site, state, task
from tests.warmup.playbooks.examples import json_values
from warmup.loadfile import parse_load_file

URL = "must be an absolute URL (http, https) with a host"
PROXY_URL = "must be an absolute URL (http, https, socks5) with a host"
HOST = "must be a host name or IP address without a port, or *.example.com"


def faults_of(data: object) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        parse(data)
    return caught.value.faults


# ---- one fault at a time --------------------------------------------------------------------------------

FAULTS: list[tuple[object, str]] = [
    ([], "load file: must be an object, not a list"),
    (None, "load file: must be an object, not null"),
    ({"accunts": []}, "accunts: unknown key (did you mean 'accounts'?)"),
    ({"sites": {}}, "sites: must be a list, not an object"),
    ({"sites": ["x"]}, "sites[0]: must be an object, not text"),
    ({"playbooks": {}}, "playbooks: must be a list, not an object"),
    ({"playbooks": [5]}, "playbooks[0]: must be an object, not a number"),
    ({"tasks": None}, "tasks: must be a list, not null"),
    ({"sites": [site(), site()]}, "sites[1]: same slug as sites[0]"),
    (
        {"proxies": [{"name": "a", "server": "http://p.test"}, {"name": "a", "server": "http://q.test"}]},
        "proxies[1]: same name as proxies[0]",
    ),
    (
        {"accounts": [account(), account(site="x"), account(username="bob"), account()]},
        "accounts[3]: same account as accounts[0]",
    ),
    (
        {"playbooks": [{"name": "a", "steps": [BACK]}, {"name": "a", "steps": [BACK]}]},
        "playbooks[1]: same name as playbooks[0]",
    ),
    ({"tasks": [task(), task()]}, "tasks[1]: same name as tasks[0]"),
    (
        {"tasks": [task(accounts=["a", "b", "a"])]},
        "tasks[0].accounts[2]: same username as tasks[0].accounts[0]",
    ),
]

SITE_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"slug": "a b"}, "slug: must be letters, digits, - and _"),
    ({"slug": ""}, "slug: must not be empty"),
    ({"slug": "x" * 51}, "slug: must be at most 50 characters long"),
    ({"slug": 5}, "slug: must be text, not a number (put it in quotes)"),
    ({"name": " "}, "name: must not be empty"),
    ({"nam": "x"}, "nam: unknown key (did you mean 'name'?)"),
    ({"base_url": "reel.test"}, f"base_url: {URL}"),
    ({"base_url": "//reel.test"}, f"base_url: {URL}"),
    ({"base_url": "ftp://reel.test"}, f"base_url: {URL}"),
    ({"base_url": "http://"}, f"base_url: {URL}"),
    ({"base_url": "http://reel.test:99999"}, f"base_url: {URL}"),
    ({"base_url": "http://reel.test:0"}, f"base_url: {URL}"),
    ({"base_url": "http://reel.test/a b"}, f"base_url: {URL}"),
    ({"base_url": "http://[::1"}, f"base_url: {URL}"),
    ({"base_url": f"http://anna:{SECRET}@reel.test"}, "base_url: must not hold a username or password"),
    ({"base_url": "http://reel.test/?a=1"}, "base_url: must not have a query or fragment"),
    ({"base_url": "http://reel.test/#a"}, "base_url: must not have a query or fragment"),
    ({"base_url": "http://reel.test/" + "x" * 200}, "base_url: must be at most 200 characters long"),
    ({"allowed_hosts": []}, "allowed_hosts: must not be empty"),
    ({"allowed_hosts": "reel.test"}, "allowed_hosts: must be a list, not text"),
    ({"allowed_hosts": ["reel.test", "reel.test:80"]}, f"allowed_hosts[1]: {HOST}"),
    ({"allowed_hosts": ["reel.test", "*"]}, f"allowed_hosts[1]: {HOST}"),
    ({"allowed_hosts": ["reel.test", "*.com"]}, f"allowed_hosts[1]: {HOST}"),
    ({"allowed_hosts": ["reel.test", "http://x.test"]}, f"allowed_hosts[1]: {HOST}"),
    ({"allowed_hosts": ["*.reel.test"]}, "allowed_hosts: must include the host of base_url, 'reel.test'"),
    ({"allow_private_addresses": 1}, "allow_private_addresses: must be true or false, not a number"),
    ({"targets": []}, "targets: must be an object, not a list"),
    ({"targets": {"x": {}}}, "targets.x: needs a path, a selector or both"),
    ({"targets": {"x": "/x"}}, "targets.x: must be an object, not text"),
    ({"targets": {"x": {"path": "x"}}}, "targets.x.path: must begin with one /"),
    ({"targets": {"x": {"path": "//evil.test"}}}, "targets.x.path: must begin with one /"),
    ({"targets": {"x": {"path": "/a b"}}}, "targets.x.path: must not hold spaces or control characters"),
    ({"targets": {"x": {"path": "/\0"}}}, "targets.x.path: must not hold NUL or a lone surrogate"),
    ({"targets": {"x": {"selector": ""}}}, "targets.x.selector: must not be empty"),
    (
        {"targets": {"steps": {"pth": 1, "path": "/"}}},
        "targets.steps.pth: unknown key (did you mean 'path'?)",
    ),
    ({"targets": {"": {"path": "/"}}}, "targets['']: must not be empty"),
    ({"targets": {"a.b": {}}}, "targets['a.b']: needs a path, a selector or both"),
    ({"logged_in": {"path": "/"}}, "logged_in.selector: missing"),
    ({"log_in": {"path": "/", "username": "#u", "password": "#p"}}, "log_in.submit: missing"),
    ({"challenges": [""]}, "challenges[0]: must not be empty"),
    ({"challenges": ["#c"] * 51}, "challenges: must have at most 50 items, not 51"),
    ({"limits": {"concurrency": 0}}, "limits.concurrency: must be at least 1"),
    ({"limits": {"daily": {"like": -1}}}, "limits.daily.like: must be at least 0"),
    ({"limits": {"daily": {"like": True}}}, "limits.daily.like: must be a whole number, not true or false"),
    ({"limits": {"dayly": {}}}, "limits.dayly: unknown key (did you mean 'daily'?)"),
]

ACCOUNT_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"username": "x" * 151}, "username: must be at most 150 characters long"),
    ({"username": "\ud800"}, "username: must not hold NUL or a lone surrogate"),
    ({"username": 7}, "username: must be text, not a number (put it in quotes)"),
    ({"pasword": SECRET}, "pasword: unknown key (did you mean 'password'?)"),
    ({"password": ""}, "password: must not be empty"),
    ({"password": f"{SECRET}\0"}, "password: must not hold NUL or a lone surrogate"),
    ({"password": [SECRET]}, "password: must be text, not a list"),
    ({"password": SECRET * 200}, "password: must be at most 1000 characters long"),
    ({"proxy": ""}, "proxy: must not be empty"),
    ({"storage_state": SECRET}, "storage_state: must be an object, not text"),
    ({"storage_state": {"cookies": []}}, "storage_state.origins: missing"),
    ({"storage_state": state(cookies={})}, "storage_state.cookies: must be a list, not an object"),
    (
        {"storage_state": state(cookies=[{**COOKIE, "domain": 5}])},
        "storage_state.cookies[0].domain: must be text, not a number (put it in quotes)",
    ),
    (
        {"storage_state": state(cookies=[{**COOKIE, "sameSite": "lax"}])},
        "storage_state.cookies[0].sameSite: must be 'Strict', 'Lax' or 'None' (did you mean 'Lax'?)",
    ),
    (
        {"storage_state": state(origins=[{"origin": "http://reel.test"}])},
        "storage_state.origins[0].localStorage: missing",
    ),
    (
        {"storage_state": state(origins=[{"origin": "x", "localStorage": [{"name": "a"}]}])},
        "storage_state.origins[0].localStorage[0].value: missing",
    ),
    (
        {"storage_state": state(origins=[{"origin": "x", "localStorage": []}] * 51)},
        "storage_state.origins: must have at most 50 items, not 51",
    ),
    (
        {"storage_state": state(x="x" * 1024 * 1024)},
        "storage_state: must be at most 1048576 bytes of JSON, not 1048615",
    ),
    ({"storage_state": state(x=float("nan"))}, "storage_state: must hold finite numbers only"),
]

OTHER_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("proxies", {"name": "x", "server": "p.test:3128"}, f"server: {PROXY_URL}"),
    (
        "proxies",
        {"name": "x", "server": f"http://anna:{SECRET}@p.test"},
        "server: must not hold a username or password",
    ),
    ("proxies", {"name": "x", "server": f"ftp://anna:{SECRET}@p.test"}, f"server: {PROXY_URL}"),
    ("proxies", {"name": "x"}, "server: missing"),
    ("playbooks", {"name": "x", "steps": [{"do": "open"}]}, "steps[0].target: missing"),
    (
        "playbooks",
        {"name": "x", "steps": [{"do": "watch", "seconds": {"min": 9, "max": 4}}]},
        "steps[0].seconds: min 9 is greater than max 4",
    ),
    ("playbooks", {"name": "x", "steps": [BACK] * 201}, "steps: 201 steps are declared, at most 200"),
    ("tasks", task(accounts="al"), "accounts: must be \"all\" or a list of usernames (did you mean 'all'?)"),
    ("tasks", task(accounts=5), 'accounts: must be "all" or a list of usernames'),
    ("tasks", task(accounts=[]), "accounts: must not be empty"),
    ("tasks", task(accounts=["a", 5]), "accounts[1]: must be text, not a number (put it in quotes)"),
    ("tasks", task(concurrency=0), "concurrency: must be at least 1"),
    ("tasks", task(concurrency=1001), "concurrency: must be at most 1000"),
    ("tasks", task(delay_seconds={"min": 2, "max": 1}), "delay_seconds: min 2 is greater than max 1"),
    ("tasks", task(delay_seconds="1"), 'delay_seconds: must be a number or a range {"min", "max"}, not text'),
    ("tasks", task(seed=1.5), "seed: must be a whole number, not a decimal number"),
    ("tasks", task(seed=2**63), "seed: must be at most 9223372036854775807"),
]

ALL_FAULTS = [
    *FAULTS,
    *(({"sites": [site(**more)]}, f"sites[0].{line}") for more, line in SITE_FAULTS),
    *(({"accounts": [account(**more)]}, f"accounts[0].{line}") for more, line in ACCOUNT_FAULTS),
    *(({section: [entry]}, f"{section}[0].{line}") for section, entry, line in OTHER_FAULTS),
]


@pytest.mark.parametrize(("data", "line"), ALL_FAULTS, ids=[line[:70] for _, line in ALL_FAULTS])
def test_parse_fault_is_one_line_without_a_secret(data: object, line: str) -> None:
    assert faults_of(data) == (line,)
    assert SECRET not in line


def test_parse_reports_every_fault_together_in_the_order_of_the_sections() -> None:
    data = {
        "tasks": [task(seed=None)],
        "playbooks": [{"name": "x", "steps": []}, {"name": "x", "steps": [{"do": "scrol", "pixels": 1}]}],
        "accounts": [account(password=1), account()],
        "proxys": [],
        "sites": [site(slug="?")],
    }

    assert faults_of(data) == (
        "proxys: unknown key (did you mean 'proxies'?)",
        "sites[0].slug: must be letters, digits, - and _",
        "accounts[1]: same account as accounts[0]",
        "accounts[0].password: must be text, not a number (put it in quotes)",
        "playbooks[1]: same name as playbooks[0]",
        "playbooks[0].steps: must not be empty",
        "playbooks[1].steps[0].do: unknown action 'scrol' (one of: back, click, expect, open, pause, repeat,"
        " screenshot, scroll, search, type, visit, watch; did you mean 'scroll'?)",
        "tasks[0].seed: must be a whole number, not null",
    )


def test_parse_duplicate_key_is_a_fault_among_the_others() -> None:
    text = "accounts:\n  - {site: reel, username: anna, username: bob, pasword: x}\n"

    with pytest.raises(InvalidInput) as caught:
        parse_load_file(text, source="load.yaml")

    assert caught.value.faults == (
        "accounts[0].username: duplicate key",
        "accounts[0].pasword: unknown key (did you mean 'password'?)",
    )


def test_parse_unreadable_text_names_file_line_and_column() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_load_file('{"sites": [,]}', source="load.json")

    assert caught.value.faults == ("load.json, line 1, column 12: not valid JSON: expecting value",)
    assert caught.value.__cause__ is None


@given(json_values)
def test_parse_any_json_gives_a_load_or_plain_faults(data: object) -> None:
    faults: tuple[str, ...] = ()

    try:
        parse(data)
    except InvalidInput as error:
        faults = error.faults or ("no fault",)

    for line in faults:
        assert ": " in line
        assert len(line.splitlines()) == 1
        assert not any(word in line for word in ("function-", "tagged-union", "Input should", "is not valid"))
