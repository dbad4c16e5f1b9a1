"""core.browser.journal: events are kept, secrets are not."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest

from core.browser.journal import ERROR_CHARACTERS, EVENT_CHARACTERS, EVENTS_KEPT, Journal

SECRET = 'pa ss/"wörd"&x'


@pytest.mark.parametrize(
    "form", [SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), json.dumps({"p": SECRET})]
)
def test_a_secret_is_hidden_in_every_form(form: str) -> None:
    journal = Journal()
    journal.hide(SECRET)

    journal.record("console", f"before {form} after")

    text = journal.events[0].text
    assert "[hidden]" in text
    assert "rd" not in text
    assert text.startswith("before ")
    assert journal.one_line(form).count("[hidden]") == 1


def test_a_secret_is_hidden_before_the_text_is_cut() -> None:
    journal = Journal()
    journal.hide("swordfish")

    line = journal.one_line("x" * (ERROR_CHARACTERS - 4) + "swordfish")

    assert "swo" not in line


def test_a_secret_within_another_leaves_nothing_of_either() -> None:
    journal = Journal()
    journal.hide("fish")
    journal.hide("swordfish")

    assert journal.one_line("swordfish") == "[hidden]"


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_secret_hides_nothing(nothing: str | None) -> None:
    journal = Journal()
    journal.hide(nothing)

    assert journal.one_line("text") == "text"


def test_the_last_events_are_kept_short_and_in_order() -> None:
    journal = Journal()
    for number in range(EVENTS_KEPT + 5):
        journal.record("console", f"{number} " + "x" * 1000)

    assert len(journal.events) == EVENTS_KEPT
    assert journal.events[0].text.startswith("5 ")
    assert {len(event.text) for event in journal.events} == {EVENT_CHARACTERS}
