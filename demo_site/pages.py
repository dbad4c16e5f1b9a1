"""The HTML of every page, from the templates. Whatever comes in is escaped here."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from demo_site import catalogue
from demo_site.catalogue import Video
from demo_site.ledger import Row, Summary
from demo_site.markup import Markup

_HERE = Path(__file__).parent
STATIC_TYPES = {"site.css": "text/css; charset=utf-8", "site.js": "text/javascript; charset=utf-8"}


class Html(str):
    """Text that is HTML already and goes into a template as it is."""

    __slots__ = ()


@cache
def static_file(name: str) -> bytes:
    """A file of `static/`; its name is one of `STATIC_TYPES`."""
    return (_HERE / "static" / name).read_bytes()


@cache
def _template(name: str) -> Template:
    return Template((_HERE / "templates" / f"{name}.html").read_text(encoding="utf-8").strip())


class Pages:
    """The pages of one face of the site."""

    def __init__(self, markup: Markup) -> None:
        self.markup = markup
        self._tokens = {key: escape(value) for key, value in markup.tokens().items()}

    def login(self, *, typed: str = "", failed: bool = False) -> bytes:
        names, texts = self.markup.names, self.markup.texts
        error = f'<p class="ui-fault {names.error}" role="alert">{escape(texts.wrong)}</p>' if failed else ""
        return self._document(texts.log_in, self._render("login", typed=typed, error=Html(error)))

    def feed(
        self, username: str, liked: Iterable[str], followed: Iterable[str], *, script: str = ""
    ) -> bytes:
        content = self._render("feed", cards=Html(self.cards(username, 1, liked, followed)))
        return self._document(self.markup.texts.feed, content, username=username, script=script)

    def cards(self, username: str, page: int, liked: Iterable[str], followed: Iterable[str]) -> str:
        """The cards of one page of the feed, without a page around them."""
        videos = catalogue.feed_page(username, page, self.markup.lang)
        return "\n".join(self._render("card", **self._film(video, liked, followed)) for video in videos)

    def user(self, username: str, author: str, followed: Iterable[str]) -> bytes:
        videos = catalogue.videos_of(author, self.markup.lang)
        content = self._render(
            "user", count=len(videos), items=self._items(videos), **self._author(author, followed)
        )
        return self._document(author, content, username=username)

    def video(self, username: str, video: Video, liked: Iterable[str], followed: Iterable[str]) -> bytes:
        others = [other for other in catalogue.videos_of(video.author, self.markup.lang) if other != video]
        content = self._render(
            "video",
            seconds=video.seconds,
            unlike_hidden=Html("" if video.id in liked else " hidden"),
            items=self._items(others[:6]),
            **self._film(video, liked, followed),
        )
        return self._document(video.title, content, username=username)

    def search(self, username: str, text: str) -> bytes:
        """The form and, below it, what was found; what is popular if nothing was."""
        texts, lang = self.markup.texts, self.markup.lang
        found = catalogue.search(text, lang)
        heading = f"{texts.results} “{text}”" if found else texts.no_results if text else texts.popular
        videos = found or catalogue.popular(lang)
        # Before a search there are films to look at, but no hits.
        items = self._items(videos, hit=self.markup.names.hit if text else "")
        content = self._render("search", typed=text, heading=heading, items=items)
        return self._document(texts.search, content, username=username)

    def challenge(self, username: str) -> bytes:
        return self._document(self.markup.texts.challenge, self._render("challenge"), username=username)

    def message(self, code: int, text: str) -> bytes:
        return self._document(text, self._render("message", code=code, message=text))

    def ledger(self, summary: Summary, rows: list[Row]) -> bytes:
        counts = "".join(
            f"<li>{escape(action)} <b>{count}</b></li>" for action, count in summary["actions"].items()
        )
        lines = "\n".join(self._ledger_line(row) for row in rows)
        content = self._render(
            "ledger", total=summary["total"], shown=len(rows), counts=Html(counts), rows=Html(lines)
        )
        return self._document("Ledger", content)

    def _document(self, title: str, content: str, *, username: str = "", script: str = "") -> bytes:
        return self._render(
            "layout",
            title=title,
            nav=Html(self._nav(title, username) if username else ""),
            content=Html(content),
            config=self._config(username),
            script=Html(f"<script>{script}</script>" if script else ""),
        ).encode()

    def _nav(self, title: str, username: str) -> str:
        texts = self.markup.texts
        here = Html(' aria-current="page"')
        return self._render(
            "nav",
            username=username,
            at_feed=here if title == texts.feed else "",
            at_search=here if title == texts.search else "",
        )

    def _config(self, username: str) -> str:
        """What the script has to know, as JSON."""
        paths, names = self.markup.paths, self.markup.names
        return json.dumps(
            {
                "site": self.markup.slug,
                "username": username,
                "login": paths.login,
                "apiFeed": paths.api_feed,
                "apiLike": paths.api_like,
                "apiUnlike": paths.api_unlike,
                "apiFollow": paths.api_follow,
                "liked": names.liked,
                "following": names.following,
                "followingText": self.markup.texts.following,
            }
        )

    def _film(self, video: Video, liked: Iterable[str], followed: Iterable[str]) -> dict[str, object]:
        is_liked = video.id in liked
        return {
            "id": video.id,
            "video_title": video.title,
            "scene": video.scene,
            "length": f"{video.seconds // 60}:{video.seconds % 60:02d}",
            "likes": _short(video.likes),
            "liked": f" {self.markup.names.liked}" if is_liked else "",
            "pressed": "true" if is_liked else "false",
            **self._author(video.author, followed),
        }

    def _author(self, author: str, followed: Iterable[str]) -> dict[str, object]:
        names, texts = self.markup.names, self.markup.texts
        follows = author in followed
        return {
            "author": author,
            "initial": author[0].upper(),
            "hue": zlib.crc32(author.encode()) % 360,
            "following": f" {names.following}" if follows else "",
            "follow_on": Html(" data-on" if follows else ""),
            "follow_text": texts.following if follows else texts.follow,
        }

    def _items(self, videos: Iterable[Video], *, hit: str = "") -> Html:
        extra = f" {hit}" if hit else ""
        return Html(
            "\n".join(self._render("item", hit=extra, **self._film(video, (), ())) for video in videos)
        )

    def _ledger_line(self, row: Row) -> str:
        action = f"{row['action']} (again)" if row["repeat"] else row["action"]
        cells = (row["id"], row["time"][11:23], row["account"], action, row["object"], row["session"])
        return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"

    def _render(self, name: str, **values: object) -> str:
        escaped = {
            key: value if isinstance(value, Html) else escape(str(value)) for key, value in values.items()
        }
        return _template(name).substitute(self._tokens, **escaped)


def _short(number: int) -> str:
    """1234 as `1.2K`."""
    return str(number) if number < 1000 else f"{number / 1000:.1f}K"
