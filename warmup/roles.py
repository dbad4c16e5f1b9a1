"""Who may do what: three roles, as groups that `migrate` brings up to date.

- Viewer sees everything about warm-ups, and changes nothing.
- Operator also makes tasks and schedules, and asks for every verb of tasks, runs and schedules.
- Admin does everything else: sites, proxies, accounts and their secrets, playbooks, deletion, users,
  locked log-ins. What stays with superusers: who is one, what a group may do, and permissions of single
  users.

Another mix is a group of its own: changes to these three are undone by the next `migrate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db.models import Q

VIEWER, OPERATOR, ADMIN = "Viewer", "Operator", "Admin"

# The apps whose permissions the roles are made of.
APPS = ("core", "warmup", "auth", "axes", "django_q")

SEEN = Q(content_type__app_label__in=["core", "warmup", "django_q"], codename__startswith="view_")
OPERATED = (
    "warmup.add_warmuptask",
    "warmup.change_warmuptask",
    "warmup.change_warmupaccount",
    "warmup.add_warmupschedule",
    "warmup.change_warmupschedule",
)
OWN = Q(content_type__app_label__in=["core", "warmup"]) & ~Q(content_type__model="auditentry")
PEOPLE = (
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.delete_user",
    "auth.view_group",
    "axes.view_accessattempt",
    "axes.delete_accessattempt",
    "axes.view_accesslog",
)


def _named(names: Iterable[str]) -> Q:
    """These permissions, each an app's label and a codename."""
    wanted = Q(pk__in=[])
    for name in names:
        app, codename = name.split(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    return wanted


ROLES = {
    VIEWER: SEEN,
    OPERATOR: SEEN | _named(OPERATED),
    ADMIN: SEEN | OWN | _named(PEOPLE),
}


def after_migrate(*, using: str, apps: Any = installed, **_: Any) -> None:
    """The `post_migrate` receiver: make the groups, and give them just what their roles may do."""
    try:
        groups, permissions = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:
        return  # the tables of people are still to come
    for label in APPS:
        # Django makes them too, app by app, but those of later apps only after this.
        create_permissions(installed.get_app_config(label), verbosity=0, using=using, apps=apps)
    for name, allowed in ROLES.items():
        group, _made = groups.objects.using(using).get_or_create(name=name)
        group.permissions.set(permissions.objects.using(using).filter(allowed))
