"""Secret texts: out of the definition that is saved, back in the one that is run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidInput, SecretUnreadable
from tests import factories
from warmup import store
from warmup.models import Playbook, PlaybookSecret
from warmup.playbooks import secret_texts
from warmup.playbooks.expand import expand
from warmup.playbooks.schema import PlaybookSpec, parse_playbook

SECRET = {"do": "type", "target": "card", "text": "tr3asure", "secret": True}
CHOICE = {"do": "type", "target": "card", "text": {"one_of": ["g0ld", "s1lver"]}, "secret": True}
OPEN = {"do": "type", "target": "card", "text": "plain"}
NESTED = {"do": "repeat", "times": 2, "steps": [OPEN, {"do": "repeat", "times": 2, "steps": [CHOICE]}]}


def spec(*steps: dict[str, Any]) -> PlaybookSpec:
    return parse_playbook({"name": "browse", "steps": list(steps)})


def test_hidden_definition_has_no_secret_text_and_reveals_to_what_it_was() -> None:
    whole = spec(OPEN, SECRET, NESTED).definition()

    hidden, texts = secret_texts.hide(whole)

    assert "plain" in json.dumps(hidden)
    assert not any(word in json.dumps(hidden) for word in ("tr3asure", "g0ld", "s1lver"))
    assert texts == {"steps[1]": "tr3asure", "steps[2].steps[1].steps[0]": {"one_of": ["g0ld", "s1lver"]}}
    assert secret_texts.reveal(hidden, texts) == whole
    assert secret_texts.words_of(whole) == ["tr3asure", "g0ld", "s1lver"]


def test_hidden_definition_makes_the_same_plan() -> None:
    whole = spec(SECRET, NESTED, {"do": "scroll", "pixels": {"min": 1, "max": 900}})
    hidden = parse_playbook(secret_texts.hide(whole.definition())[0])

    for seed in range(20):
        shown = [(step.label, step.place, step.dwell_seconds) for step in expand(hidden, seed)]
        assert shown == [(step.label, step.place, step.dwell_seconds) for step in expand(whole, seed)]


@pytest.mark.django_db
def test_saved_playbook_is_run_with_its_secret_texts() -> None:
    task = factories.started_task(1, playbook=Playbook.save_version(spec(SECRET, NESTED))[0])

    (run,) = store.claim(task.pk, 1, "worker:1:1")

    assert run.playbook == spec(SECRET, NESTED).definition()
    assert "tr3asure" not in repr(run)
    assert b"tr3asure" not in bytes(PlaybookSecret.objects.get().texts)
    assert "tr3asure" not in json.dumps(task.playbook.definition)


@pytest.mark.django_db
def test_same_playbook_is_no_new_version_and_another_secret_text_is_one() -> None:
    first, _ = Playbook.save_version(spec(SECRET))

    assert Playbook.save_version(spec(SECRET)) == (first, False)
    second, is_new = Playbook.save_version(spec({**SECRET, "text": "0ther"}))

    assert (second.version, is_new) == (2, True)
    assert second.definition == first.definition
    assert Playbook.save_version(spec(OPEN))[0].version == 3
    assert PlaybookSecret.objects.count() == 2


@pytest.mark.django_db
def test_text_that_stands_for_a_secret_one_is_not_saved() -> None:
    saved, _ = Playbook.save_version(spec(SECRET))

    with pytest.raises(InvalidInput, match=r"playbook 'browse': steps\[0\]\.text: '\[secret\]' stands for"):
        Playbook.save_version(saved.spec())

    assert Playbook.save_version(spec({**OPEN, "text": "[secret]"}))[1]  # an ordinary text


@pytest.mark.django_db
def test_secret_texts_that_are_lost_fail_the_run_with_the_reason(settings: Any) -> None:
    task = factories.started_task(2, playbook=Playbook.save_version(spec(SECRET))[0])
    PlaybookSecret.objects.all().delete()

    assert store.claim(task.pk, 2, "worker:1:1") == []

    task.refresh_from_db()
    assert task.status == "FAILED"
    assert {run.reason for run in task.runs.all()} == {
        "playbook browse v1: a secret text of it is lost: enter it again"
    }


@pytest.mark.django_db
def test_secret_texts_of_another_playbook_do_not_open(settings: Any) -> None:
    one, _ = Playbook.save_version(spec(SECRET))
    other, _ = Playbook.save_version(parse_playbook({"name": "other", "steps": [SECRET]}))
    PlaybookSecret.objects.filter(playbook=one).update(texts=other.secret.texts)
    one.refresh_from_db()

    with pytest.raises(SecretUnreadable, match="sealed for another place"):
        one.revealed()
    assert Playbook.save_version(spec(SECRET))[1]  # entered again, it is a new version
