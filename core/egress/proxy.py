"""The proxy: a listening socket on loopback, and the grants that open it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from core.egress.connection import Connection, Limits, Shared
from core.egress.dialing import Dialer, Upstream
from core.egress.grants import Grant
from core.egress.hosts import Rules
from core.egress.messages import parse_basic
from core.egress.resolver import CACHE_SECONDS, Resolve, Resolver
from core.egress.wire import Wire
from core.types import ProxySpec, SiteSpec

_BACKLOG = 512


class EgressProxy:
    """An allow-list HTTP proxy on the running event loop; it refuses what no grant allows.

    `async with EgressProxy() as proxy:` listens on 127.0.0.1 and raises `OSError` where that fails. On
    the way out every connection is closed and every task awaited, also when the caller is cancelled.
    `resolve` and `tls` (for https:// upstream proxies) are for tests.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        resolve: Resolve | None = None,
        cache_seconds: float = CACHE_SECONDS,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._limits = limits or Limits()
        self._resolver = Resolver(resolve, cache_seconds)
        self._tls = tls
        self._grants: dict[str, Grant] = {}
        self._wires: set[Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self._shared: Shared
        self._port = 0

    @property
    def server(self) -> str:
        """`http://127.0.0.1:port`, for `proxy={"server": ...}`."""
        return f"http://127.0.0.1:{self._port}"

    def admit(self, site: SiteSpec, upstream: ProxySpec | None = None) -> Grant:
        """A grant for one browser context: to the hosts of `site`, through `upstream` if there is one.

        Raises `InvalidInput` when an allowed host or the upstream proxy makes no sense.
        """
        grant = Grant(
            self.server,
            Rules.of(site),
            None if upstream is None else Upstream.of(upstream),
            self._limits.connections,
            self._forget,
        )
        self._grants[grant.username] = grant
        return grant

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", 0, backlog=_BACKLOG)
        self._port = self._server.sockets[0].getsockname()[1]
        dialer = Dialer(self._resolver, deadline=self._limits.connect, tls=self._tls, own_port=self._port)
        self._shared = Shared(self._limits, dialer, self._grant_for, self._wires, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shared.closing = True
        self._server.close()
        self._grants.clear()
        ending = [*self._tasks, *self._resolver.close()]
        for task in self._tasks:
            task.cancel()
        for wire in tuple(self._wires):
            wire.abort()
        # From 3.12 on it waits for the connections that the server has accepted.
        closed = asyncio.ensure_future(self._server.wait_closed())
        await _ended([closed, *ending, *(wire.closed for wire in self._wires)])

    def _forget(self, grant: Grant) -> None:
        self._grants.pop(grant.username, None)

    def _accept(self) -> Wire:
        return Connection(self._shared).client

    def _grant_for(self, credentials: bytes | None) -> Grant | None:
        username, password = (credentials and parse_basic(credentials)) or ("", "")
        grant = self._grants.get(username)
        return grant if grant is not None and grant.opens_with(password) else None


async def _ended(futures: Iterable[asyncio.Future[Any]]) -> None:
    """Wait for futures that end without anybody's help, also when this is cancelled."""
    cancelled = False
    futures = list(futures)
    while pending := [future for future in futures if not future.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
