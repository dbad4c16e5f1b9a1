"""Faults: one line for a person, with its place, out of what pydantic found and without its jargon."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from warmup.playbooks.text import UNCLEAN, did_you_mean, hint, plain, quoted, shown

Loc = tuple[int | str, ...]

# Tags of the unions that are told apart by the kind of their value, and what is wanted there. Pydantic
# puts a tag into the place of an error; `_cleaned` takes it out again. NUL keeps tags apart from keys.
NUMBER, WHOLE, TEXT, SELECTION = "\0number", "\0whole", "\0text", "\0selection"
RANGE, ONE_OF, LISTED = "\0range", "\0one_of", "\0list"
_WANTED = {
    NUMBER: 'a number or a range {"min", "max"}',
    WHOLE: 'a whole number or a range {"min", "max"}',
    TEXT: 'text or {"one_of": [...]}',
    SELECTION: '"all" or a list of usernames',
}
_TAGS = frozenset({*_WANTED, RANGE, ONE_OF, LISTED})

_WANTED_BY_TYPE = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
}

UNCLEAN_TEXT = "must not hold NUL or a lone surrogate"
UNCLEAN_KEY = "a key must be text without NUL or a lone surrogate"
MAX_DEPTH = 100
_SIMPLE_KEY = re.compile(r"\A[A-Za-z0-9_-]+\Z")


def fault(text: str) -> PydanticCustomError:
    """What a validator raises: `text` stands in the fault as it is."""
    return PydanticCustomError("fault", "{text}", {"text": text})


def place_of(loc: Iterable[int | str], place: str = "") -> str:
    """`("steps", 2, "seconds")` as `steps[2].seconds`, behind `place`."""
    for part in loc:
        if isinstance(part, int):
            place += f"[{part}]"
        elif _SIMPLE_KEY.match(part):
            place += f".{shown(part)}" if place else shown(part)
        else:
            place += f"[{quoted(part)}]"
    return place


def faults_of(error: ValidationError, model: type[BaseModel], *, place: str, whole: str) -> list[str]:
    """One line for each thing that `error` found in data for `model`; none shows a value.

    `place` is put before every place; `whole` is what the data is called where it has no place.
    """
    return [
        f"{place_of(loc, place) or whole}: {message}"
        for details in error.errors(include_url=False)
        for loc, message in [_read(details, model)]
    ]


def cleaned_keys(data: object, *, place: str, faults: list[str], depth: int = 0) -> Any:
    """A copy of `data` without the keys that are no clean text; each becomes one of `faults`.

    Pydantic gives up on a whole object for one such key, so they are taken out first; so is what is
    nested deeper than any recursion could follow.
    """
    if depth > MAX_DEPTH:
        faults.append(f"{place}: nested too deeply (at most {MAX_DEPTH} levels)")
        return None
    if isinstance(data, list):
        return [
            cleaned_keys(value, place=place_of([index], place), faults=faults, depth=depth + 1)
            for index, value in enumerate(data)
        ]
    if not isinstance(data, dict):
        return data
    copy: dict[str, Any] = {}
    for key, value in data.items():
        inner = place_of([str(key)], place)
        if isinstance(key, str) and not UNCLEAN.search(key):
            copy[key] = cleaned_keys(value, place=inner, faults=faults, depth=depth + 1)
        else:
            faults.append(f"{inner}: {UNCLEAN_KEY}")
    return copy


def _read(details: ErrorDetails, model: type[BaseModel]) -> tuple[Loc, str]:
    """Place and message of one error."""
    kind, loc = details["type"], details["loc"]
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return (*_cleaned(loc), "do"), _action_message(details)
    if kind == "extra_forbidden":
        unknown = str(loc[-1])
        return (*_cleaned(loc[:-1]), unknown), f"unknown key{hint(unknown, _fields_at(model, loc[:-1]))}"
    return _cleaned(loc), _message(details)


def _cleaned(loc: Loc) -> Loc:
    """`loc` without what names a branch of a union instead of a place."""
    parts: list[int | str] = []
    for index, part in enumerate(loc):
        is_action = index >= 2 and loc[index - 2] == "steps" and isinstance(loc[index - 1], int)
        is_key_mark = part == "[key]" and index == len(loc) - 1
        if part not in _TAGS and not is_action and not is_key_mark:
            parts.append(part)
    return tuple(parts)


def _action_message(details: ErrorDetails) -> str:
    """What is wrong with the `do` of a step."""
    if details["type"] == "union_tag_not_found":
        return "missing"
    name = details["input"]["do"]
    if not isinstance(name, str):
        return f"must be text, not {_kind(name)}"
    actions = sorted(re.findall(r"'(\w+)'", details["ctx"]["expected_tags"]))
    question = did_you_mean(name, actions)
    return (
        f"unknown action {quoted(name)} (one of: {', '.join(actions)}{f'; {question}' if question else ''})"
    )


def _message(details: ErrorDetails) -> str:
    """What is wrong, in plain words."""
    kind, last = details["type"], details["loc"][-1:]
    wanted = _WANTED.get(str(last[0])) if last else None
    wanted = wanted or _WANTED_BY_TYPE.get(kind)
    if kind in _WANTED_BY_TYPE:
        return f"must be {wanted}, not {_kind(details['input'])}{_quotes_needed(kind, details['input'])}"
    if kind == "literal_error":
        return _choice_message(details, wanted)
    template = _TEMPLATES.get(kind)
    return template(details.get("ctx", {})) if template else "is not valid"


def _choice_message(details: ErrorDetails, wanted: str | None) -> str:
    expected = details["ctx"]["expected"]
    name = details["input"]
    question = hint(name, re.findall(r"'(\w+)'", expected)) if isinstance(name, str) else ""
    return f"must be {wanted or expected}{question}"


_TEMPLATES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "missing",
    "fault": lambda context: str(context["text"]),
    "string_unicode": lambda _: UNCLEAN_TEXT,
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda context: f"must be at most {context['max_length']} characters long",
    "greater_than": lambda context: f"must be more than {plain(context['gt'])}",
    "greater_than_equal": lambda context: f"must be at least {plain(context['ge'])}",
    "less_than_equal": lambda context: f"must be at most {plain(context['le'])}",
    "finite_number": lambda _: "must be a finite number",
}


def _kind(value: object) -> str:
    """The kind of a JSON value, never the value: it may be a secret."""
    if value is None:
        return "null"
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return "something else"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a decimal number"),
    (str, "text"),
    (list, "a list"),
    (dict, "an object"),
)


def _quotes_needed(kind: str, value: object) -> str:
    """YAML reads `0123`, `no` and `1e5` as something else than text."""
    return " (put it in quotes)" if kind == "string_type" and isinstance(value, int | float) else ""


def _fields_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that an object at `loc` may have, in data for `model`."""
    candidates = [model]
    for part in loc:
        below = [
            found
            for candidate in candidates
            if part in candidate.model_fields
            for found in _models_in(candidate.model_fields[str(part)].annotation)
        ]
        chosen = [candidate for candidate in candidates if part in _actions_of(candidate)]
        candidates = below or chosen or candidates
    return [name for candidate in candidates for name in candidate.model_fields]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _actions_of(model: type[BaseModel]) -> tuple[object, ...]:
    """The `do` that a step model stands for."""
    field = model.model_fields.get("do")
    return get_args(field.annotation) if field else ()
