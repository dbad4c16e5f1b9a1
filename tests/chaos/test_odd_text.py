"""Text that no database, terminal or log likes: it is taken clean, or refused by name."""

from __future__ import annotations

import random

import pytest

from tests.chaos.checker import check
from tests.chaos.harness import Json, chaos_system, names
from tests.chaos.results import scenario
from tests.chaos.sizes import DATABASE, TIME_LIMIT, pick
from tests.chaos.verbs import Verbs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIME_LIMIT)]

ODD = ["\ud83d", "\udc00", "\x00", "\u202e", "\u200f", "\u2066", "\U0001f600", "\U0001f1fa\U0001f1e6"]
ODD += ["\ufeff", "\u200b", "\x1b[31m", "\r\n", "\ufffe", "e\u0301", "=1+1", "a", "b", " "]


def test_odd_names_are_taken_or_refused_but_never_crash() -> None:
    strings, batch = pick(200, 10_000), 50
    with scenario("odd-names") as running, chaos_system(DATABASE) as system:
        content = system.load(names(1))
        refused = 0
        for first in range(0, strings, batch):
            texts = [_text(running.dice) for _ in range(batch)]
            for text in texts if first == 0 else texts[:1]:
                # One by one: what is refused must not hide what is taken.
                refused += _load(system.verbs, _content(content, [text]))
            refused += _load(system.verbs, _content(content, texts))

        stored = system.database.rows("SELECT username AS text FROM core_account")
        stored += system.database.rows("SELECT name AS text FROM warmup_warmuptask")
        running.counts = {"strings": strings}
        running.figures = {"load files refused": refused, "names stored": len(stored)}
        for row in stored:
            assert "\x00" not in row["text"]
            row["text"].encode()


def test_odd_text_on_pages_and_in_searches_changes_no_result() -> None:
    accounts = pick(2, 20)
    with (
        scenario("odd-pages") as running,
        chaos_system(DATABASE, accounts=accounts, clusters=1) as system,
    ):
        content = system.load(names(accounts))
        content["sites"][0]["targets"] |= {
            "odd": {"path": "/hostile/text"},
            "odd_text": {"selector": "#odd"},
        }
        steps = content["playbooks"][0]["steps"]
        steps[:0] = [{"do": "open", "target": "odd"}, {"do": "expect", "target": "odd_text"}]
        search = next(step for step in steps if step["do"] == "search")
        search["text"] = {"one_of": ["\U0001f600 tea", "\u202eeert tea", "te\u0301a \u200f tea"]}
        system.verbs("load", content=content)
        system.start_clusters()
        system.verbs("start", task="morning")
        system.wait_ended(seconds=90)

        running.counts = {"accounts": accounts}
        running.add(check(system, expected_failures=()))
        assert system.counts() == {"COMPLETED": accounts}


def _text(dice: random.Random) -> str:
    return "".join(dice.choice(ODD) for _ in range(dice.randrange(1, 12)))


def _content(content: Json, texts: list[str]) -> Json:
    accounts = [content["accounts"][0] | {"username": text, "password": text} for text in texts]
    task = content["tasks"][0]
    tasks = [task | {"name": text, "accounts": [text]} for text in texts]
    return {**content, "accounts": accounts, "tasks": tasks}


def _load(verbs: Verbs, content: Json) -> bool:
    """Whether it was refused, with the reasons; anything else that goes wrong is raised."""
    try:
        verbs("load", content=content)
    except RuntimeError as error:
        if not str(error).startswith("InvalidInput"):
            raise
        return True
    return False
