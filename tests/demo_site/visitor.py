"""A visitor without a browser: one kept-alive connection, a cookie, and an eye for HTML."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPConnection
from typing import Any, Self
from urllib.parse import urlencode

from demo_site import DemoSite, password_for

VOID = {"meta", "link", "input", "img", "br"}


@dataclass(frozen=True)
class Element:
    tag: str
    attributes: dict[str, str]
    text: str

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[tuple[str, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        text: list[str] = []
        assert len({name for name, _ in attrs}) == len(attrs), f"attribute twice: <{tag} {attrs}>"
        self.found.append((tag, {name: value or "" for name, value in attrs}, text))
        if tag not in VOID:
            self.open.append((tag, text))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # in SVG
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self.open.pop()
        assert opened == tag, f"<{opened}> closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        for _, text in self.open:
            text.append(data)


def elements(html: str) -> list[Element]:
    """Every element of a well-nested document; fails on any other."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    return [Element(tag, attributes, "".join(text).strip()) for tag, attributes, text in reader.found]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return self.headers["location"]

    def json(self) -> Any:
        return json.loads(self.body)

    def by_class(self, name: str) -> list[Element]:
        return [element for element in elements(self.text) if name in element.classes]

    def by_id(self, name: str) -> Element | None:
        return next((e for e in elements(self.text) if e.attributes.get("id") == name), None)


class Visitor:
    """Keeps its cookie and its connection. Use it in a `with` block."""

    def __init__(self, site: DemoSite, *, timeout: float = 10) -> None:
        self.site = site
        self.cookie = ""
        self.connection = HTTPConnection(site.host, site.port, timeout=timeout)

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, **fields: str) -> Answer:
        return self.send("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def call(self, path: str, **values: Any) -> Answer:
        return self.send("POST", path, json.dumps(values).encode(), "application/json")

    def send(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Answer:
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if content_type:
            headers["Content-Type"] = content_type
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        if "set-cookie" in received:
            self.cookie = received["set-cookie"].partition(";")[0]
        return Answer(response.status, received, response.read())

    def log_in(self, username: str, password: str | None = None) -> Answer:
        paths, names = self.site.markup.paths, self.site.markup.names
        fields = {names.username: username, names.password: password or password_for(username)}
        return self.post(paths.login, **fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
