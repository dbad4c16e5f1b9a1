"""JSON and YAML texts as plain data, with what the usual readers let pass: duplicate keys, bombs.

No message shows anything of the text but keys: the rest may be secrets.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from core.errors import InvalidInput
from warmup.playbooks.faults import MAX_DEPTH, Loc, place_of

_YAML_CORE = "tag:yaml.org,2002:"
_YAML_SCALARS = frozenset(_YAML_CORE + name for name in ("str", "int", "float", "bool", "null"))
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
# What YAML does not allow; one regular expression for both of PyYAML's parsers, which differ.
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read_document(text: str, *, source: str = "") -> tuple[Any, list[str]]:
    """The data in `text`, and a fault for every key that an object holds twice (the last one counts).

    JSON when `source` ends in `.json`, YAML when it ends in `.yaml` or `.yml`; otherwise JSON when the
    text begins with a bracket. Raises `InvalidInput`, with line and column, for text that cannot be read.
    """
    text = text.removeprefix("\ufeff")
    name = source.lower()
    if name.endswith((".yaml", ".yml")):
        return _read_yaml(text, source)
    if name.endswith(".json") or text.lstrip()[:1] in {"{", "["}:
        return _read_json(text, source)
    return _read_yaml(text, source)


def _unreadable(source: str, what: str, line: int = 0, column: int = 0) -> InvalidInput:
    """The error for a text that is no document; `line` and `column` count from 1."""
    where = [source] if source else []
    if line:
        where.append(f"line {line}, column {column}")
    return InvalidInput([": ".join([", ".join(where), what] if where else [what])])


# ---- JSON -----------------------------------------------------------------------------------------


# The objects that hold a key twice, by their id. They are kept, as the id of a lost one is used again.
_Repeated = dict[int, tuple[object, list[str]]]


def _read_json(text: str, source: str) -> tuple[Any, list[str]]:
    repeated: _Repeated = {}

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated[id(result)] = (result, [key for key in result if counts[key] > 1])
        return result

    try:
        data = json.loads(text, object_pairs_hook=to_object)
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        raise _unreadable(source, f"not valid JSON: {problem}", error.lineno, error.colno) from None
    except RecursionError:
        raise _unreadable(source, "not valid JSON: nested too deeply") from None
    except ValueError:  # Python turns no more than 4,300 digits into a number
        raise _unreadable(source, "not valid JSON: a number is too long") from None
    return data, list(_json_duplicates(data, (), repeated)) if repeated else []


def _json_duplicates(data: object, loc: Loc, repeated: _Repeated) -> Iterator[str]:
    """A fault for each key that an object holds twice."""
    if len(loc) > MAX_DEPTH:
        return  # refused by whoever checks the data
    if isinstance(data, dict):
        for key in repeated.get(id(data), (None, []))[1]:
            yield _duplicate((*loc, key))
        children: Any = data.items()
    else:
        children = enumerate(data) if isinstance(data, list) else ()
    for key, child in children:
        yield from _json_duplicates(child, (*loc, key), repeated)


def _duplicate(loc: Loc) -> str:
    return f"{place_of(loc)}: duplicate key"


# ---- YAML -----------------------------------------------------------------------------------------

# libyaml's parser is about ten times as fast. Only its events are used: its composer recurses in C and
# ends the process on a deeply nested text.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Takes a date for the text that it is: JSON has no dates either."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag in _YAML_SCALARS]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Refused(Exception):
    """What YAML allows and a file of ours does not; `event` tells where."""

    def __init__(self, what: str, event: Any) -> None:
        super().__init__(what)
        self.event = event


def _read_yaml(text: str, source: str) -> tuple[Any, list[str]]:
    if found := _NOT_YAML.search(text):
        before = text[: found.start()]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _unreadable(source, "not valid YAML: a character that it does not allow", line, column)
    try:
        builder = _YamlBuilder(text)
        return builder.document(), builder.faults
    except _Refused as refused:
        mark = refused.event.start_mark
        raise _unreadable(source, f"not valid YAML: {refused}", mark.line + 1, mark.column + 1) from None
    except yaml.MarkedYAMLError as error:
        # The text in quotes may be part of a password that should itself stand in quotes.
        problem = _QUOTED.sub(
            lambda match: match[0] if len(match[0]) == 3 else "...", error.problem or "cannot be read"
        )
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _unreadable(source, f"not valid YAML: {problem}", line, column) from None


class _YamlBuilder:
    """Builds the data of one document out of the parser's events."""

    def __init__(self, text: str) -> None:
        self.faults: list[str] = []
        self._loader = _Loader(text)

    def document(self) -> Any:
        """The only document, or None where there is none."""
        self._loader.get_event()  # the start of the stream
        if isinstance(self._loader.get_event(), yaml.StreamEndEvent):
            return None
        data = self._value(self._loader.get_event(), ())
        self._loader.get_event()  # the end of the document
        event = self._loader.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Refused("more than one document", event)
        return data

    def _value(self, event: Any, loc: Loc) -> Any:
        if isinstance(event, yaml.AliasEvent):
            # A few aliases of aliases stand for more data than any memory holds.
            raise _Refused("aliases are not supported", event)
        if len(loc) > MAX_DEPTH:
            raise _Refused("nested too deeply", event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if event.tag is not None:
            raise _Refused("tags are not supported", event)
        return self._list(loc) if isinstance(event, yaml.SequenceStartEvent) else self._object(loc)

    def _list(self, loc: Loc) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*loc, len(items))))
        return items

    def _object(self, loc: Loc) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _Refused("a key must be text", event)
            key = self._scalar(event)
            inner = (*loc, key if isinstance(key, str) else str(key))
            if key in result:
                self.faults.append(_duplicate(inner))
            result[key] = self._value(self._loader.get_event(), inner)
        return result

    def _scalar(self, event: Any) -> Any:
        if event.tag is not None:
            raise _Refused("tags are not supported", event)
        tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == f"{_YAML_CORE}str":
            return event.value
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:  # `0x_`, or more digits than Python turns into a number
            raise _Refused("a number that cannot be read", event) from None
