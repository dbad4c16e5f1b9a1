"""core.browser.state: checking, dividing and fitting saved states, without a browser."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.browser.state import divide, fit
from core.errors import StateRejected
from core.storage_state import MAX_BYTES, MAX_ORIGINS

BASE = "https://example.com"
HOSTS = ("example.com", "*.test")


def origin(url: str, size: int = 1, **more: Any) -> dict[str, Any]:
    return {"origin": url, "localStorage": [{"name": "key", "value": "x" * size}], **more}


COOKIE = {
    "name": "session",
    "value": "s3ssion",
    "domain": "example.com",
    "path": "/",
    "expires": -1,
    "httpOnly": True,
    "secure": True,
    "sameSite": "Lax",
}
STATE = {
    "cookies": [COOKIE],
    "origins": [
        origin(BASE),
        origin("https://other.test"),
        origin("https://stored.test", indexedDB=[{"name": "shop", "version": 1, "stores": []}]),
    ],
}


def test_divide_scripts_the_sites_own_origin_only() -> None:
    state, scripted = divide(STATE, f"{BASE}:443/app")

    assert state is not None
    assert scripted is not None
    assert state["cookies"] == [COOKIE]
    assert [kept["origin"] for kept in state["origins"]] == ["https://other.test", "https://stored.test"]
    assert scripted.origin == BASE
    assert scripted.take() == '[["key", "x"]]'
    assert scripted.take() is None


@pytest.mark.parametrize("database", ["indexedDB", "opfs"])
def test_divide_leaves_an_origin_with_a_database_to_playwright(database: str) -> None:
    saved = {"origins": [{**origin(BASE), database: [{"name": "shop"}]}]}

    state, scripted = divide(saved, BASE)

    assert scripted is None
    assert state == {"cookies": [], **saved}


def test_divide_the_script_holds_no_item() -> None:
    _, scripted = divide({"origins": [origin(BASE, 30)]}, BASE)

    assert scripted is not None
    assert "xxx" not in scripted.script + repr(scripted)
    assert scripted.nonce not in repr(scripted)


@pytest.mark.parametrize(
    "state", [None, {"cookies": []}, {"origins": []}, {"cookies": None, "origins": None}]
)
def test_divide_nothing_restores_nothing(state: dict[str, Any] | None) -> None:
    divided, scripted = divide(state, BASE)

    assert scripted is None
    assert divided in (None, {"cookies": [], "origins": []})


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda state: state.clear(), "not an object with"),
        (lambda state: state.update(cookies={}), "cookies: not a list"),
        (lambda state: state.update(origins=[1]), "origins: not a list"),
        (lambda state: state["cookies"][0].pop("domain"), r"cookies\[0\]\.domain"),
        (lambda state: state["cookies"][0].update(value=1), r"cookies\[0\]\.value"),
        (lambda state: state["cookies"][0].update(expires="soon"), r"cookies\[0\]\.expires"),
        (lambda state: state["cookies"][0].update(expires=True), r"cookies\[0\]\.expires"),
        (lambda state: state["cookies"][0].update(expires=float("nan")), "no JSON"),
        (lambda state: state["cookies"][0].update(secure="yes"), r"cookies\[0\]\.secure"),
        (lambda state: state["cookies"][0].update(sameSite="no_restriction"), r"cookies\[0\]\.sameSite"),
        (lambda state: state["origins"][1].update(origin="file:///"), r"origins\[1\]\.origin"),
        (lambda state: state["origins"][1].pop("origin"), r"origins\[1\]\.origin"),
        (lambda state: state["origins"][1].update(localStorage="x"), r"origins\[1\]\.localStorage"),
        (lambda state: state["origins"][1].update(localStorage=[{"name": "a"}]), r"localStorage\[0\]"),
        (lambda state: state["origins"][2].update(indexedDB={}), r"origins\[2\]\.indexedDB"),
        (lambda state: state["origins"].extend([origin(BASE)] * MAX_ORIGINS), "53 origins"),
        (lambda state: state["origins"].append(origin("https://a.test", MAX_BYTES)), "bytes"),
        (lambda state: state["cookies"][0].update(value=object()), "no JSON"),
    ],
)
def test_divide_a_damaged_state_is_rejected_with_its_place(damage: Any, place: str) -> None:
    state: dict[str, Any] = copy.deepcopy(STATE)
    damage(state)

    with pytest.raises(StateRejected, match=place) as caught:
        divide(state, BASE)

    assert "s3ssion" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cookies", "origins", "origin", "localStorage", "name", "value", "domain", "path"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_divide_anything_is_restored_or_rejected(state: Any) -> None:
    fault = ""
    try:
        divide(state, BASE)
    except StateRejected as error:
        fault = str(error)

    assert len(fault.splitlines()) <= 1


def test_unvisited_items_are_kept() -> None:
    _, scripted = divide(STATE, BASE)
    assert scripted is not None
    found: dict[str, Any] = {"cookies": [], "origins": []}

    assert scripted.unvisited(found)["origins"] == [origin(BASE)]
    scripted.take()
    assert scripted.unvisited(found) == found


def test_fit_keeps_what_fits_as_it_is() -> None:
    assert fit(STATE, BASE, HOSTS) == {
        "cookies": [COOKIE],
        "origins": [STATE["origins"][0], *STATE["origins"][1:]],
    }


def test_fit_lets_databases_go_before_origins() -> None:
    large = origin(BASE, 10, indexedDB=[{"name": "x" * MAX_BYTES}])

    fitted = fit({"cookies": [], "origins": [large]}, BASE, HOSTS)

    assert fitted["origins"] == [origin(BASE, 10)]


def test_fit_keeps_the_sites_own_origin_and_small_ones() -> None:
    origins = [
        origin("https://large.test", MAX_BYTES - 5000),
        origin("https://small.test"),
        origin(BASE, 9000),
    ]

    fitted = fit({"cookies": [], "origins": origins}, BASE, HOSTS)

    assert [kept["origin"] for kept in fitted["origins"]] == [BASE, "https://small.test"]


def test_fit_keeps_as_many_origins_as_can_be_restored() -> None:
    origins = [origin(f"https://{number}.test") for number in range(80)] + [origin(BASE)]

    fitted = fit({"cookies": [], "origins": origins}, BASE, HOSTS)

    assert len(fitted["origins"]) == MAX_ORIGINS
    assert fitted["origins"][0]["origin"] == BASE


def test_fit_leaves_out_what_is_of_no_allowed_host() -> None:
    foreign = {**COOKIE, "domain": "tracker.net"}
    state = {"cookies": [foreign, COOKIE], "origins": [origin("https://tracker.net"), origin(BASE)]}

    assert fit(state, BASE, HOSTS) == {"cookies": [COOKIE], "origins": [origin(BASE)]}


@pytest.mark.parametrize(
    "state",
    [
        {"cookies": [], "origins": [origin(BASE, MAX_BYTES)]},
        {"cookies": [{**COOKIE, "value": "x" * MAX_BYTES}], "origins": []},
    ],
)
def test_fit_what_the_site_itself_needs_is_never_left_out(state: dict[str, Any]) -> None:
    with pytest.raises(StateRejected):
        fit(state, BASE, HOSTS)


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0, MAX_BYTES // 4)), max_size=12))
def test_fit_what_was_fitted_can_be_restored(sizes: list[tuple[int, int]]) -> None:
    origins = [origin(f"https://{name}.test", size) for name, size in sizes]

    fitted = fit({"cookies": [COOKIE], "origins": origins}, BASE, HOSTS)

    assert len(json.dumps(fitted, separators=(",", ":"))) <= MAX_BYTES
    divide(fitted, BASE)
