"""The three roles, as `migrate` leaves them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from tests.services import postgres_database
from warmup.roles import ADMIN, OPERATOR, VIEWER

ROOT = Path(__file__).resolve().parent.parent.parent
SHOW = (
    "import sys; from django.contrib.auth.models import Group;"
    "[print(g.name, p) for g in Group.objects.all() for p in sorted("
    "f'{p.content_type.app_label}.{p.codename}' for p in g.permissions.select_related('content_type'))]"
)


def allowed(name: str) -> set[str]:
    rows = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


def test_viewer_sees_and_does_nothing_else(db: None) -> None:
    viewer = allowed(VIEWER)

    assert {"core.view_account", "core.view_sessionstate", "warmup.view_warmuptask"} <= viewer
    assert {"warmup.view_auditentry", "django_q.view_ormq"} <= viewer
    assert all(name.partition(".")[2].startswith("view_") for name in viewer)
    assert not any(name.startswith(("auth.", "axes.", "admin.", "sessions.")) for name in viewer)


def test_operator_also_moves_tasks_and_runs(db: None) -> None:
    assert allowed(OPERATOR) - allowed(VIEWER) == {
        "warmup.add_warmuptask",
        "warmup.change_warmuptask",
        "warmup.change_warmupaccount",
        "warmup.add_warmupschedule",
        "warmup.change_warmupschedule",
    }
    assert allowed(VIEWER) <= allowed(OPERATOR)


def test_admin_does_the_rest_but_for_what_makes_a_superuser(db: None) -> None:
    admin = allowed(ADMIN)

    assert allowed(OPERATOR) <= admin
    assert {"core.use_account_secrets", "core.change_site", "warmup.delete_warmuptask"} <= admin
    assert {"auth.add_user", "auth.change_user", "axes.delete_accessattempt"} <= admin
    assert admin.isdisjoint({"auth.change_group", "auth.add_group", "auth.delete_group"})
    assert admin.isdisjoint({"auth.add_permission", "auth.change_permission", "auth.delete_permission"})
    assert admin.isdisjoint({"warmup.change_auditentry", "warmup.delete_auditentry"})
    assert admin.isdisjoint({"axes.delete_accesslog"})


def test_migrate_undoes_changes_and_keeps_members(db: None) -> None:
    viewer = Group.objects.get(name=VIEWER)
    before = allowed(VIEWER)
    viewer.permissions.set(Permission.objects.filter(codename="delete_site"))
    User.objects.create_user("anna").groups.add(viewer)
    own = Group.objects.create(name="Auditors")
    own.permissions.add(Permission.objects.get(codename="view_auditentry"))

    for _ in range(2):
        call_command("migrate", verbosity=0)

    assert allowed(VIEWER) == before
    assert viewer.user_set.count() == 1
    assert allowed("Auditors") == {"warmup.view_auditentry"}
    assert Group.objects.count() == 4


def manage(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with no table in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/fresh.sqlite3"
    else:
        with postgres_database() as url:
            yield url


def test_first_migrate_of_a_fresh_database_is_enough(fresh: str, db: None) -> None:
    manage(fresh, "migrate", "-v0")

    made = manage(fresh, "shell", "-v0", "-c", SHOW).splitlines()

    wanted = [
        f"{name} {codename}" for name in (ADMIN, OPERATOR, VIEWER) for codename in sorted(allowed(name))
    ]
    assert sorted(made) == sorted(wanted)
    # Of apps that are migrated later than ours, and of our own.
    assert {"Viewer django_q.view_ormq", "Admin axes.delete_accessattempt"} <= set(made)
    assert {"Operator warmup.change_warmuptask", "Admin core.use_account_secrets"} <= set(made)


def test_migrate_of_one_app_on_a_fresh_database_works(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fresh.sqlite3"

    manage(url, "migrate", "-v0", "core", "0001")
    manage(url, "migrate", "-v0")

    assert "Viewer core.view_site" in manage(url, "shell", "-v0", "-c", SHOW)
