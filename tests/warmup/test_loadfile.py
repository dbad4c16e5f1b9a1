from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml

from core.types import Target
from tests.warmup.load_examples import BACK, COOKIE, FULL, SECRET, account, parse, site, state, task
from warmup.loadfile import AccountEntry, LoadFile, cross_reference_faults, parse_load_file, placed
from warmup.playbooks.schema import PlaybookSpec, parse_playbook

# ---- what is right --------------------------------------------------------------------------------


def test_parse_full_example() -> None:
    load = parse(FULL)

    (reel,), (office,), (anna,), (browse,), (morning,) = (
        load.sites,
        load.proxies,
        load.accounts,
        load.playbooks,
        load.tasks,
    )
    assert reel.target_map()["like"] == Target("like", selector=".card .like:not(.liked)")
    assert reel.logged_in is not None
    assert reel.limits.daily == {"like": 20}
    assert (office.server, office.username) == ("http://127.0.0.1:3128", None)
    assert (anna.username, anna.password) == ("anna", SECRET)
    assert browse.definition()["steps"][2] == {
        "do": "click",
        "target": "like",
        "done": ".liked",
        "counts_as": "like",
    }
    assert (morning.accounts, morning.concurrency, morning.delay_bounds, morning.seed) == (
        "all",
        4,
        (0, 1),
        7,
    )


def test_parse_yaml_says_the_same_as_json() -> None:
    assert parse_load_file(yaml.safe_dump(FULL), source="load.yaml") == parse(FULL)


def test_parse_empty_object_is_an_empty_load() -> None:
    assert parse({}) == LoadFile()


def test_parse_defaults() -> None:
    load = parse({"sites": [site()], "accounts": [account()], "tasks": [task(accounts=["anna", "bob"])]})

    assert load.sites[0].limits.concurrency is None
    assert load.sites[0].targets == {}
    assert (load.accounts[0].password, load.accounts[0].proxy, load.accounts[0].storage_state) == (
        None,
        None,
        None,
    )
    assert load.tasks[0].accounts == ("anna", "bob")
    assert (load.tasks[0].concurrency, load.tasks[0].delay_bounds, load.tasks[0].seed) == (4, (0, 0), 0)


def test_parse_repr_shows_no_secret() -> None:
    load = parse(
        {
            "accounts": [
                account(password=SECRET, storage_state=state(cookies=[{**COOKIE, "value": SECRET}]))
            ],
            "proxies": [{"name": "office", "server": "http://p.test", "password": SECRET}],
        }
    )

    assert SECRET not in repr(load)


@pytest.mark.parametrize(
    "given_state",
    [
        state(),
        state(cookies=[{**COOKIE, "expires": -1, "httpOnly": True, "secure": False, "sameSite": "None"}]),
        state(cookies=[{**COOKIE, "partitionKey": "https://reel.test"}]),
        state(origins=[{"origin": "http://reel.test", "localStorage": [{"name": "a", "value": "\0"}]}]),
        state(
            origins=[{"origin": "http://reel.test", "localStorage": [], "indexedDB": [{"stores": [[1.5]]}]}]
        ),
    ],
)
def test_parse_storage_state_is_kept_as_it_is(given_state: dict[str, Any]) -> None:
    load = parse({"accounts": [account(storage_state=given_state)]})

    assert load.accounts[0].storage_state == given_state


def test_parse_hosts_are_lower_case_and_wildcards_count() -> None:
    load = parse(
        {"sites": [site(base_url="https://WWW.Reel.test:8443/app", allowed_hosts=["*.Reel.TEST", "::1"])]}
    )

    assert load.sites[0].allowed_hosts == ("*.reel.test", "::1")


def test_placed_counts_from_0() -> None:
    load = parse({"accounts": [account(), account(username="bob")]})

    assert [(place, entry.username) for place, entry in placed("accounts", load.accounts)] == [
        ("accounts[0]", "anna"),
        ("accounts[1]", "bob"),
    ]


def test_parse_10_000_accounts_takes_little_time() -> None:
    one = state(cookies=[{**COOKIE, "expires": 1.5, "httpOnly": True}] * 3)
    many = [account(username=f"user{number}", password=SECRET, storage_state=one) for number in range(10_000)]
    text = json.dumps({"accounts": many})

    began = time.process_time()
    load = parse_load_file(text, source="load.json")

    assert len(load.accounts) == 10_000
    assert time.process_time() - began < 10  # about half a second on an idle machine


# ---- references -----------------------------------------------------------------------------------


def cross(
    data: object,
    *,
    sites: dict[str, dict[str, Target]] | None = None,
    proxies: frozenset[str] = frozenset(),
    playbooks: dict[str, PlaybookSpec] | None = None,
    accounts: dict[str, set[str]] | None = None,
) -> list[str]:
    return cross_reference_faults(
        parse(data),
        known_sites=sites or {},
        known_proxies=proxies,
        known_playbooks=playbooks or {},
        known_accounts=(accounts or {}).__getitem__,
    )


def test_cross_reference_file_that_refers_to_itself_has_no_faults() -> None:
    assert cross(FULL) == []


def test_cross_reference_unknown_names_are_one_line_each() -> None:
    data = {
        "sites": [site(targets={"feed": {"path": "/feed"}})],
        "accounts": [account(), account(site="rel", proxy="offce")],
        "playbooks": [{"name": "browse", "steps": [{"do": "open", "target": "feed"}]}],
        "tasks": [
            task(playbook="brwse", accounts=["anna", "bob"]),
            task(name="noon", site="zzz", accounts=["anna"]),
        ],
    }

    assert cross(data, proxies=frozenset({"office"})) == [
        "accounts[1].site: no site 'rel' (did you mean 'reel'?)",
        "accounts[1].proxy: no proxy 'offce' (did you mean 'office'?)",
        "tasks[0].playbook: no playbook 'brwse' (did you mean 'browse'?)",
        "tasks[0].accounts[1]: no account 'bob' on site 'reel'",
        "tasks[1].site: no site 'zzz'",
    ]


def test_cross_reference_targets_that_the_site_lacks() -> None:
    steps = [{"do": "open", "target": "feed"}, {"do": "click", "target": "like"}]
    data = {
        "sites": [site(targets={"feed": {"selector": ".feed"}})],
        "playbooks": [{"name": "browse", "steps": steps}],
        "tasks": [task()],
    }

    assert cross(data) == [
        "tasks[0].playbook: playbook 'browse' steps[0].target: target 'feed' of site 'reel' has no path",
        "tasks[0].playbook: playbook 'browse' steps[1].target: site 'reel' has no target 'like'",
    ]


def test_cross_reference_what_is_known_already_counts() -> None:
    browse = parse_playbook({"name": "browse", "steps": [{"do": "open", "target": "feed"}]})
    data = {"accounts": [account(username="bob", proxy="office")], "tasks": [task(accounts=["anna", "bob"])]}

    faults = cross(
        data,
        sites={"reel": {"feed": Target("feed", path="/feed")}},
        proxies=frozenset({"office"}),
        playbooks={"browse": browse},
        accounts={"reel": {"anna"}},
    )

    assert faults == []


def test_cross_reference_the_file_takes_the_place_of_what_is_known() -> None:
    data = {
        "sites": [site()],
        "playbooks": [{"name": "browse", "steps": [{"do": "open", "target": "feed"}]}],
        "tasks": [task()],
    }

    faults = cross(data, sites={"reel": {"feed": Target("feed", path="/feed")}}, accounts={"reel": set()})

    assert faults == [
        "tasks[0].playbook: playbook 'browse' steps[0].target: site 'reel' has no target 'feed'"
    ]


def test_cross_reference_asks_for_the_accounts_of_a_site_once() -> None:
    asked: list[str] = []

    def known_accounts(slug: str) -> set[str]:
        asked.append(slug)
        return {"anna"}

    load = LoadFile(
        accounts=(AccountEntry(site="reel", username="bob"),),
        tasks=parse(
            {
                "tasks": [
                    task(accounts=["anna", "bob", "carl"]),
                    task(name="noon", accounts=["anna"]),
                ]
            }
        ).tasks,
    )

    faults = cross_reference_faults(
        load,
        known_sites={"reel": {}},
        known_proxies=set(),
        known_playbooks={"browse": parse_playbook({"name": "browse", "steps": [BACK]})},
        known_accounts=known_accounts,
    )

    assert faults == ["tasks[0].accounts[2]: no account 'carl' on site 'reel'"]
    assert asked == ["reel"]
