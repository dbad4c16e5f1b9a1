"""The bridge between async code and the ORM: the only user of `sync_to_async`.

The rule of the project: **one function = one transaction = one crossing**. The functions stay plain
and synchronous (`warmup.store`), so that they are tested as such; `bridged` makes the awaitable twin.

What asgiref and Django do behind it, measured (`docs/adr/0002-the-bridge.md`):

- under `asyncio.run` all thread-sensitive crossings share one executor thread with one database
  connection: a worker's ORM work is serial, and the connection outlives the loop unless closed;
- a cancelled crossing returns at once, but its function goes on and commits: every write must be
  fenced by the caller's lease;
- a transaction must never span an `await`: other coroutines' writes would land in it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import stamina
from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, close_old_connections, connections

from core.errors import DatabaseUnavailable

P = ParamSpec("P")
R = TypeVar("R")


# How long a crossing is tried again, with jitter, while the database does not answer: shorter than the
# lease, so that a run whose lease cannot be renewed has stopped before somebody else may take it.
PATIENCE_SECONDS = 45.0


def bridged(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """`function`, a plain synchronous ORM function of one transaction, as an awaitable one.

    It runs in the one ORM thread of the event loop; what it raises is raised at the `await`. When the
    database does not answer (or breaks a deadlock), the whole function is called again, on a fresh
    connection, for up to PATIENCE_SECONDS; then it raises `DatabaseUnavailable`. So it must be safe to
    repeat when the answer to its commit was lost: fenced, or an upsert.
    """

    @functools.wraps(function)
    def once(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (OperationalError, InterfaceError):
            close_old_connections()
            raise

    crossing = sync_to_async(once, thread_sensitive=True)

    @functools.wraps(function)
    async def awaitable(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            async for attempt in stamina.retry_context(
                on=(OperationalError, InterfaceError),
                attempts=None,
                timeout=PATIENCE_SECONDS,
                wait_initial=0.1,
                wait_max=2.0,
                wait_jitter=0.5,
            ):
                with attempt:
                    return await crossing(*args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            raise DatabaseUnavailable(f"{function.__name__}: {error}".strip()) from error
        raise AssertionError("unreachable: the loop returns or raises")

    return awaitable


def run(main: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run `main()` on an event loop of its own and leave no connection and no task behind.

    For the synchronous entry points of a job. `asyncio.run` cancels and awaits what is left of the
    tasks; before that, the ORM thread's connections are checked once (not on every call: reopening
    one costs more than the crossing) and closed at the end, in the thread that they belong to.
    """

    async def bracketed() -> R:
        await sync_to_async(close_old_connections, thread_sensitive=True)()
        try:
            return await main()
        finally:
            # Shielded: a cancelled job (django-q2's timeout) still gives its connection back.
            await asyncio.shield(
                asyncio.ensure_future(sync_to_async(connections.close_all, thread_sensitive=True)())
            )

    return asyncio.run(bracketed())
