"""Heads of HTTP/1.1 messages: parsed strictly and written anew (RFC 9112).

A message that two programs could read in two ways (request smuggling) is refused, not repaired. We
stand inside the user agent, so we add no `Via`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from core.egress.bodies import Body, Chunked, Malformed, Sized, Unsized
from core.egress.hosts import Endpoint, parse_host

MAX_REQUEST_BYTES = 64 * 1024
MAX_REQUEST_FIELDS = 100
# What Chromium takes from a server; only the site's own pages can ask for so much.
MAX_RESPONSE_BYTES = 256 * 1024
MAX_RESPONSE_FIELDS = 1000

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIELD = re.compile(rb"(%s):[ \t]*([\t\x20-\x7e\x80-\xff]*)" % _TOKEN)
_REQUEST_LINE = re.compile(rb"(%s) ([\x21-\x7e]+) HTTP/1\.([0-9])" % _TOKEN)
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]+)(?::([0-9]{1,5}))?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
# For one connection only (RFC 9110, section 7.6.1); framing and Host are written anew.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authentication-info proxy-authorization "
    b"proxy-connection te trailer transfer-encoding upgrade".split()
)
_UNNAMEABLE = frozenset({b"host", b"content-length"})

_PHRASES = {
    400: b"Bad Request",
    403: b"Forbidden",
    407: b"Proxy Authentication Required",
    431: b"Request Header Fields Too Large",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}
_CHALLENGE = b'Proxy-Authenticate: Basic realm="egress", charset="UTF-8"\r\n'

Fields = list[tuple[bytes, bytes, bytes]]


@dataclass(slots=True)
class Request:
    """A request to the proxy."""

    method: bytes
    scheme: str
    endpoint: Endpoint
    # From the path on; empty for CONNECT.
    target: bytes
    # The fields that go on, each with its CR LF.
    fields: bytes = field(repr=False)
    body: Body
    # The value of Proxy-Authorization.
    credentials: bytes | None = field(repr=False)

    @property
    def is_connect(self) -> bool:
        return self.method == b"CONNECT"

    @property
    def host(self) -> bytes:
        """The value of Host: without the port where it is the scheme's own."""
        return self.endpoint.authority.removesuffix(":80").encode("ascii")

    def head(self, upstream_credentials: bytes | None = None, *, absolute: bool = False) -> bytes:
        """The head for the server, or, with `absolute`, for an HTTP proxy."""
        place = b"http://" + self.host + self.target if absolute else self.target
        proof = b"Proxy-Authorization: %s\r\n" % upstream_credentials if upstream_credentials else b""
        coding = b"Transfer-Encoding: chunked\r\n" if isinstance(self.body, Chunked) else b""
        return b"%s %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n%s%s%s\r\n" % (
            self.method,
            place,
            self.host,
            proof,
            coding,
            self.fields,
        )


@dataclass(slots=True)
class Response:
    """What a server, or an upstream proxy, answered."""

    status: int
    line: bytes = field(repr=False)
    fields: bytes = field(repr=False)
    body: Body
    # Whether its connection may carry another request.
    persistent: bool

    def head(self, *, keep: bool) -> bytes:
        """The head for the browser."""
        coding = b"Transfer-Encoding: chunked\r\n" if isinstance(self.body, Chunked) else b""
        connection = b"keep-alive" if keep else b"close"
        return b"%s\r\nConnection: %s\r\n%s%s\r\n" % (self.line, connection, coding, self.fields)


def parse_request(head: bytes) -> Request:
    """A request's head, up to its empty line. Raises `Malformed`."""
    first, *lines = head[:-4].split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise Malformed(400, "not a request line")
    method, place, minor = found.groups()
    if minor != b"1":
        raise Malformed(505, "not HTTP/1.1")
    fields = _fields(lines, MAX_REQUEST_FIELDS)
    hop = _hop_by_hop(fields)
    if sum(name == b"host" for name, _, _ in fields) > 1:
        raise Malformed(400, "more than one Host")
    length, chunked = _framing(fields)
    credentials = [value for name, value, _ in fields if name == b"proxy-authorization"]
    if len(credentials) > 1:
        raise Malformed(400, "more than one Proxy-Authorization")
    if method == b"CONNECT":
        # RFC 9110, section 9.3.6: it has no content.
        if chunked or length:
            raise Malformed(400, "CONNECT with a body")
        scheme, endpoint, target = "connect", _endpoint(place, None), b""
    else:
        scheme, endpoint, target = _absolute(place)
    body: Body = Chunked(plain=True) if chunked else Sized(length or 0)
    kept = b"".join(line for name, _, line in fields if name not in hop and name != b"host")
    return Request(method, scheme, endpoint, target, kept, body, credentials[0] if credentials else None)


def _absolute(place: bytes) -> tuple[str, Endpoint, bytes]:
    """Scheme, endpoint and path of a target in absolute form, the only one for a proxy."""
    found = _ABSOLUTE.fullmatch(place)
    if found is None:
        raise Malformed(400, "not a target for a proxy")
    scheme, authority, path = found.groups()
    if not path.startswith(b"/"):
        path = b"/" + path
    name = scheme.lower().decode("ascii")
    return name, _endpoint(authority, 443 if name in {"https", "wss"} else 80), path


def _endpoint(authority: bytes, default_port: int | None) -> Endpoint:
    found = _AUTHORITY.fullmatch(authority.decode("ascii"))
    port = default_port
    if found is not None and found[2] is not None:
        port = int(found[2])
    if found is None or port is None or not 0 < port < 65536:
        raise Malformed(400, "not an authority")
    try:
        return Endpoint(parse_host(found[1]), port)
    except ValueError:
        raise Malformed(400, "not a host") from None


def parse_response(head: bytes, method: bytes) -> Response:
    """The head of a response to `method`, up to its empty line. Raises `Malformed`."""
    first, *lines = head[:-4].split(b"\r\n")
    found = _STATUS_LINE.fullmatch(first)
    if found is None:
        raise Malformed(502, "not a status line")
    status = int(found[2])
    fields = _fields(lines, MAX_RESPONSE_FIELDS)
    hop = _hop_by_hop(fields)
    options = _options(fields)
    length, chunked = _framing(fields)
    persistent = b"close" not in options and (found[1] == b"1" or b"keep-alive" in options)
    body: Body
    if method == b"HEAD" or status < 200 or status in {204, 304}:
        body, chunked = Sized(0), False
    elif chunked:
        body = Chunked(plain=False)
    elif length is not None:
        body = Sized(length)
    else:
        body, persistent = Unsized(), False
    kept = b"".join(line for name, _, line in fields if name not in hop)
    return Response(status, b"HTTP/1.1" + first[8:], kept, body, persistent)


def _fields(lines: list[bytes], most: int) -> Fields:
    """(name in lower case, value, line with CR LF) of each header field.

    Anything but `name: value` is refused: folded lines, space before the colon, bare CR or LF, NUL.
    """
    if len(lines) > most:
        raise Malformed(431, "too many fields")
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise Malformed(400, "not a field")
        fields.append((found[1].lower(), found[2].rstrip(b" \t"), line + b"\r\n"))
    return fields


def _options(fields: Fields) -> set[bytes]:
    """What the Connection fields name, in lower case."""
    values = [value for name, value, _ in fields if name == b"connection"]
    return {option.strip(b" \t").lower() for value in values for option in value.split(b",")}


def _hop_by_hop(fields: Fields) -> frozenset[bytes]:
    """The names of the fields that stay on this connection."""
    options = _options(fields)
    if options & _UNNAMEABLE:
        raise Malformed(400, "Connection names a field that must go on")
    return _HOP_BY_HOP | options


def _framing(fields: Fields) -> tuple[int | None, bool]:
    """Content-Length, and whether chunked; never both, never twice (RFC 9112, section 6.3)."""
    lengths = [value for name, value, _ in fields if name == b"content-length"]
    codings = [value for name, value, _ in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise Malformed(400, "ambiguous framing")
    if codings:
        if codings[0].lower() != b"chunked":
            raise Malformed(400, "unknown transfer coding")
        return None, True
    if not lengths:
        return None, False
    if not _LENGTH.fullmatch(lengths[0]):
        raise Malformed(400, "not a length")
    return int(lengths[0]), False


def basic(username: str, password: str) -> bytes:
    """The value of Proxy-Authorization for these credentials (RFC 7617)."""
    return b"Basic " + b64encode(f"{username}:{password}".encode())


def parse_basic(value: bytes) -> tuple[str, str] | None:
    """Username and password of a Proxy-Authorization value; None when it is no such thing."""
    scheme, _, token = value.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        username, colon, password = b64decode(token.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (username, password) if colon else None


def answer(status: int, reason: str, *, error: str | None = None, keep: bool = False) -> bytes:
    """An answer of our own. `error` is a type of RFC 9209 (Proxy-Status)."""
    body = f"Egress proxy: {reason}\n".encode("ascii")
    return (
        b"HTTP/1.1 %d %s\r\n%s%sContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s"
        % (
            status,
            _PHRASES[status],
            _CHALLENGE if status == 407 else b"",
            b"Proxy-Status: egress; error=%s\r\n" % error.encode("ascii") if error else b"",
            len(body),
            b"keep-alive" if keep else b"close",
            body,
        )
    )
