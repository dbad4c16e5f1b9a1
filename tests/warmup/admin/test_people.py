"""Users, groups and log-ins; and what only those may do who may use the secrets of accounts."""

from __future__ import annotations

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from core.models import Account, AccountSecret, Proxy, ProxySecret
from tests import factories
from tests.warmup.admin.conftest import StaffClient, confirmed
from warmup.models import Artifact, AuditEntry
from warmup.roles import ADMIN

PASSWORD = "correct horse battery"


@pytest.fixture
def admin(db: None) -> Client:
    """Somebody with the role Admin, and no superuser."""
    user = User.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name=ADMIN))
    client = Client()
    client.force_login(user)
    return client


def change(row: Account | Proxy | User | Group) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def form_of(user: User, **more: object) -> dict[str, object]:
    joined = {"date_joined_0": "2030-01-01", "date_joined_1": "00:00:00"}
    return {"username": user.username, "is_active": "on", **joined, **more}


# ---- users ------------------------------------------------------------------------------------------


def test_admin_makes_nobody_a_superuser(admin: Client) -> None:
    for user in (User.objects.create_user("bob"), User.objects.get(username="ada")):
        every = list(Permission.objects.values_list("pk", flat=True))

        response = admin.post(
            change(user), form_of(user, is_staff="on", is_superuser="on", user_permissions=every)
        )

        assert response.status_code == 302
        user.refresh_from_db()
        assert (user.is_staff, user.is_superuser) == (True, False)
        assert not user.user_permissions.exists()


def test_admin_cannot_touch_a_superuser(admin: Client) -> None:
    boss = User.objects.create_superuser("boss", password=PASSWORD)
    new = {"password1": "another horse battery", "password2": "another horse battery"}

    answers = [
        admin.post(change(boss), form_of(boss, username="mine")),
        admin.post(reverse("admin:auth_user_password_change", args=[boss.pk]), new),
        admin.post(reverse("admin:auth_user_delete", args=[boss.pk]), {"post": "yes"}),
    ]
    admin.post(reverse("admin:auth_user_changelist"), confirmed("delete_selected", boss, post="yes"))

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    boss.refresh_from_db()
    assert boss.username == "boss"
    assert boss.check_password(PASSWORD)


def test_admin_gives_roles(admin: Client) -> None:
    bob, role = User.objects.create_user("bob"), Group.objects.get(name="Operator")

    admin.post(change(bob), form_of(bob, is_staff="on", groups=[role.pk]))

    assert bob.groups.get() == role
    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.verb, entry.kind, entry.object) == ("ada", "change", "auth.user", "bob")
    assert "now: groups Operator; is_active, is_staff" in entry.reason


def test_admin_cannot_change_what_a_role_may_do(admin: Client) -> None:
    role = Group.objects.get(name="Viewer")
    before = set(role.permissions.all())

    response = admin.post(change(role), {"name": "Viewer", "permissions": []})

    assert response.status_code == 403
    assert set(role.permissions.all()) == before


@pytest.mark.parametrize(("password", "fault"), [("short1!", "12 characters"), ("123456789012", "numeric")])
def test_weak_password_is_refused(admin: Client, password: str, fault: str) -> None:
    typed = {"username": "bob", "password1": password, "password2": password, "usable_password": "true"}

    page = admin.post(reverse("admin:auth_user_add"), typed).content.decode()

    assert fault in page
    assert not User.objects.filter(username="bob").exists()


def test_users_page_shows_no_hash(admin: Client) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD)

    assert bob.password not in admin.get(change(bob)).content.decode()


# ---- log-ins that are locked ------------------------------------------------------------------------


def test_admin_unlocks_by_deleting_the_failures(admin: Client) -> None:
    anna = User.objects.create_user("anna", password=PASSWORD, is_staff=True)
    visitor = Client(REMOTE_ADDR="192.0.2.7")
    for number in range(6):
        last = visitor.post(
            reverse("admin:login"), {"username": "anna", "password": f"guess number {number}"}
        )
    assert last.status_code == 429

    failures = list(AccessAttempt.objects.filter(username=anna.username))
    admin.post(
        reverse("admin:axes_accessattempt_changelist"),
        confirmed("delete_selected", *failures, post="yes"),
    )

    good = {"username": "anna", "password": PASSWORD}
    assert visitor.post(reverse("admin:login"), good).status_code == 302
    assert AuditEntry.objects.get(verb="unlock").object == "anna from 192.0.2.7"


# ---- what may hold secrets --------------------------------------------------------------------------


def test_password_is_not_replaced_without_the_permission(staff: StaffClient) -> None:
    account = factories.AccountFactory(password="old")
    clerk = staff("core.view_account", "core.change_account")

    page = clerk.get(change(account)).content.decode()
    typed = {"username": "renamed", "enabled": "on", "password": "new", "forget": "on"}
    response = clerk.post(change(account), typed)

    assert response.status_code == 302
    assert 'name="password"' not in page
    account.refresh_from_db()
    assert account.username == "renamed"
    assert account.spec().password == "old"


def test_password_is_not_set_without_the_permission(staff: StaffClient) -> None:
    typed = {"site": factories.SiteFactory().pk, "username": "anna", "enabled": "on", "password": "new"}

    staff("core.add_account").post(reverse("admin:core_account_add"), typed)

    assert Account.objects.get().username == "anna"
    assert not AccountSecret.objects.exists()


def test_password_is_replaced_with_the_permission(staff: StaffClient) -> None:
    account = factories.AccountFactory(password="old")

    staff("core.change_account", "core.use_account_secrets").post(
        change(account), {"username": account.username, "enabled": "on", "password": "new"}
    )

    assert Account.objects.get().spec().password == "new"


def test_proxy_credentials_are_not_replaced_without_the_permission(staff: StaffClient) -> None:
    proxy = Proxy.objects.create(name="office", server="http://10.0.0.1:3128")
    typed = {"name": "home", "server": proxy.server, "username": "me", "password": "pw"}

    staff("core.change_proxy").post(change(proxy), typed)

    assert Proxy.objects.get().name == "home"
    assert not ProxySecret.objects.exists()


@pytest.mark.parametrize(
    ("kind", "permissions", "seen"),
    [
        ("screenshot", ["warmup.view_artifact"], True),
        ("html", ["warmup.view_artifact"], False),
        ("trace", ["warmup.view_artifact"], False),  # a kind that nobody has thought of yet
        ("html", ["warmup.view_artifact", "core.use_account_secrets"], True),
        ("html", ["core.use_account_secrets"], False),
    ],
)
def test_artifact_that_may_hold_secrets_needs_the_permission(
    staff: StaffClient, kind: str, permissions: list[str], seen: bool
) -> None:
    run = factories.run_in("FAILED")
    artifact = Artifact.objects.create(run=run, attempt=1, step=0, kind=kind, name="end", size_bytes=1)
    url = reverse("admin:warmup_artifact_file", args=[artifact.pk])
    visitor = staff("warmup.view_warmupaccount", *permissions)

    status = visitor.get(url).status_code
    run_page = visitor.get(reverse("admin:warmup_warmupaccount_change", args=[run.pk])).content.decode()
    listed = visitor.get(reverse("admin:warmup_artifact_changelist")).content.decode()

    assert status == (410 if seen else 403)  # there is no file
    if kind != "trace" and "warmup.view_artifact" in permissions:
        assert (url in run_page) == seen
    assert (url in listed) == seen
