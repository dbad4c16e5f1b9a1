"""A request and a response, as the site's code sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """`form` holds the fields of a form, or the strings of a JSON object."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """`stream`, if there is one, is sent in place of `body` until it ends or the visitor goes."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = (("Cache-Control", "no-store"),)
    stream: Iterator[bytes] | None = None


class NoAnswer(Exception):
    """The request is never answered: its connection stays open until the visitor or the site ends it."""


def redirect(path: str, *, status: HTTPStatus = HTTPStatus.FOUND, cookie: str | None = None) -> Response:
    headers = [("Location", path), ("Cache-Control", "no-store")]
    if cookie is not None:
        headers.append(("Set-Cookie", cookie))
    return Response(status, headers=tuple(headers))


def as_json(value: object, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(status, json.dumps(value).encode(), "application/json")


def read_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Take a request apart. Raises `ValueError` for one that makes no sense."""
    parts = urlsplit(target)
    headers = {name.lower(): value for name, value in headers.items()}
    return Request(
        method=method,
        path=unquote(parts.path, errors="replace"),
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        form=_read_form(headers.get("content-type", ""), body),
        cookies=_read_cookies(headers.get("cookie", "")),
    )


def _read_form(content_type: str, body: bytes) -> dict[str, str]:
    if content_type.startswith("application/json"):
        value: Any = json.loads(body)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        return {key: text for key, text in value.items() if isinstance(text, str)}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _read_cookies(header: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in header.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
