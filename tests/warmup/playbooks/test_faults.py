from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from warmup.playbooks.faults import faults_of, place_of


@pytest.mark.parametrize(
    ("loc", "place", "expected"),
    [
        ((), "", ""),
        (("steps", 2, "seconds"), "", "steps[2].seconds"),
        ((0, "x"), "playbooks", "playbooks[0].x"),
        (("a b", "", "c.d"), "x", "x['a b']['']['c.d']"),
    ],
)
def test_place_of(loc: tuple[int | str, ...], place: str, expected: str) -> None:
    assert place_of(loc, place) == expected


def test_faults_of_a_kind_without_words_of_its_own_shows_no_value() -> None:
    class Folder(BaseModel):
        path: Path

    with pytest.raises(ValidationError) as caught:
        Folder.model_validate({"path": 5})

    assert faults_of(caught.value, Folder, place="", whole="folder") == ["path: is not valid"]
