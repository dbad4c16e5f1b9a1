"""Both faces: every page is well-formed, needs nothing from outside, and fits its load file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from demo_site import REEL, ROLLE, DemoSite, Markup
from demo_site.load import load_file, load_file_second_markup
from tests.demo_site.visitor import Answer, Visitor, elements

PAGES = ("login", "feed", "search", "found", "user", "video", "challenge", "missing", "ledger")


@pytest.fixture
def site(markup: Markup) -> Iterator[DemoSite]:
    with DemoSite(port=0, markup=markup) as running:
        yield running


def open_page(visitor: Visitor, page: str) -> Answer:
    paths, names = visitor.site.markup.paths, visitor.site.markup.names
    if page == "login":
        return visitor.log_in("demo01", "wrong")
    visitor.log_in("challenge" if page == "challenge" else "demo01")
    visitor.call(paths.api_follow, id="bruno")
    visitor.call(paths.api_like, id="1")
    return visitor.get(
        {
            "feed": paths.feed,
            "search": paths.search,
            "found": f"{paths.search}?{names.query}=%22%3Cb%3E%26",
            "user": f"{paths.user}bruno",
            "video": f"{paths.video}1",
            "challenge": paths.feed,
            "missing": "/nope",
            "ledger": "/ledger",
        }[page]
    )


@pytest.mark.parametrize("page", PAGES)
def test_page_is_well_formed_and_self_contained(visitor: Visitor, page: str) -> None:
    answer = open_page(visitor, page)

    found = elements(answer.text)
    ids = [element.attributes["id"] for element in found if "id" in element.attributes]
    assert answer.text.startswith("<!DOCTYPE html>")
    assert found[0].attributes["lang"] == visitor.site.markup.lang
    assert "$" not in answer.text
    assert len(ids) == len(set(ids))
    assert sum(element.tag == "h1" for element in found) == 1
    for element in found:
        link = element.attributes.get("href", element.attributes.get("src", "/"))
        assert link.startswith(("/", "data:"))
        assert not link.startswith("//")
        assert element.tag != "img" or "alt" in element.attributes
        assert element.tag != "label" or element.attributes["for"] in ids
        assert element.tag != "button" or element.text or element.attributes["aria-label"]


def matches(answer: Answer, selector: str) -> int:
    """How many elements the last part of one of the load files' selectors matches."""
    plain, _, negated = selector.split()[-1].rstrip(")").partition(":not(.")
    tag, _, name = plain.partition("[")
    count = 0
    for element in elements(answer.text):
        if name:  # input[name=stichwort]
            key, _, value = name.rstrip("]").partition("=")
            count += element.tag == tag and element.attributes.get(key) == value
        elif plain.startswith("#"):
            count += element.attributes.get("id") == plain[1:]
        else:
            kind, *classes = plain.split(".")
            count += (
                kind in ("", element.tag)
                and set(classes) <= element.classes
                and (not negated or negated not in element.classes)
            )
    return count


def test_site_fits_its_load_file(visitor: Visitor, markup: Markup) -> None:
    make = load_file if markup.slug == "reel" else load_file_second_markup
    content = make(visitor.site.url, ["demo01"])
    (entry,) = content["sites"]
    targets, log_in = entry["targets"], entry["log_in"]
    (click,) = (step for step in content["playbooks"][0]["steps"] if step["do"] == "click")

    form = visitor.get(log_in["path"])
    fields = {matches(form, log_in[name]) for name in ("username", "password", "submit")}
    visitor.log_in("demo01", content["accounts"][0]["password"])
    feed = visitor.get(targets["feed"]["path"])
    video = feed.by_class(markup.names.like)[0].attributes["data-like"]
    visitor.call(markup.paths.api_like, id=video)
    liked = visitor.get(entry["logged_in"]["path"])
    search = visitor.get(targets["search"]["path"])
    query = markup.names.query
    found = visitor.get(f"{targets['search']['path']}?{query}={markup.texts.search}")
    with Visitor(visitor.site) as other:
        other.log_in("challenge1")
        challenged = other.get(targets["feed"]["path"])

    assert entry["slug"] == markup.slug
    assert fields == {1}
    assert matches(feed, targets["card"]["selector"]) == 8
    assert (matches(feed, targets["like"]["selector"]), matches(feed, click["done"])) == (8, 0)
    assert (matches(liked, targets["like"]["selector"]), matches(liked, click["done"])) == (7, 1)
    assert matches(liked, entry["logged_in"]["selector"]) == 8
    assert matches(search, targets["search_box"]["selector"]) == 1
    assert matches(search, targets["results"]["selector"]) == 0
    assert matches(found, targets["results"]["selector"]) == 10
    assert matches(challenged, entry["challenges"][0]) == 1
    assert matches(challenged, entry["logged_in"]["selector"]) == 0


def test_faces_share_no_path_and_no_name() -> None:
    assert not set(asdict(REEL.paths).values()) & set(asdict(ROLLE.paths).values())
    assert not set(asdict(REEL.names).values()) & set(asdict(ROLLE.names).values())
