"""The texts of secret `type` steps: taken out of a playbook before it is saved, put back to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

# What stands in a saved playbook in the place of a secret text, and is no text to type.
HIDDEN = "[secret]"

Step = dict[str, Any]


def hide(definition: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The definition with HIDDEN for every secret text, and the texts by the place of their step."""
    texts: dict[str, Any] = {}

    def take(place: str, step: Step) -> Step:
        texts[place] = step["text"]
        return {**step, "text": HIDDEN}

    return _changed(definition, take), texts


def reveal(definition: Mapping[str, Any], texts: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with its secret texts; raises `KeyError` for one that is not among them."""
    return _changed(definition, lambda place, step: {**step, "text": texts[place]})


def missing(definition: Mapping[str, Any]) -> list[str]:
    """The places of secret steps whose text is HIDDEN: somebody saved again what a page had shown."""
    return [f"{place}.text" for place, step in _secret_steps(definition) if step["text"] == HIDDEN]


def words_of(definition: Mapping[str, Any]) -> list[str]:
    """Every secret text of a revealed definition, to be kept out of what is said about its run."""
    words: list[str] = []
    for _, step in _secret_steps(definition):
        text = step["text"]
        words += [text] if isinstance(text, str) else text["one_of"]
    return words


def _secret_steps(part: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Step]]:
    """The secret steps of a definition or of a `repeat`, with their places."""
    for index, step in enumerate(part["steps"]):
        here = f"{place}steps[{index}]"
        if step["do"] == "repeat":
            yield from _secret_steps(step, f"{here}.")
        elif step["do"] == "type" and step.get("secret"):
            yield here, step


def _changed(part: Mapping[str, Any], change: Callable[[str, Step], Step], place: str = "") -> dict[str, Any]:
    """A copy in which each secret step is `change(place, step)`."""
    steps = []
    for index, step in enumerate(part["steps"]):
        here = f"{place}steps[{index}]"
        if step["do"] == "repeat":
            step = _changed(step, change, f"{here}.")
        elif step["do"] == "type" and step.get("secret"):
            step = change(here, step)
        steps.append(step)
    return {**part, "steps": steps}
