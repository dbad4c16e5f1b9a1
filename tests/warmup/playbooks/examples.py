"""Playbooks to test with: one that uses everything, and a strategy for any other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

EVERY_ACTION: list[dict[str, Any]] = [
    {"do": "open", "target": "feed"},
    {"do": "scroll", "pixels": {"min": -900, "max": -300}},
    {"do": "watch", "seconds": {"min": 1, "max": 4}},
    {"do": "click", "target": "like", "nth": 2, "counts_as": "like", "done": ".liked"},
    {"do": "type", "target": "box", "text": "hello"},
    {
        "do": "search",
        "target": "search",
        "box": "box",
        "text": {"one_of": ["tea", "coffee"]},
        "results": "results",
    },
    {"do": "visit", "target": "card", "pick": "random"},
    {"do": "back"},
    {"do": "pause", "seconds": 0.5},
    {"do": "expect", "target": "card", "timeout_seconds": 5},
    {"do": "screenshot", "name": "end"},
    {"do": "repeat", "times": 2, "steps": [{"do": "back", "effect": "ask"}]},
]


def playbook(*steps: object, **more: object) -> dict[str, Any]:
    """A playbook with these steps."""
    return {"name": "browse", "steps": list(steps), **more}


def _ranges(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.tuples(numbers, numbers).map(sorted)
    return numbers | pairs.map(lambda pair: {"min": pair[0], "max": pair[1]})


_names = st.text("abcxyz_-", min_size=1, max_size=10)
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_text_choices = _texts | st.lists(_texts, min_size=1, max_size=4).map(lambda texts: {"one_of": texts})
_seconds = _ranges(st.floats(0, 120, allow_nan=False))
_pixels = _ranges(st.integers(1, 100_000)) | _ranges(st.integers(-100_000, -1))
_common = {
    "effect": st.sampled_from(["repeatable", "once", "ask"]),
    "done": st.just(".done"),
    "counts_as": _names,
    "timeout_seconds": st.floats(0.5, 120),
}


def _step(do: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"do": st.just(do), **fields}, optional=_common)


_steps = st.one_of(
    _step("open", target=_names),
    _step("scroll", pixels=_pixels),
    _step("watch", seconds=_seconds),
    _step("pause", seconds=_seconds),
    _step("click", target=_names, nth=st.integers(0, 1000)),
    _step("type", target=_names, text=_text_choices, secret=st.booleans()),
    _step("search", target=_names, box=_names, text=_text_choices, results=_names),
    _step("visit", target=_names, pick=st.sampled_from(["first", "random"])),
    _step("back"),
    _step("expect", target=_names),
    _step("screenshot", name=_names),
)


def _repeated(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {
            "do": st.just("repeat"),
            "times": _ranges(st.integers(1, 3)),
            "steps": st.lists(steps, min_size=1, max_size=3),
        }
    )


_nested = _steps | _repeated(_steps | _repeated(_steps))

# Valid playbooks, well within every bound on size.
playbooks = st.fixed_dictionaries({"name": _names, "steps": st.lists(_nested, min_size=1, max_size=5)})

# Any JSON value, with the keys that playbooks and load files know among its keys.
_keys = st.sampled_from(
    [
        *("name", "steps", "do", "times", "min", "max", "seconds", "pixels", "target", "text", "one_of"),
        *("sites", "accounts", "playbooks", "tasks", "storage_state", "cookies", "origins", "targets"),
    ]
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["repeat", "scroll"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_keys | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=25,
)
