"""Sites: edited by the rules of the load file."""

from __future__ import annotations

import json
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from core.models import Site
from tests import factories
from tests.warmup.admin.conftest import StaffClient
from warmup.forms.fields import DocumentField

ADD = reverse("admin:core_site_add")
LIST = reverse("admin:core_site_changelist")

SITE: dict[str, object] = {
    "name": "Reel",
    "slug": "reel",
    "base_url": "http://127.0.0.1:8801",
    "allowed_hosts": ["127.0.0.1"],
    "allow_private_addresses": "on",
    "targets": {"feed": {"path": "/feed"}, "card": {"selector": ".card"}},
    "logged_in": {"path": "/feed", "selector": ".card"},
    "log_in": {"path": "/login", "username": "#u", "password": "#p", "submit": "#go"},
    "challenges": ["#challenge"],
    "concurrency": "8",
    "daily_limits": {"like": 20},
}


def posted(**changes: object) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in {**SITE, **changes}.items()
    }


def test_site_is_saved_with_its_documents(boss: Client) -> None:
    boss.post(ADD, posted(allowed_hosts=["127.0.0.1", "Example.COM"]))

    site = Site.objects.get()
    assert site.allowed_hosts == ["127.0.0.1", "example.com"]
    assert site.targets == SITE["targets"]
    assert (site.concurrency, site.daily_limits) == (8, {"like": 20})
    assert site.spec().log_in is not None


def test_documents_left_empty_are_none(boss: Client) -> None:
    boss.post(
        ADD, posted(targets="", logged_in="", log_in=" ", challenges="", daily_limits="", concurrency="")
    )

    site = Site.objects.get()
    assert (site.targets, site.logged_in, site.log_in) == ({}, None, None)
    assert (site.challenges, site.daily_limits, site.concurrency) == ([], {}, None)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("slug", "no spaces", "Enter a valid “slug”"),
        ("base_url", "ftp://host.test", "base_url: must be an absolute URL"),
        ("base_url", "http://me:pw1@127.0.0.1", "base_url: must not hold a username or password"),
        ("allowed_hosts", ["other.test"], "must include the host of base_url"),
        ("allowed_hosts", ["http://127.0.0.1"], "allowed_hosts[0]: must be a host name"),
        ("allowed_hosts", "127.0.0.1", "allowed_hosts: must be a list, not text"),
        ("targets", {"feed": {}}, "targets.feed: needs a path, a selector or both"),
        ("targets", {"feed": {"path": "feed"}}, "targets.feed.path: must begin with one /"),
        ("targets", '{"feed": ', "not valid JSON"),
        ("logged_in", {"path": "/feed"}, "logged_in.selector: missing"),
        ("log_in", {"path": "/l", "user": "#u"}, "log_in.user: unknown key"),
        ("challenges", "#c", "challenges: must be a list"),
        ("concurrency", "5000", "limits.concurrency: must be at most 1000"),
        ("daily_limits", {"like": -1}, "limits.daily.like: must be at least 0"),
    ],
)
def test_fault_stands_under_its_field_with_its_place(
    boss: Client, field: str, value: object, fault: str
) -> None:
    page = boss.post(ADD, posted(**{field: value})).content.decode().replace("&quot;", '"')

    rest = page[page.index(f'name="{field}"') :]
    following = re.search(rf'name="(?!{field}")\w+"', rest)
    assert fault in rest[: following.start() if following else None]
    assert not Site.objects.exists()


def test_saving_without_a_change_says_so(boss: Client) -> None:
    boss.post(ADD, posted())
    site = Site.objects.get()
    before = Site.objects.values().get()

    boss.post(reverse("admin:core_site_change", args=[site.pk]), posted())

    after = Site.objects.values().get()
    assert {**after, "updated_at": None} == {**before, "updated_at": None}
    assert LogEntry.objects.first().get_change_message() == "No fields changed."  # type: ignore[union-attr]


def test_page_shows_documents_as_text_to_edit(boss: Client) -> None:
    boss.post(ADD, posted())

    page = boss.get(reverse("admin:core_site_change", args=[Site.objects.get().pk])).content.decode()

    assert "&quot;path&quot;: &quot;/feed&quot;" in page


def test_list_counts_accounts(boss: Client) -> None:
    assert "No sites yet" in boss.get(LIST).content.decode()
    factories.AccountFactory.create_batch(2, site=factories.SiteFactory())

    assert ">2<" in boss.get(LIST).content.decode()


def test_viewer_changes_nothing(staff: StaffClient) -> None:
    site = factories.SiteFactory()
    viewer = staff("core.view_site")
    url = reverse("admin:core_site_change", args=[site.pk])

    assert viewer.get(url).status_code == 200
    assert viewer.post(url, posted()).status_code == 403
    assert viewer.post(ADD, posted(slug="other")).status_code == 403


@pytest.mark.parametrize(
    ("text", "changed"), [('{"a": 1}', False), ('{"a":  1}', False), ("{}", True), ("{", True)]
)
def test_document_has_changed_when_its_data_has(text: str, changed: bool) -> None:
    assert DocumentField().has_changed({"a": 1}, text) is changed
