"""People of several kinds, as Django clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client

StaffClient = Callable[..., Client]


def told(response: object) -> list[str]:
    """The messages that a response, or the page that it led to, has for the person."""
    return [str(message) for message in get_messages(response.wsgi_request)]  # type: ignore[attr-defined]


def choose(action: str, *rows: object, **more: str) -> dict[str, object]:
    """What a list posts when an action is run on these rows."""
    return {
        "action": action,
        "_selected_action": [row.pk for row in rows],  # type: ignore[attr-defined]
        "select_across": "0",
        "index": "0",
        **more,
    }


def confirmed(action: str, *rows: object, **more: str) -> dict[str, object]:
    """What the question after it posts."""
    posted = choose(action, *rows, confirmed="1", **more)
    del posted["index"]
    return posted


@pytest.fixture(autouse=True)
def static_root(tmp_path: Path, settings: Any) -> None:
    """WhiteNoise warns of one that is not there."""
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def staff(db: None) -> StaffClient:
    """Makes a staff member with just these permissions: `staff("warmup.view_warmuptask")`."""

    def make(*permissions: str, csrf: bool = False) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
        for name in permissions:
            app, codename = name.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(user)
        return client

    return make
