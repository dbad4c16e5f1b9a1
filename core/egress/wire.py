"""One TCP or TLS connection, and the moving of bytes from one to another without a task in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from core.egress.bodies import Body, Malformed

# Unread bytes at which a connection is told to wait: no less than the largest head.
BUFFER_BYTES = 256 * 1024


class Patience:
    """Calls `expired` when nothing happens for as long as it was told to wait, in seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._seconds = 0.0
        self._strict = False
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def touch(self) -> None:
        """Something happened."""
        if not self._strict:
            self._last = self._loop.time()

    def allow(self, seconds: float, *, strict: bool = False) -> None:
        """From now on wait `seconds` after each `touch`; with `strict`, from now, whatever happens."""
        self._last = self._loop.time()
        self._seconds, self._strict = seconds, strict
        due = self._last + seconds
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def end(self) -> None:
        """Never call `expired`."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        # A timer that is due too early is moved, which is cheaper than moving it at each touch.
        due = self._last + self._seconds
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._timer = None
            self._expired()


class Wire(asyncio.Protocol):
    """A connection that can be read from, or joined to another one.

    It adds itself to `wires` while it is open; `closed` is done when it is gone.
    """

    def __init__(
        self,
        wires: set[Wire],
        touch: Callable[[], None],
        *,
        made: Callable[[], None] = lambda: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._wires = wires
        self._touch = touch
        self._made = made
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ended = False
        self._news: asyncio.Future[None] | None = None
        # Where to, and how much of, what comes goes; a joined wire has no body.
        self._sink: Wire | None = None
        self._body: Body | None = None
        self._moved: asyncio.Future[bool] | None = None
        # Who writes here, and must wait while we cannot.
        self._source: Wire | None = None
        self._full = False
        self._held = False
        self._paused = False
        self.closed: asyncio.Future[None] = loop.create_future()

    # ---- for the owner ----------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether both sides still talk, and the other one says nothing out of turn."""
        return self._transport is not None and not (
            self._ended or self._buffer or self._transport.is_closing()
        )

    @property
    def unread(self) -> bool:
        """Whether bytes wait here."""
        return bool(self._buffer)

    @property
    def has_head(self) -> bool:
        """Whether a whole head waits here."""
        return b"\r\n\r\n" in self._buffer

    def write(self, data: bytes) -> None:
        """Send `data`; nothing happens when the connection is closing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        """Send what is still to be sent, then the end of our side."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def close(self) -> None:
        """Close when what is still to be sent is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    async def read_head(self, most: int) -> bytes | None:
        """Up to and with the next empty line; None at the end. Raises `Malformed` past `most` bytes."""
        start = 0
        while (end := self._buffer.find(b"\r\n\r\n", start)) < 0 and len(self._buffer) <= most:
            if self._ended:
                if self._buffer:
                    raise Malformed(400, "ended in a head")
                return None
            start = max(0, len(self._buffer) - 3)
            await self.read_more()
        if not 0 <= end <= most - 4:
            raise Malformed(431, "a head that is too long")
        return self._take(end + 4)

    async def read_exactly(self, count: int) -> bytes:
        """The next `count` bytes. Raises `Malformed` when the end comes first."""
        while len(self._buffer) < count:
            if self._ended:
                raise Malformed(502, "ended too early")
            await self.read_more()
        return self._take(count)

    async def read_more(self) -> None:
        """Wait for more bytes, or for the end."""
        if self._ended:
            return
        self._news = self._loop.create_future()
        await self._news

    def move(self, body: Body, sink: Wire | None, lead: bytes = b"") -> asyncio.Future[bool]:
        """Move a body to `sink` (None: nowhere) behind `lead`; the future tells whether it came whole."""
        moved: asyncio.Future[bool] = self._loop.create_future()
        if body.done:
            if sink is not None and lead:
                sink.write(lead)
            moved.set_result(True)
            return moved
        self._moved, self._body = moved, body
        self._aim(sink)
        self._pour(self._take(len(self._buffer)), lead)
        if self._ended:
            self._finish(whole=body.ends_at_close)
        return moved

    def join(self, other: Wire) -> None:
        """From now on, everything that comes here goes to `other`, and the end as well."""
        self._aim(other)
        if self._buffer:
            other.write(self._take(len(self._buffer)))
        if self._ended:
            other.close()

    # ---- for the event loop -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._wires.add(self)
        self._made()

    def data_received(self, data: bytes) -> None:
        self._touch()
        if self._body is not None:
            self._pour(data)
        elif self._sink is not None:
            self._sink.write(data)
        else:
            self._buffer += data
            self._wake()
        if self._buffer:
            self._balance()

    def eof_received(self) -> bool:
        """Keeps a joined connection half open, where the transport can; closes any other."""
        self._ended = True
        if self._body is not None:
            self._finish(whole=self._body.ends_at_close)
        elif self._sink is not None:
            if self._sink._ended:
                self._sink.close()
            else:
                self._sink.end()
                return self._transport is not None and self._transport.can_write_eof()
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._wires.discard(self)
        if self._body is not None:
            self._finish(whole=error is None and self._body.ends_at_close)
        elif self._sink is not None:
            # A reset goes on as one: an end would make half a body look whole.
            self._sink.close() if error is None else self._sink.abort()
        self._wake()
        if not self.closed.done():
            self.closed.set_result(None)
        self._lost()

    def pause_writing(self) -> None:
        self._full = True
        if self._source is not None:
            self._source._hold(held=True)

    def resume_writing(self) -> None:
        self._full = False
        if self._source is not None:
            self._source._hold(held=False)

    # ---- inside -----------------------------------------------------------------------------------

    def _aim(self, sink: Wire | None) -> None:
        self._sink = sink
        if sink is not None:
            sink._source = self
        self._hold(held=sink is not None and sink._full)

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._balance()
        return data

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _pour(self, data: bytes, lead: bytes = b"") -> None:
        """Give the body its bytes, and keep the others."""
        body, sink = self._body, self._sink
        if body is None:
            return
        try:
            taken = body.feed(data)
        except Malformed:
            self._finish(whole=False)
            return
        if sink is not None and (lead or taken):
            sink.write(lead + data[:taken] if lead or taken < len(data) else data)
        if taken < len(data):
            self._buffer += data[taken:]
        if body.done:
            self._finish(whole=True)

    def _finish(self, *, whole: bool) -> None:
        if self._sink is not None:
            self._sink._source = None
        moved = self._moved
        self._body = self._sink = self._moved = None
        self._hold(held=False)
        if moved is not None and not moved.done():
            moved.set_result(whole)

    def _hold(self, *, held: bool) -> None:
        self._held = held
        self._balance()

    def _balance(self) -> None:
        """Read no more while nobody takes it."""
        pause = self._held or len(self._buffer) > BUFFER_BYTES
        if pause == self._paused or self._transport is None:
            return
        self._paused = pause
        if pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
