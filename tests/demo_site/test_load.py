from __future__ import annotations

import json

import pytest

from demo_site import password_for, usernames
from demo_site.load import Pace, load_file, load_file_second_markup, main

BASE = "http://127.0.0.1:8801"


def test_load_file_is_the_contracts_example() -> None:
    content = load_file(BASE + "/", ["demo01", "demo02"], concurrency=3, seed=9)

    (site,), (playbook,), (task,) = content["sites"], content["playbooks"], content["tasks"]
    assert site == {
        "slug": "reel",
        "name": "Reel",
        "base_url": BASE,
        "allowed_hosts": ["127.0.0.1"],
        "allow_private_addresses": True,
        "targets": {
            "feed": {"path": "/feed"},
            "card": {"selector": ".card"},
            "like": {"selector": ".card .like:not(.liked)"},
            "search": {"path": "/search"},
            "search_box": {"selector": "#q"},
            "results": {"selector": ".hit"},
        },
        "logged_in": {"path": "/feed", "selector": ".card"},
        "log_in": {
            "path": "/login",
            "username": "#username",
            "password": "#password",
            "submit": "button[type=submit]",
        },
        "challenges": ["#challenge"],
        "limits": {"concurrency": 8, "daily": {"like": 20}},
    }
    assert content["proxies"] == []
    assert content["accounts"][1] == {
        "site": "reel",
        "username": "demo02",
        "password": "warm-demo02",
        "proxy": None,
        "storage_state": None,
    }
    assert playbook["name"] == "browse"
    assert [step["do"] for step in playbook["steps"]] == ["open", "repeat", "click", "search", "screenshot"]
    assert task == {
        "name": "morning",
        "playbook": "browse",
        "site": "reel",
        "accounts": "all",
        "concurrency": 3,
        "delay_seconds": {"min": 0, "max": 0.5},
        "seed": 9,
    }


def test_load_files_share_nothing_that_is_changed() -> None:
    load_file(BASE, ["demo01"])["sites"][0]["base_url"] = "changed"

    assert load_file(BASE, ["demo01"])["sites"][0]["base_url"] == BASE


def test_pace_sets_the_ranges() -> None:
    content = load_file(BASE, [], pace=Pace(scrolls=(1, 2), watch_seconds=(3, 4), delay_seconds=(5, 6)))

    repeat = content["playbooks"][0]["steps"][1]
    assert repeat["times"] == {"min": 1, "max": 2}
    assert repeat["steps"][1]["seconds"] == {"min": 3, "max": 4}
    assert content["tasks"][0]["delay_seconds"] == {"min": 5, "max": 6}


def test_second_markup_names_are_its_own() -> None:
    first, second = load_file(BASE, ["demo01"]), load_file_second_markup(BASE, ["demo01"])

    for kind, key in (("sites", "slug"), ("playbooks", "name"), ("tasks", "name")):
        assert first[kind][0][key] != second[kind][0][key]
    assert (
        second["accounts"][0]["site"] == second["tasks"][0]["site"] == second["sites"][0]["slug"] == "rolle"
    )


def test_many_accounts_at_once_raise_the_sites_limit() -> None:
    assert load_file(BASE, [], concurrency=40)["sites"][0]["limits"]["concurrency"] == 40


def test_usernames_and_passwords() -> None:
    assert usernames(2) == ["demo01", "demo02"]
    assert usernames(100)[-1] == "demo100"
    assert password_for("hang1") == "warm-hang1"


@pytest.mark.parametrize(("option", "slug"), [([], "reel"), (["--second-markup"], "rolle")])
def test_command_writes_json(option: list[str], slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--base-url", BASE, "--accounts", "2", "--username", "hang1", *option])

    content = json.loads(capsys.readouterr().out)
    assert code == 0
    assert content["sites"][0]["slug"] == slug
    assert [account["username"] for account in content["accounts"]] == ["demo01", "demo02", "hang1"]


def test_command_refuses_a_base_url_without_a_host(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--base-url", "8801"])

    assert ended.value.code == 2
    assert "without a host" in capsys.readouterr().err
