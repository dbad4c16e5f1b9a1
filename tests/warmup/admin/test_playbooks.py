"""Playbooks: a new version through the schema, and versions that nobody changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.warmup.admin.conftest import StaffClient, told
from warmup.admin.steps import ReadableStep, readable
from warmup.models import Playbook
from warmup.playbooks.schema import PlaybookSpec

LIST = reverse("admin:warmup_playbook_changelist")
ADD = reverse("admin:warmup_playbook_add")


def change(playbook: Playbook) -> str:
    return reverse("admin:warmup_playbook_change", args=[playbook.pk])


def posted(steps: object = factories.STEPS, name: str = "browse") -> dict[str, str]:
    return {"name": name, "steps": steps if isinstance(steps, str) else json.dumps(steps)}


def test_add_saves_the_first_version(boss: Client) -> None:
    response = boss.post(ADD, posted(), follow=True)

    playbook = Playbook.objects.get()
    assert (playbook.name, playbook.version) == ("browse", 1)
    assert response.redirect_chain == [(change(playbook), 302)]
    assert told(response) == ["Saved as browse v1. Tasks that were made before keep their version."]


def test_add_under_a_known_name_saves_the_next_version(boss: Client) -> None:
    factories.make_playbook("browse")

    boss.post(ADD, posted([{"do": "open", "target": "feed"}]))

    assert list(Playbook.objects.order_by("version").values_list("version", flat=True)) == [1, 2]


def test_add_of_what_is_there_already_saves_nothing(boss: Client) -> None:
    known = factories.make_playbook("browse")

    response = boss.post(ADD, posted(), follow=True)

    assert Playbook.objects.get() == known
    assert told(response) == ["browse v1 says the same already: nothing new was saved."]
    assert not LogEntry.objects.exists()


def test_add_takes_yaml(boss: Client) -> None:
    boss.post(ADD, posted("- do: open\n  target: feed\n- do: scroll\n  pixels: 900\n"))

    assert [step["do"] for step in Playbook.objects.get().definition["steps"]] == ["open", "scroll"]


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([{"do": "watch", "seconds": {"min": 9, "max": 4}}], "steps[0].seconds: min 9 is greater than max 4"),
        ([{"do": "open", "target": "feed", "tagret": 1}], "steps[0].tagret: unknown key"),
        ([{"do": "scrol", "pixels": 1}], "steps[0].do: unknown action &#x27;scrol&#x27;"),
        ([], "steps: must not be empty"),
        ({"do": "open"}, "steps: must be a list"),
        ('[{"do": "open"', "not valid JSON"),
        ('[{"do": "back", "do": "back"}]', "duplicate key"),
        ("", "This field is required."),
    ],
)
def test_add_shows_faults_under_the_field_with_their_place(boss: Client, steps: object, fault: str) -> None:
    page = boss.post(ADD, posted(steps)).content.decode()

    field = page[page.index('name="steps"') :]
    assert fault in field
    assert not Playbook.objects.exists()


def test_add_shows_what_is_wrong_with_the_name_under_the_name(boss: Client) -> None:
    page = boss.post(ADD, posted(name="a\u2028b")).content.decode()

    field = page[page.index('name="name"') : page.index('name="steps"')]
    assert "name: must be one line without control characters" in field


@pytest.mark.parametrize("failures", [1, 2])
def test_add_that_loses_a_race_takes_the_next_version(
    boss: Client, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    save, calls = Playbook.save_version, []

    def contended(spec: PlaybookSpec) -> tuple[Playbook, bool]:
        calls.append(spec)
        if len(calls) <= failures:
            raise IntegrityError
        return save(spec)

    monkeypatch.setattr(Playbook, "save_version", contended)

    boss.post(ADD, posted())

    assert Playbook.objects.get().version == 1


def test_add_that_always_loses_fails(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def contended(spec: PlaybookSpec) -> tuple[Playbook, bool]:
        raise IntegrityError

    monkeypatch.setattr(Playbook, "save_version", contended)

    with pytest.raises(IntegrityError):
        boss.post(ADD, posted())


def test_new_version_begins_with_the_old_one(boss: Client) -> None:
    playbook = factories.make_playbook("browse", [{"do": "open", "target": "feed"}])
    assert f"{ADD}?from={playbook.pk}" in boss.get(change(playbook)).content.decode()

    page = boss.get(f"{ADD}?from={playbook.pk}").content.decode()

    assert 'value="browse"' in page
    assert "&quot;target&quot;: &quot;feed&quot;" in page


@pytest.mark.parametrize("source", ["", "x", "4711", "9" * 30])
def test_new_version_of_nonsense_begins_empty(boss: Client, source: str) -> None:
    assert boss.get(ADD, {"from": source}).status_code == 200


def test_page_shows_steps_in_words_and_as_stored(boss: Client) -> None:
    playbook = factories.make_playbook("browse", [{"do": "pause", "seconds": {"min": 1, "max": 4}}])

    page = boss.get(change(playbook)).content.decode()

    assert "1 to 4 s" in page
    assert "&quot;do&quot;: &quot;pause&quot;" in page


def test_version_is_never_changed(boss: Client) -> None:
    playbook = factories.make_playbook()

    assert boss.post(change(playbook), posted([{"do": "back"}])).status_code == 403


def test_viewer_may_not_add(staff: StaffClient) -> None:
    playbook = factories.make_playbook()
    viewer = staff("warmup.view_playbook")

    assert viewer.post(ADD, posted([{"do": "back"}])).status_code == 403
    assert ADD not in viewer.get(change(playbook)).content.decode()
    assert Playbook.objects.count() == 1


def test_list_shows_versions_and_its_empty_state(boss: Client) -> None:
    assert "No playbooks yet" in boss.get(LIST).content.decode()
    factories.make_playbook("<b>bold</b>")

    page = boss.get(LIST).content.decode()

    assert "&lt;b&gt;bold&lt;/b&gt;" in page


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"do": "open", "target": "feed"}, ("open", "feed", "")),
        ({"do": "scroll", "pixels": {"min": -900, "max": -300}}, ("scroll", "-900 to -300 px", "")),
        ({"do": "watch", "seconds": 2.5}, ("watch", "2.5 s", "")),
        (
            {"do": "search", "target": "search", "box": "q", "text": {"one_of": ["tea", "coffee"]}},
            ("search", "search, “tea” or “coffee”", "box: q"),
        ),
        ({"do": "type", "target": "q", "text": "<b>"}, ("type", "q, “<b>”", "")),
        (
            {"do": "click", "target": "like", "nth": 2, "done": ".liked", "timeout_seconds": 5},
            ("click", "like", "nth: 2, done: .liked, timeout: 5 s"),
        ),
        ({"do": "visit", "target": "card", "pick": "random"}, ("visit", "card", "pick: random")),
        ({"do": "back"}, ("back", "", "")),
    ],
)
def test_step_in_words(step: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert readable([step]) == (ReadableStep(*expected),)


def test_repeat_has_its_steps_below_it() -> None:
    (step,) = readable([{"do": "repeat", "times": 3, "steps": [{"do": "back"}]}])

    assert (step.do, step.main) == ("repeat", "3 x")
    assert [inner.do for inner in step.steps] == ["back"]


def test_secret_text_is_on_no_page_and_is_wanted_again_for_the_next_version(boss: Client) -> None:
    step = {"do": "type", "target": "box", "text": "tr3asure", "secret": True}
    boss.post(ADD, posted(steps=json.dumps([step])))
    playbook = Playbook.objects.get()

    change = boss.get(reverse("admin:warmup_playbook_change", args=[playbook.pk])).content.decode()
    again = boss.get(f"{ADD}?from={playbook.pk}").content.decode()
    response = boss.post(ADD, posted(steps=json.dumps(playbook.definition["steps"])))

    for page in (change, again):
        assert "tr3asure" not in page
        assert "[secret]" in page
    assert "stands for a secret text, which is not shown: enter the text again" in response.content.decode()
    assert Playbook.objects.count() == 1
