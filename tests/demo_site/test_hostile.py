from __future__ import annotations

import pytest

from demo_site import DemoSite
from demo_site.hostile import NAMES
from tests.demo_site.visitor import Visitor, elements


def test_list_links_to_every_page(visitor: Visitor) -> None:
    answer = visitor.get("/hostile/")

    links = [e.attributes["href"] for e in elements(answer.text) if e.tag == "a"]
    assert links == [f"/hostile/{name}" for name in NAMES]


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("alert", "alert("),
        ("beforeunload", "beforeunload"),
        ("busy", "for (;;);"),
        ("crash", "5000"),
        ("download", "endless.bin"),
        ("permissions", "getCurrentPosition"),
        ("permissions", "requestPermission"),
        ("popup", "ready"),
        ("popups", "window.open("),
        ("text", r"\ud83d low"),
        ("text", r"\u0000"),
        ("text", r"\u202e"),
    ],
)
def test_page_has_its_script(visitor: Visitor, name: str, sign: str) -> None:
    answer = visitor.get(f"/hostile/{name}")

    assert answer.status == 200
    assert sign in answer.text
    assert elements(answer.text)


def test_script_can_be_delayed(visitor: Visitor) -> None:
    assert "}, 250);" in visitor.get("/hostile/busy?after=250").text
    assert "setTimeout" not in visitor.get("/hostile/busy?after=x").text


@pytest.mark.parametrize(("name", "target"), [("loop", "loop"), ("ping", "pong"), ("pong", "ping")])
def test_redirects_have_no_end(visitor: Visitor, name: str, target: str) -> None:
    answer = visitor.get(f"/hostile/{name}")

    assert (answer.status, answer.location) == (302, f"/hostile/{target}")


def test_limited_and_error_say_so(visitor: Visitor) -> None:
    limited = visitor.get("/hostile/limited")

    assert (limited.status, limited.headers["retry-after"]) == (429, "1")
    assert visitor.get("/hostile/error").status == 500


def test_slow_answers_at_last(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo_site.hostile.SLOW_SECONDS", 0.01)

    assert visitor.get("/hostile/slow").status == 200


def test_download_is_an_attachment_that_keeps_coming(visitor: Visitor) -> None:
    visitor.connection.request("GET", "/hostile/endless.bin")

    response = visitor.connection.getresponse()

    assert response.getheader("Content-Disposition") == 'attachment; filename="endless.bin"'
    assert response.getheader("Content-Length") is None
    assert len(response.read(40_000)) == 40_000
    response.close()


def test_drip_and_hang_are_there_without_a_session(site: DemoSite, visitor: Visitor) -> None:
    visitor.connection.request("GET", "/hostile/drip")
    response = visitor.connection.getresponse()
    assert response.read(15) == b"<!DOCTYPE html>"
    response.close()
    with Visitor(site, timeout=0.1) as other, pytest.raises(TimeoutError):
        other.get("/hostile/hang")


def test_unknown_page_is_404_and_nothing_is_a_row(site: DemoSite, visitor: Visitor) -> None:
    assert visitor.get("/hostile/nope").status == 404
    visitor.get("/hostile/text")

    assert site.ledger() == []
