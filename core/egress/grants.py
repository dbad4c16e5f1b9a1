"""What one browser context may do, and what it was refused."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from hmac import compare_digest
from types import TracebackType
from typing import Protocol, Self

from core.egress.dialing import Upstream
from core.egress.hosts import Endpoint, Rules
from core.egress.resolver import LOOKUPS_PER_GRANT
from core.types import Attempt

MAX_DISTINCT = 100


# Stands for every further attempt once there are `MAX_DISTINCT` different ones.
OTHERS = Attempt("", 0, "others")


class Abortable(Protocol):
    """A connection of a grant."""

    def abort(self) -> None:
        """Close both ends now."""


class Grant:
    """The right of one browser context to go out, by its own credentials.

    `refused` counts what the site's rules do not allow, by `Attempt`. Its reasons are `host`, `port`,
    `scheme`, `connections`, `own port`, and `<kind> address`. `failed` counts what was allowed but could
    not be reached. Each holds at most 100 different attempts, and one that stands for all others.
    """

    def __init__(
        self,
        server: str,
        rules: Rules,
        upstream: Upstream | None,
        most_connections: int,
        forget: Callable[[Grant], None],
    ) -> None:
        # `http://127.0.0.1:port`.
        self.server = server
        self.username = secrets.token_hex(8)
        self.password = secrets.token_urlsafe(24)
        self.rules = rules
        self.upstream = upstream
        self.refused: Counter[Attempt] = Counter()
        self.failed: Counter[Attempt] = Counter()
        # Lookups at once.
        self.lookups = asyncio.Semaphore(LOOKUPS_PER_GRANT)
        self._most_connections = most_connections
        self._forget = forget
        self._connections: set[Abortable] = set()

    def __repr__(self) -> str:
        return f"<Grant {self.username}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.revoke()

    def revoke(self) -> None:
        """Admit nothing more, and close every connection of this grant at once. May be repeated."""
        self._forget(self)
        for connection in tuple(self._connections):
            connection.abort()

    def opens_with(self, password: str) -> bool:
        """Whether `password` is the right one; takes the same time for all."""
        return compare_digest(self.password.encode(), password.encode())

    def join(self, connection: Abortable) -> bool:
        """Count `connection`; False when there are too many."""
        if connection not in self._connections:
            if len(self._connections) >= self._most_connections:
                return False
            self._connections.add(connection)
        return True

    def leave(self, connection: Abortable) -> None:
        """`connection` is closed."""
        self._connections.discard(connection)

    def count(self, counter: Counter[Attempt], endpoint: Endpoint, reason: str) -> None:
        """Count an attempt in `refused` or `failed`."""
        attempt = Attempt(str(endpoint.host), endpoint.port, reason)
        if attempt not in counter and len(counter) >= MAX_DISTINCT:
            attempt = OTHERS
        counter[attempt] += 1
