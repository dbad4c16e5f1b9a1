"""Bringing a load file in: whole or not at all, and the same file again changes nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from core.errors import InvalidInput
from core.models import Account, AccountSecret, Proxy, ProxySecret, SessionState, Site
from warmup import loading, services
from warmup.models import AuditEntry, Playbook, WarmupTask

pytestmark = pytest.mark.django_db

STATE = {"cookies": [], "origins": [{"origin": "http://127.0.0.1:8801", "localStorage": []}]}
FILE: dict[str, Any] = {
    "sites": [
        {
            "slug": "reel",
            "name": "Reel",
            "base_url": "http://127.0.0.1:8801",
            "allowed_hosts": ["127.0.0.1"],
            "allow_private_addresses": True,
            "targets": {"feed": {"path": "/feed"}, "like": {"selector": ".like"}},
            "logged_in": {"path": "/feed", "selector": ".card"},
            "challenges": ["#challenge"],
            "limits": {"concurrency": 8, "daily": {"like": 20}},
        }
    ],
    "proxies": [{"name": "office", "server": "http://127.0.0.1:3128", "username": "u", "password": "p"}],
    "accounts": [
        {"site": "reel", "username": "anna", "password": "one", "proxy": "office", "storage_state": STATE},
        {"site": "reel", "username": "bob", "password": "two"},
    ],
    "playbooks": [{"name": "browse", "steps": [{"do": "open", "target": "feed"}]}],
    "tasks": [{"name": "morning", "playbook": "browse", "site": "reel", "accounts": ["bob"], "seed": 7}],
}


def load(content: dict[str, Any]) -> loading.Report:
    return loading.load(json.dumps(content), source="file.json", by=None)


@pytest.fixture
def content() -> dict[str, Any]:
    return copy.deepcopy(FILE)


def test_load_brings_everything_in(content: dict[str, Any]) -> None:
    report = load(content)

    assert {kind: counts["created"] for kind, counts in report.items()} == {
        "sites": 1,
        "proxies": 1,
        "accounts": 2,
        "playbooks": 1,
        "tasks": 1,
    }
    site, anna, task = Site.objects.get(), Account.objects.get(username="anna"), WarmupTask.objects.get()
    assert (site.concurrency, site.daily_limits, site.log_in) == (8, {"like": 20}, None)
    spec = anna.spec()
    assert (spec.password, spec.storage_state) == ("one", STATE)
    assert spec.proxy is not None
    assert (spec.proxy.username, spec.proxy.password) == ("u", "p")
    assert [account.username for account in task.selected_accounts()] == ["bob"]
    assert (task.seed, task.status, task.concurrency) == (7, "PENDING", 4)
    assert AuditEntry.objects.get().verb == "load"


def test_same_file_again_changes_nothing(content: dict[str, Any]) -> None:
    load(content)
    before = list(AccountSecret.objects.values_list("password", flat=True))

    report = load(content)

    assert {kind: counts["same"] for kind, counts in report.items()} == {
        "sites": 1,
        "proxies": 1,
        "accounts": 2,
        "playbooks": 1,
        "tasks": 1,
    }
    assert list(AccountSecret.objects.values_list("password", flat=True)) == before
    assert SessionState.objects.count() == 1


def test_changes_are_brought_in(content: dict[str, Any]) -> None:
    load(content)
    content["sites"][0]["name"] = "Reel 2"
    content["proxies"][0]["password"] = "other"
    content["accounts"][0]["password"] = "new"
    content["accounts"][1]["proxy"] = "office"
    content["playbooks"][0]["steps"].append({"do": "back"})
    content["tasks"][0]["accounts"] = ["anna", "bob"]

    report = load(content)

    assert report["sites"]["changed"] == report["proxies"]["changed"] == report["tasks"]["changed"] == 1
    assert report["accounts"]["changed"] == 2
    assert Account.objects.get(username="anna").spec().password == "new"
    assert Account.objects.get(username="bob").spec().proxy is not None
    assert WarmupTask.objects.get().playbook.version == 2
    assert WarmupTask.objects.get().accounts.count() == 2


def test_proxy_without_credentials_loses_them(content: dict[str, Any]) -> None:
    load(content)
    content["proxies"][0] = {"name": "office", "server": "http://127.0.0.1:3128"}

    assert load(content)["proxies"]["changed"] == 1
    assert not ProxySecret.objects.exists()
    assert load(content)["proxies"]["same"] == 1
    assert Proxy.objects.get().spec().password is None


def test_file_without_a_password_leaves_the_one_that_is_there(content: dict[str, Any]) -> None:
    load(content)
    del content["accounts"][0]["password"]

    assert load(content)["accounts"]["same"] == 2
    assert Account.objects.get(username="anna").spec().password == "one"


def test_old_file_does_not_put_an_old_state_over_a_newer_one(content: dict[str, Any]) -> None:
    load(content)
    anna = Account.objects.get(username="anna")
    newer = {"cookies": [{"name": "newer", "value": "1", "domain": "127.0.0.1", "path": "/"}], "origins": []}
    for _ in range(SessionState.KEEP + 1):
        SessionState.save_version(anna.pk, newer)

    load(content)

    assert anna.spec().storage_state == newer


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        (
            {
                "cookies": [{"name": "a", "value": "s3cret", "domain": "evil.test", "path": "/"}],
                "origins": [],
            },
            "accounts[1].storage_state: cookies[0].domain: 'evil.test' is none of the site's allowed hosts",
        ),
        (
            {"cookies": [], "origins": [{"origin": "https://evil.test", "localStorage": []}]},
            "accounts[1].storage_state: origins[0].origin: 'https://evil.test' is no origin of the site's",
        ),
        (
            {"cookies": [], "origins": [{"origin": "evil", "localStorage": []}]},
            "accounts[1].storage_state: origins[0].origin: not an http(s) origin",
        ),
    ],
)
def test_state_of_another_site_changes_nothing_and_has_its_place(
    content: dict[str, Any], state: dict[str, Any], fault: str
) -> None:
    content["accounts"][1]["storage_state"] = state

    with pytest.raises(InvalidInput) as caught:
        load(content)

    assert [text for text in caught.value.faults if text.startswith(fault)] == list(caught.value.faults)
    assert "s3cret" not in str(caught.value)
    assert not Account.objects.exists()


def test_unreadable_secrets_are_replaced_by_the_files(content: dict[str, Any]) -> None:
    load(content)
    AccountSecret.objects.update(password=b"gAAAAlost")
    ProxySecret.objects.update(credentials=b"gAAAAlost")

    report = load(content)

    assert report["accounts"]["changed"] == 2
    assert report["proxies"]["changed"] == 1
    assert Account.objects.get(username="anna").spec().password == "one"


def test_bad_reference_changes_nothing_and_every_fault_has_its_place(content: dict[str, Any]) -> None:
    content["accounts"][1]["site"] = "rel"
    content["tasks"][0]["playbook"] = "brwse"

    with pytest.raises(InvalidInput) as caught:
        load(content)

    assert caught.value.faults[0].startswith("accounts[1].site: no site 'rel'")
    assert any(fault.startswith("tasks[0].playbook: no playbook 'brwse'") for fault in caught.value.faults)
    assert not Site.objects.exists()
    assert not AuditEntry.objects.exists()


def test_names_of_earlier_files_may_be_referred_to(content: dict[str, Any]) -> None:
    load(content)

    report = load(
        {"tasks": [{"name": "evening", "playbook": "browse", "site": "reel", "accounts": ["anna", "bob"]}]}
    )

    assert report == {"tasks": {"created": 1, "changed": 0, "same": 0}}


def test_started_task_takes_new_pacing_and_nothing_else(content: dict[str, Any]) -> None:
    load(content)
    services.start(WarmupTask.objects.get(), by=None)
    content["tasks"][0]["concurrency"] = 9
    assert load(content)["tasks"]["changed"] == 1
    content["tasks"][0] |= {"seed": 8, "accounts": ["anna"]}
    content["playbooks"].append({"name": "other", "steps": [{"do": "back"}]})
    content["tasks"][0]["playbook"] = "other"

    with pytest.raises(InvalidInput, match="is QUEUED, so its seed, playbook, accounts cannot change"):
        load(content)

    task = WarmupTask.objects.get()
    assert (task.concurrency, task.seed, Playbook.objects.count()) == (9, 7, 1)


def test_task_of_all_accounts(content: dict[str, Any]) -> None:
    content["tasks"][0]["accounts"] = "all"
    load(content)
    task = WarmupTask.objects.get()
    assert task.selected_accounts().count() == 2
    content["tasks"][0]["accounts"] = ["anna"]

    assert load(content)["tasks"]["changed"] == 1
    assert [account.username for account in WarmupTask.objects.get().selected_accounts()] == ["anna"]


def test_thousands_of_accounts(content: dict[str, Any], django_assert_max_num_queries: Any) -> None:
    content["accounts"] = [
        {"site": "reel", "username": f"u{number}", "password": "x", "proxy": "office"}
        for number in range(2500)
    ]
    content["tasks"][0]["accounts"] = "all"

    with django_assert_max_num_queries(80):
        assert load(content)["accounts"]["created"] == 2500

    assert AccountSecret.objects.get(account__username="u2499").open() == "x"
