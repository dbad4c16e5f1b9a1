from __future__ import annotations

import time

import pytest

from demo_site import Behaviour, DemoSite, behaviour_of
from demo_site.behaviours import LATE_MS, SLOW_SECONDS
from tests.demo_site.visitor import Visitor


def actions(site: DemoSite) -> list[tuple[str, str]]:
    return [(row["action"], row["object"]) for row in site.ledger()]


@pytest.mark.parametrize("behaviour", Behaviour)
def test_behaviour_is_chosen_by_prefix(behaviour: Behaviour) -> None:
    assert {behaviour_of(f"{behaviour.value}{end}") for end in ("", "01", "-anna")} == {behaviour}


@pytest.mark.parametrize("behaviour", set(Behaviour) - {Behaviour.WRONG, Behaviour.LIMITED})
def test_account_can_log_in(site: DemoSite, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo_site.app.SLOW_SECONDS", 0)
    with Visitor(site) as visitor:
        assert visitor.log_in(f"{behaviour.value}01").status == 303


def test_wrong_is_never_let_in(site: DemoSite, visitor: Visitor) -> None:
    assert visitor.log_in("wrong1").status == 200
    assert actions(site) == [("login_failed", "")]


def test_challenge_stands_before_every_page(site: DemoSite, visitor: Visitor) -> None:
    visitor.log_in("challenge1")

    for path in ("/feed", "/search?q=tea", "/video/1", "/user/bruno"):
        answer = visitor.get(path)
        assert answer.status == 200
        assert answer.by_id("challenge") is not None
        assert answer.by_class("card") == []
    assert visitor.call("/api/like", id="1").status == 403
    assert actions(site) == [
        ("login", ""),
        ("challenge", "/feed"),
        ("challenge", "/search"),
        ("challenge", "/video/1"),
        ("challenge", "/user/bruno"),
    ]


def test_challenge_that_a_person_passed_does_not_come_back(site: DemoSite, visitor: Visitor) -> None:
    visitor.log_in("challenge1")

    assert visitor.post("/challenge").status == 303

    assert len(visitor.get("/feed").by_class("card")) == 8
    with Visitor(site) as elsewhere:
        elsewhere.log_in("challenge1")
        assert elsewhere.get("/feed").by_id("challenge") is None
    assert ("challenge_passed", "") in actions(site)


def test_limited_is_429_at_the_login(site: DemoSite, visitor: Visitor) -> None:
    answer = visitor.log_in("limited1")

    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert actions(site) == [("refused", "429 /login")]


def test_limited_with_a_session_is_429_everywhere(site: DemoSite, visitor: Visitor) -> None:
    (cookie,) = site.storage_state("limited1")["cookies"]
    visitor.cookie = f"{cookie['name']}={cookie['value']}"

    statuses = {visitor.get(path).status for path in ("/", "/feed", "/search", "/api/feed?page=2", "/login")}

    assert statuses == {429}
    assert {row["action"] for row in site.ledger()} == {"refused"}


def test_error_is_500_on_the_feed_only(site: DemoSite, visitor: Visitor) -> None:
    visitor.log_in("error1")

    assert visitor.get("/feed").status == 500
    assert visitor.get("/search").status == 200
    assert actions(site) == [("login", ""), ("refused", "500 /feed")]


def test_loop_redirects_the_feed_to_itself(site: DemoSite, visitor: Visitor) -> None:
    visitor.log_in("loop1")

    answer = visitor.get("/feed")

    assert (answer.status, answer.location) == (302, "/feed")
    assert actions(site) == [("login", "")]


def test_logout_drops_the_session_after_the_third_page(site: DemoSite, visitor: Visitor) -> None:
    visitor.log_in("logout1")

    assert [visitor.get(path).status for path in ("/feed", "/search?q=tea", "/api/feed?page=2")] == [200] * 3
    assert visitor.get("/video/1").status == 200

    assert visitor.get("/feed").location == "/login"
    assert visitor.call("/api/like", id="1").status == 401
    assert actions(site)[-2:] == [("video", "1"), ("logout", "by-site")]
    visitor.log_in("logout1")
    assert visitor.get("/feed").status == 200


def test_slow_takes_its_time_for_each_request(
    site: DemoSite, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo_site.app.SLOW_SECONDS", 0.05)
    start = time.monotonic()

    visitor.log_in("slow1")
    visitor.get("/feed")
    visitor.get("/media/1.png")

    assert time.monotonic() - start >= 3 * 0.05
    assert SLOW_SECONDS == 1.5


def test_latency_is_added_to_each_request_but_the_ledgers() -> None:
    with DemoSite(port=0, latency_ms=60) as site, Visitor(site) as visitor:
        start = time.monotonic()
        visitor.get("/login")
        visitor.log_in("demo01")
        middle = time.monotonic()
        ledger = visitor.get("/ledger.json")

        assert middle - start >= 2 * 0.06
        assert len(ledger.json()) == 1


@pytest.mark.parametrize(
    ("username", "sign"),
    [
        ("crash1", "5000"),
        ("busy1", "for (;;);"),
        ("alert1", "alert("),
        ("alert1", "beforeunload"),
        ("popup1", "window.open("),
        ("download1", "/hostile/endless.bin"),
    ],
)
def test_script_runs_in_an_ordinary_feed(site: DemoSite, visitor: Visitor, username: str, sign: str) -> None:
    visitor.log_in(username)

    answer = visitor.get("/feed")

    assert len(answer.by_class("card")) == 8
    assert sign in answer.text
    assert f"}}, {LATE_MS});" not in answer.text
    assert sign not in visitor.get("/search").text
    assert actions(site) == [("login", ""), ("feed", "")]


def test_script_of_a_late_account_waits(visitor: Visitor) -> None:
    visitor.log_in("crash-late1")

    assert f"}}, {LATE_MS});" in visitor.get("/feed").text


def test_hang_accepts_and_never_answers_until_the_site_stops() -> None:
    with DemoSite(port=0) as site, Visitor(site) as visitor:
        visitor.log_in("hang1")
        visitor.connection.request("GET", "/feed", headers={"Cookie": visitor.cookie})
        raw = visitor.connection.sock
        raw.settimeout(0.05)

        for _ in range(100):
            with pytest.raises(TimeoutError):
                raw.recv(1)
            if len(site.ledger()) == 2:
                break
        assert actions(site) == [("login", ""), ("feed", "")]
        site.stop()

        raw.settimeout(5)
        assert raw.recv(1) == b""


def test_drip_begins_and_does_not_go_on_at_once(site: DemoSite, visitor: Visitor) -> None:
    visitor.log_in("drip1")
    visitor.connection.request("GET", "/feed", headers={"Cookie": visitor.cookie})

    response = visitor.connection.getresponse()

    assert response.status == 200
    assert response.getheader("Content-Length") is None
    assert response.read(15) == b"<!DOCTYPE html>"
    assert actions(site) == [("login", ""), ("feed", "")]
    response.close()
