"""A TCP proxy in front of PostgreSQL that can be cut or frozen."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable

# SO_LINGER on, zero seconds: closing sends RST and not FIN.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes connections on to `host:port`, from a thread with an event loop of its own."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._run, name="proxy")

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Reset every connection and refuse new ones: the server has crashed."""
        self._call(self._close)

    def freeze(self) -> None:
        """Pass nothing on, say nothing: the network is gone."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def heal(self) -> None:
        """All is well again; what was frozen goes on."""
        self._call(self._listen)

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            result = function()
            if asyncio.iscoroutine(result):
                await result

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._flowing.wait()
            other_reader, other_writer = await asyncio.open_connection(*self.target)
            self._open.add(other_writer)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, other_writer))
                    group.create_task(self._pump(other_reader, writer))
            finally:
                self._open.discard(other_writer)
                other_writer.close()
        except* OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(64 * 1024):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        writer.close()
