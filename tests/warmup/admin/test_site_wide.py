"""What all pages share: the sidebar, the log-in, times, and that every model has a page."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from core.admin import duration, moment
from core.models import AccountSecret, ProxySecret
from tests import factories
from tests.warmup.admin.conftest import StaffClient
from warmup.admin.navigation import GROUPS
from warmup.models import PlaybookSecret

NOW = datetime(2030, 5, 6, 7, 8, 9, tzinfo=timezone.utc)  # noqa: UP017


def test_every_model_has_a_page_but_the_secrets() -> None:
    models = {*apps.get_app_config("core").get_models(), *apps.get_app_config("warmup").get_models()}

    without = {model for model in models if not admin.site.is_registered(model)}

    assert without == {AccountSecret, ProxySecret, PlaybookSecret}


def test_sidebar_leads_everywhere(boss: Client) -> None:
    page = boss.get(reverse("admin:index")).content.decode()

    for _title, items in GROUPS:
        for name, _icon, label in items:
            model = apps.get_model(label)
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            assert f'href="{url}"' in page, name
            assert boss.get(url).status_code == 200


def test_sidebar_shows_what_the_user_may_see(staff: StaffClient) -> None:
    page = staff("warmup.view_warmuptask").get(reverse("admin:index")).content.decode()

    assert reverse("admin:warmup_warmuptask_changelist") in page
    assert reverse("admin:core_account_changelist") not in page
    assert "Who and where" not in page


def test_log_in_leads_to_the_admin(client: Client, db: None) -> None:
    User.objects.create_superuser("boss", password="pw")

    response = client.post(reverse("admin:login"), {"username": "boss", "password": "pw"})

    assert response["Location"] == reverse("admin:index")


def test_home_leads_to_the_admin(client: Client) -> None:
    assert client.get("/")["Location"] == reverse("admin:index")


def test_pages_have_no_inline_scripts_or_styles_of_ours(boss: Client) -> None:
    run = factories.run_in("PARKED")
    ours = []
    for url in (
        reverse("admin:warmup_warmuptask_change", args=[run.task_id]),
        reverse("admin:warmup_warmupaccount_change", args=[run.pk]),
    ):
        page = boss.get(url).content.decode()
        ours.append(page[page.index('class="wu-page') : page.rindex("</section>")])

    for text in ours:
        assert "<script" not in text
        assert "style=" not in text
        assert " onclick=" not in text


def test_users_page_works(boss: Client) -> None:
    user = User.objects.get()

    assert boss.get(reverse("admin:auth_user_change", args=[user.pk])).status_code == 200
    assert boss.get(reverse("admin:auth_user_add")).status_code == 200
    assert boss.get(reverse("admin:auth_group_add")).status_code == 200


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(0), "0 s ago"),
        (timedelta(seconds=59.9), "59 s ago"),
        (timedelta(seconds=60), "1\xa0minute ago"),
        (timedelta(hours=3, minutes=20), "3\xa0hours ago"),
        (timedelta(seconds=-20), "in 20 s"),
        (timedelta(days=-2), "in 2\xa0days"),
    ],
)
def test_moment_is_relative_with_the_exact_time_on_hover(ago: timedelta, text: str) -> None:
    value = NOW - ago

    shown = moment(value, now=NOW)

    assert (
        shown == f'<time datetime="{value.isoformat()}" title="{value:%Y-%m-%d %H:%M:%S} UTC">{text}</time>'
    )


def test_moment_of_nothing_is_a_dash() -> None:
    assert moment(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-1.0, "0.0 s"),
        (0.44, "0.4 s"),
        (12.4, "12 s"),
        (59.7, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
