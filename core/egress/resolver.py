"""Names to addresses: once for each connection, within a deadline, in threads of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from core.egress.addresses import Address

# A name to its addresses, as text. Raises `OSError` when there is none.
Resolve = Callable[[str], Awaitable[Sequence[str]]]

# Lookups wait for servers that a page may have chosen, so they get neither the loop's own executor,
# which others need, nor all threads for one account.
THREADS = 16
LOOKUPS_PER_GRANT = 4
# The contexts of a slice ask for the same names at about the same time. What is kept is checked again
# for each connection.
CACHE_SECONDS = 30.0
CACHED_NAMES = 1024


class Resolver:
    """Looks names up, each once at a time, and keeps the answers for a short while."""

    def __init__(self, resolve: Resolve | None, cache_seconds: float) -> None:
        self._resolve = resolve or self._system
        self._cache_seconds = cache_seconds
        self._known: dict[str, tuple[float, tuple[Address, ...]]] = {}
        self._running: dict[str, asyncio.Task[tuple[Address, ...]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    async def addresses(self, name: str) -> tuple[Address, ...]:
        """The addresses of `name`, at least one. Raises `OSError`."""
        until, known = self._known.get(name, (0.0, ()))
        if known and asyncio.get_running_loop().time() < until:
            return known
        if name not in self._running:
            task = asyncio.get_running_loop().create_task(self._look_up(name))
            self._running[name] = task
            task.add_done_callback(lambda done: self._forget(name, done))
        # Others may wait for the same answer when this one is cancelled.
        return await asyncio.shield(self._running[name])

    def _forget(self, name: str, done: asyncio.Task[tuple[Address, ...]]) -> None:
        self._running.pop(name, None)
        # Read, so that a failure that nobody waited for is no noise in the log.
        _ = done.cancelled() or done.exception()

    async def _look_up(self, name: str) -> tuple[Address, ...]:
        try:
            # A scope (`fe80::1%eth0`) stays part of the address: such a one is link-local.
            found = tuple(dict.fromkeys(ip_address(text) for text in await self._resolve(name)))
        except ValueError:
            raise OSError("the resolver's answer is no address") from None
        if not found:
            raise OSError("no address")
        if self._cache_seconds > 0:
            if len(self._known) >= CACHED_NAMES:
                self._known.clear()
            self._known[name] = (asyncio.get_running_loop().time() + self._cache_seconds, found)
        return found

    async def _system(self, name: str) -> list[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="egress-dns")
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        )
        return [str(address[0]) for *_, address in found]

    def close(self) -> list[asyncio.Task[tuple[Address, ...]]]:
        """Cancel what runs, and return it to be awaited.

        A thread inside the system's resolver cannot be stopped: it ends by the resolver's own time-out.
        """
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        return running
