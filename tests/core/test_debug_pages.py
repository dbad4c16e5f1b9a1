"""Debug pages and error mails: names, and no values."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter, get_exception_reporter_filter

from core.debug_pages import NamesOnly


def report(request: HttpRequest | None) -> str:
    password = "c4nary-in-a-variable"
    try:
        raise ValueError(f"no {len(password)}")
    except ValueError:
        reporter = ExceptionReporter(request, *sys.exc_info())
    return reporter.get_traceback_html() + reporter.get_traceback_text()


@pytest.mark.parametrize("debug", [True, False])
def test_report_shows_no_variable_no_posted_field_and_no_address(settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    settings.Q_BROKER_URL = "redis://:c4nary-of-redis@127.0.0.1/0"
    settings.CACHES = {"default": {"BACKEND": "x", "LOCATION": "redis://:c4nary-of-redis@127.0.0.1/0"}}
    settings.DATABASES["default"]["PASSWORD"] = "c4nary-of-the-database"
    settings.FIELD_KEYS = ["c4nary-key"]
    request = RequestFactory().post(
        "/", {"anything": "c4nary-posted"}, DATABASE_URL="postgres://u:c4nary@h/n", FIELD_KEYS="c4nary-key"
    )
    request.COOKIES["sessionid"] = "c4nary-cookie"

    shown = report(request)

    assert "password" in shown
    assert "anything" in shown
    assert "no 20" in shown
    assert "c4nary" not in shown.replace('"c4nary-in-a-variable"', "").replace(
        "&quot;c4nary-in-a-variable&quot;", ""
    )  # the line of this test's source


def test_report_without_a_request_is_made() -> None:
    assert "no 20" in report(None)


def test_filter_is_the_one_that_django_takes() -> None:
    assert isinstance(get_exception_reporter_filter(RequestFactory().get("/")), NamesOnly)
