from __future__ import annotations

import struct
import zlib

import pytest

from demo_site import REEL, DemoSite
from demo_site.media import HEIGHT, SCENES, WIDTH
from tests.demo_site.visitor import Visitor, elements


def actions(site: DemoSite) -> list[tuple[str, str]]:
    return [(row["action"], row["object"]) for row in site.ledger()]


def test_root_without_session_leads_to_login(visitor: Visitor) -> None:
    answer = visitor.get("/")

    assert (answer.status, answer.location) == (302, "/login")


def test_root_with_session_leads_to_feed(member: Visitor) -> None:
    assert member.get("/").location == "/feed"
    assert member.get("/login").location == "/feed"


def test_login_page_has_the_form_of_the_load_file(visitor: Visitor) -> None:
    answer = visitor.get("/login")

    (form,) = (element for element in elements(answer.text) if element.tag == "form")
    (submit,) = (element for element in elements(answer.text) if element.attributes.get("type") == "submit")
    assert (form.attributes["method"], form.attributes["action"]) == ("post", "/login")
    for name in ("username", "password"):
        field = answer.by_id(name)
        assert field is not None
        assert field.attributes["name"] == name
    assert submit.tag == "button"
    assert answer.by_class("error") == []


def test_login_right_password_opens_session(site: DemoSite, visitor: Visitor) -> None:
    answer = visitor.log_in("demo01")

    assert (answer.status, answer.location) == (303, "/feed")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=Lax" in answer.headers["set-cookie"]
    assert visitor.get("/feed").status == 200
    login, feed = site.ledger()
    assert (login["account"], login["action"], feed["action"]) == ("demo01", "login", "feed")
    assert login["session"] == feed["session"] != ""
    assert login["session"] not in visitor.cookie


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("demo01", "warm-demo02"),
        ("demo13", "warm-demo13"),
        ("demo00", "warm-demo00"),
        ("demo001", "warm-demo001"),
        ("nobody", "warm-nobody"),
        ("<b>", "warm-<b>"),
    ],
)
def test_login_wrong_shows_the_form_again(
    site: DemoSite, visitor: Visitor, username: str, password: str
) -> None:
    answer = visitor.log_in(username, password)

    assert answer.status == 200
    assert len(answer.by_class("error")) == 1
    field = answer.by_id("username")
    assert field is not None
    assert field.attributes["value"] == username
    assert "set-cookie" not in answer.headers
    (row,) = site.ledger()
    assert (row["account"], row["action"]) == (username, "login_failed")


def test_logout_ends_the_session(site: DemoSite, member: Visitor) -> None:
    cookie = member.cookie

    answer = member.post("/logout")

    assert (answer.status, answer.location) == (303, "/login")
    assert actions(site) == [("login", ""), ("logout", "")]
    member.cookie = cookie
    assert member.get("/feed").location == "/login"


@pytest.mark.parametrize("path", ["/feed", "/search?q=tea", "/video/1", "/user/ada.wells"])
def test_page_without_session_leads_to_login(site: DemoSite, visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)

    assert (answer.status, answer.location) == (302, "/login")
    assert site.ledger() == []


def test_feed_has_cards_with_like_follow_and_author(site: DemoSite, member: Visitor) -> None:
    answer = member.get("/feed")

    cards = answer.by_class("card")
    assert len(cards) == len(answer.by_class("like")) == len(answer.by_class("follow")) == 8
    assert all(author.attributes["href"].startswith("/user/") for author in answer.by_class("author"))
    assert answer.by_class("liked") == []
    assert actions(site) == [("login", ""), ("feed", "")]


def test_feed_is_the_same_again_and_another_for_another_account(site: DemoSite, member: Visitor) -> None:
    first = [like.attributes["data-like"] for like in member.get("/feed").by_class("like")]
    again = [like.attributes["data-like"] for like in member.get("/feed").by_class("like")]
    with Visitor(site) as other:
        other.log_in("demo02")
        others = [like.attributes["data-like"] for like in other.get("/feed").by_class("like")]

    assert first == again
    assert first != others


def test_feed_further_pages_come_as_cards_and_are_rows(site: DemoSite, member: Visitor) -> None:
    seen = {like.attributes["data-like"] for like in member.get("/feed").by_class("like")}

    page = member.get("/api/feed?page=2").json()

    more = {e.attributes["data-like"] for e in elements(page["cards"]) if "like" in e.classes}
    assert page["next"] == 3
    assert len(more) == 8
    assert not more & seen
    assert actions(site)[-1] == ("scroll", "2")


def test_feed_last_page_says_so(member: Visitor) -> None:
    assert member.get("/api/feed?page=50").json()["next"] is None


@pytest.mark.parametrize("page", ["1", "0", "51", "-2", "x", "", "%C2%B2", "99999999"])
def test_feed_page_out_of_range_is_no_row(site: DemoSite, member: Visitor, page: str) -> None:
    assert member.get(f"/api/feed?page={page}").status == 404
    assert actions(site) == [("login", "")]


def test_like_is_a_row_and_stays(site: DemoSite, member: Visitor) -> None:
    video = member.get("/feed").by_class("like")[0].attributes["data-like"]

    answer = member.call("/api/like", id=video)

    assert answer.json() == {"id": video, "repeat": False}
    (liked,) = member.get("/feed").by_class("liked")
    assert (liked.attributes["data-like"], liked.attributes["aria-pressed"]) == (video, "true")
    assert actions(site) == [("login", ""), ("feed", ""), ("like", video), ("feed", "")]


def test_like_again_is_a_row_of_its_own_that_says_repeat(site: DemoSite, member: Visitor) -> None:
    member.call("/api/like", id="7")

    answer = member.call("/api/like", id="7")

    assert answer.json()["repeat"] is True
    likes = site.ledger(action="like")
    assert [(row["object"], row["repeat"]) for row in likes] == [("7", False), ("7", True)]


def test_unlike_takes_the_like_back(site: DemoSite, member: Visitor) -> None:
    member.call("/api/like", id="7")
    assert len(member.get("/video/7").by_class("liked")) == 1

    assert member.call("/api/unlike", id="7").json()["repeat"] is False

    assert member.get("/video/7").by_class("liked") == []
    assert member.call("/api/like", id="7").json()["repeat"] is False
    assert [row["action"] for row in site.ledger() if row["object"] == "7"] == [
        "like", "video", "unlike", "video", "like",
    ]  # fmt: skip


def test_like_of_one_account_is_not_anothers(site: DemoSite, member: Visitor) -> None:
    member.call("/api/like", id="7")
    with Visitor(site) as other:
        other.log_in("demo02")
        assert other.call("/api/like", id="7").json()["repeat"] is False


def test_follow_is_a_row_and_stays(site: DemoSite, member: Visitor) -> None:
    assert member.call("/api/follow", id="bruno").json()["repeat"] is False
    assert member.call("/api/follow", id="bruno").json()["repeat"] is True

    (button,) = member.get("/user/bruno").by_class("following")
    assert button.text == REEL.texts.following
    assert [row["repeat"] for row in site.ledger(action="follow")] == [False, True]


@pytest.mark.parametrize("path", ["/api/like", "/api/unlike", "/api/follow"])
@pytest.mark.parametrize("value", ["0", "401", "01", "", "nobody", "\ud800", 7, None])
def test_call_for_what_is_not_there_is_no_row(
    site: DemoSite, member: Visitor, path: str, value: object
) -> None:
    assert member.call(path, id=value).status == 404
    assert actions(site) == [("login", "")]


@pytest.mark.parametrize("path", ["/api/like", "/api/unlike", "/api/follow"])
def test_call_without_session_is_401_and_no_row(site: DemoSite, visitor: Visitor, path: str) -> None:
    assert visitor.call(path, id="1").status == 401
    assert site.ledger() == []


def test_search_page_is_a_form_without_hits_and_no_row(site: DemoSite, member: Visitor) -> None:
    answer = member.get("/search")

    box = answer.by_id("q")
    assert box is not None
    assert box.attributes["name"] == "q"
    assert answer.by_class("hit") == []
    assert actions(site) == [("login", "")]


def test_search_finds_films_with_the_word(site: DemoSite, member: Visitor) -> None:
    hits = member.get("/search?q=tea").by_class("hit")

    assert hits
    assert all("tea" in hit.text.lower() for hit in hits)
    assert actions(site)[-1] == ("search", "tea")


def test_search_without_a_find_offers_what_is_popular(site: DemoSite, member: Visitor) -> None:
    assert len(member.get("/search?q=zzz").by_class("hit")) == 10
    assert actions(site)[-1] == ("search", "zzz")


def test_search_text_is_escaped_and_cleaned(site: DemoSite, member: Visitor) -> None:
    answer = member.get("/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E%00%ED%A0%80")

    assert "<script>alert" not in answer.text
    box = answer.by_id("q")
    assert box is not None
    assert box.attributes["value"].startswith('"><script>alert(1)</script>')
    assert actions(site)[-1][1] == '"><script>alert(1)</script>' + "\ufffd" * 4


def test_user_page_lists_films(site: DemoSite, member: Visitor) -> None:
    answer = member.get("/user/bruno")

    links = [e.attributes["href"] for e in elements(answer.text) if e.tag == "a"]
    assert any(link.startswith("/video/") for link in links)
    assert len(answer.by_class("follow")) == 1
    assert actions(site)[-1] == ("user", "bruno")


def test_video_page_has_a_player(site: DemoSite, member: Visitor) -> None:
    answer = member.get("/video/12")

    assert any("data-player" in element.attributes for element in elements(answer.text))
    assert len(answer.by_class("like")) == len(answer.by_class("author")) == 1
    assert actions(site)[-1] == ("video", "12")


@pytest.mark.parametrize(
    "path", ["/nope", "/user/nobody", "/user/", "/video/0", "/video/x", "/static/../app.py", "/media/x.png"]
)
def test_page_that_is_not_there_is_404_and_no_row(site: DemoSite, member: Visitor, path: str) -> None:
    assert member.get(path).status == 404
    assert actions(site) == [("login", "")]


def test_wrong_method_is_405_and_no_row(site: DemoSite, member: Visitor) -> None:
    assert member.get("/api/like").headers["allow"] == "POST"
    assert member.call("/api/feed?page=2").status == 405
    assert member.post("/feed").status == 405
    assert actions(site) == [("login", "")]


def test_media_is_a_png_that_may_be_cached(visitor: Visitor) -> None:
    answer = visitor.get("/media/3.png")

    assert answer.headers["content-type"] == "image/png"
    assert "max-age" in answer.headers["cache-control"]
    assert answer.body[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", answer.body[16:24]) == (WIDTH, HEIGHT)
    start = answer.body.index(b"IDAT")
    (length,) = struct.unpack(">I", answer.body[start - 4 : start])
    assert len(zlib.decompress(answer.body[start + 4 : start + 4 + length])) == (WIDTH + 1) * HEIGHT
    assert visitor.get(f"/media/{3 + SCENES}.png").body == answer.body
    assert visitor.get("/media/4.png").body != answer.body


@pytest.mark.parametrize(("name", "kind"), [("site.css", "text/css"), ("site.js", "text/javascript")])
def test_static_file_is_served(visitor: Visitor, name: str, kind: str) -> None:
    answer = visitor.get(f"/static/{name}")

    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
