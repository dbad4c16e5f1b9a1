"""Who did what, and what was refused: one row each, without a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from core.models import Site
from tests import factories
from warmup import audit, services
from warmup.models import AuditEntry

ADDRESS = "203.0.113.9"
SECRET = "s3cret phrase"


@pytest.fixture(autouse=True)
def static_root(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path


@pytest.fixture
def boss(db: None) -> Client:
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(User.objects.create_superuser("boss", password=SECRET))
    return client


def entries() -> list[tuple[str, ...]]:
    rows = AuditEntry.objects.order_by("pk").values_list("actor_name", "verb", "kind", "object", "address")
    return list(rows)


def test_verb_names_its_task_and_the_address(boss: Client) -> None:
    task = factories.make_task(3)

    boss.post(reverse("admin:warmup_warmuptask_verb", args=[task.pk, "start"]))

    entry = AuditEntry.objects.get()
    assert entry.actor_id == User.objects.get().pk
    assert (entry.verb, entry.count, entry.address) == ("start", 3, ADDRESS)
    assert (entry.kind, entry.object_key, entry.object) == ("warmup.warmuptask", str(task.pk), task.name)
    assert entry.task_key == task.pk


def test_verb_on_a_run_names_its_task(db: None) -> None:
    run = factories.run_in("PARKED")

    services.unpark(run, by=None)

    entry = AuditEntry.objects.get(verb="unpark")
    assert (entry.kind, entry.object_key) == ("warmup.warmupaccount", str(run.pk))
    assert (entry.task_key, entry.actor_name, entry.address) == (run.task_id, "command line", None)


def test_each_change_in_the_admin_is_one_row(boss: Client) -> None:
    site = factories.SiteFactory()
    account = factories.AccountFactory(site=site)
    url = reverse("admin:core_account_change", args=[account.pk])

    boss.post(url, {"username": "renamed", "enabled": "on", "password": SECRET})
    boss.post(reverse("admin:core_account_delete", args=[account.pk]), {"post": "yes"})
    boss.post(reverse("admin:core_account_add"), {"site": site.pk, "username": "new", "enabled": "on"})

    assert entries() == [
        ("boss", "change", "core.account", "renamed", ADDRESS),
        ("boss", "delete", "core.account", "renamed", ADDRESS),
        ("boss", "add", "core.account", "new", ADDRESS),
    ]
    assert AuditEntry.objects.order_by("pk")[0].reason == "Username, Password"


def test_each_of_many_deleted_rows_is_one_row(boss: Client) -> None:
    sites = factories.SiteFactory.create_batch(3)

    boss.post(
        reverse("admin:core_site_changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [site.pk for site in sites],
            "select_across": "0",
            "post": "yes",
        },
    )

    assert not Site.objects.exists()
    assert sorted(entry[3] for entry in entries()) == sorted(site.name for site in sites)
    assert {entry[1] for entry in entries()} == {"delete"}


def test_own_password_is_recorded(boss: Client) -> None:
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}

    boss.post(reverse("admin:password_change"), {"old_password": "wrong", **new})
    assert not AuditEntry.objects.exists()
    boss.post(reverse("admin:password_change"), {"old_password": SECRET, **new})

    assert entries() == [("boss", "change", "auth.user", "boss", ADDRESS)]


def test_change_that_fails_is_not_recorded(boss: Client) -> None:
    boss.post(reverse("admin:core_site_add"), {"name": "x"})

    assert not Site.objects.exists()
    assert not AuditEntry.objects.exists()


def test_refused_change_is_recorded(db: None) -> None:
    clerk = Client(REMOTE_ADDR=ADDRESS)
    clerk.force_login(User.objects.create_user("clerk", is_staff=True))
    task = factories.make_task(1)
    url = reverse("admin:warmup_warmuptask_verb", args=[task.pk, "start"])

    clerk.get(url)
    clerk.post(url)

    assert entries() == [("clerk", "refused", "", url, ADDRESS)]


def test_address_of_a_refusal_may_hold_anything(db: None) -> None:
    clerk = Client()
    clerk.force_login(User.objects.create_user("clerk", is_staff=True))

    clerk.post("/admin/core/site/%00%E2%80%AE" + "x" * 500 + "/delete/")

    (entry,) = entries()
    assert len(entry[3]) <= 200
    assert "\x00" not in entry[3]


def test_request_without_a_token_is_recorded_when_somebody_is_logged_in(db: None) -> None:
    person, stranger = Client(enforce_csrf_checks=True), Client(enforce_csrf_checks=True)
    person.force_login(User.objects.create_superuser("boss"))

    assert person.post(reverse("admin:core_site_add")).status_code == 403
    assert stranger.post(reverse("admin:core_site_add")).status_code == 403

    assert [entry[:2] for entry in entries()] == [("boss", "refused")]


def test_locked_log_ins_are_recorded_once_for_each_name_and_address(db: None) -> None:
    User.objects.create_user("anna", password=SECRET, is_staff=True)

    for address in (ADDRESS, "203.0.113.10"):
        visitor = Client(REMOTE_ADDR=address)
        for _ in range(20):
            visitor.post(reverse("admin:login"), {"username": "anna", "password": "pw"})

    assert entries() == [
        ("not logged in", "log-in refused", "", "anna", ADDRESS),
        ("not logged in", "log-in refused", "", "anna", "203.0.113.10"),
    ]


def test_nothing_that_is_recorded_holds_a_secret(boss: Client) -> None:
    site = factories.SiteFactory()
    boss.post(
        reverse("admin:core_account_add"),
        {"site": site.pk, "username": "anna", "enabled": "on", "password": SECRET},
    )
    server = {"name": "office", "server": "http://10.0.0.1:3128"}
    boss.post(reverse("admin:core_proxy_add"), {**server, "username": SECRET, "password": SECRET})
    secret = {"password1": f"{SECRET} 2", "password2": f"{SECRET} 2", "usable_password": "true"}
    boss.post(reverse("admin:auth_user_add"), {"username": "bob", **secret})
    bob = User.objects.get(username="bob")
    boss.post(reverse("admin:auth_user_password_change", args=[bob.pk]), secret)
    stranger = Client()
    for _ in range(7):  # somebody types the password into the field for the name
        stranger.post(reverse("admin:login"), {"username": SECRET, "password": SECRET})

    kept = [*AuditEntry.objects.values_list(), *LogEntry.objects.values_list()]

    assert len(AuditEntry.objects.exclude(verb="log-in refused")) == 4
    assert len(LogEntry.objects.all()) == 4
    assert AuditEntry.objects.get(verb="log-in refused").object.startswith("unknown-")
    assert "s3cret" not in str(kept)
    assert bob.password not in str(kept)


def test_text_is_cut_and_cleaned(db: None) -> None:
    audit.record(None, "load", "a\u202eb\x00" + "x" * 300, reason="y" * 600)

    entry = AuditEntry.objects.get()
    assert len(entry.object) == 200
    assert "\u202e" not in entry.object
    assert len(entry.reason) == 500
