"""Where the body of an HTTP/1.1 message ends (RFC 9112, section 6), without touching its bytes.

`feed(data)` says how many bytes of `data` belong to the body; what follows is another message's.
"""

from __future__ import annotations

import re
from typing import Protocol

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_PLAIN_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n")
_LINE_BYTES = 4096
_TRAILER_BYTES = 16 * 1024


class Malformed(Exception):
    """Not HTTP/1.1 as it should be. Answered with `status`; the connection ends."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Body(Protocol):
    """One message's body."""

    @property
    def done(self) -> bool:
        """Whether all of it was fed."""

    @property
    def ends_at_close(self) -> bool:
        """Whether the end of the connection is the end of the body."""

    def feed(self, data: bytes) -> int:
        """How many of the bytes belong to the body. Raises `Malformed`."""


class Sized:
    """A body of so many bytes."""

    ends_at_close = False

    def __init__(self, length: int) -> None:
        self.length = length
        self._left = length

    @property
    def done(self) -> bool:
        return self._left == 0

    def feed(self, data: bytes) -> int:
        taken = min(self._left, len(data))
        self._left -= taken
        return taken


class Unsized:
    """A response's body that ends when the connection does."""

    done = False
    ends_at_close = True

    def feed(self, data: bytes) -> int:
        return len(data)


class Chunked:
    """A chunked body. With `plain`, for what a client sends, extensions and trailers are refused."""

    ends_at_close = False

    def __init__(self, *, plain: bool) -> None:
        self.done = False
        self._plain = plain
        self._line = b""
        self._left = 0  # bytes of the chunk that are still to come
        self._after_data = False
        self._trailer: int | None = None  # its bytes so far

    def feed(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.done:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            at = end or len(data)
            if len(self._line) > _LINE_BYTES:
                raise Malformed(400, "a chunk's line is too long")
            if end:
                line, self._line = self._line, b""
                self._read(line)
        return at

    def _read(self, line: bytes) -> None:
        """Act on one line: a chunk's size, the end of its data, or a trailer."""
        if self._after_data:
            if line != b"\r\n":
                raise Malformed(400, "a chunk is longer than it says")
            self._after_data = False
        elif self._trailer is not None:
            self._read_trailer(line)
        else:
            size = (_PLAIN_CHUNK if self._plain else _CHUNK).fullmatch(line)
            if size is None:
                raise Malformed(400, "not a chunk")
            self._left = int(size[1], 16)
            self._after_data = self._left > 0
            if self._left == 0:
                self._trailer = 0

    def _read_trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.done = True
            return
        self._trailer = (self._trailer or 0) + len(line)
        if self._plain or self._trailer > _TRAILER_BYTES or not _TRAILER.fullmatch(line):
            raise Malformed(400, "not a trailer")
