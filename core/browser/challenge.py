"""A context's credentials, given to the browser once, without Playwright's interception.

With a username in `new_context(proxy=...)`, Playwright pauses every request of the context in its driver
and switches the HTTP cache off, for as long as the context lives. Chromium itself keeps proxy credentials
for the context once it has got them, for its workers and sockets too. So the first challenge is answered
over a DevTools session of our own, and nothing is intercepted after that (`docs/adr/0005-egress.md`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from playwright import async_api as playwright

_DOCUMENTS = [{"urlPattern": "*", "resourceType": "Document"}]


class DevTools(Protocol):
    """What is needed of Playwright's `CDPSession`."""

    async def send(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Call a method of the protocol."""

    async def detach(self) -> None:
        """End the session."""

    def on(self, event: Any, f: Callable[[dict[str, Any]], None]) -> None:
        """Call `f` with the parameters of each such event."""


class FirstChallenge:
    """Answers the first challenge of the proxy to a context that has no username of its own.

    `expect` before the context's first navigation; `end` when the context is closed or given up, which
    also ends what still waits for an answer of the browser. What the browser refuses is left to show in
    the navigation: it ends with 407 (http) or `net::ERR_...` (https).
    """

    def __init__(self, session: DevTools, username: str, password: str) -> None:
        self._session = session
        self._proof = {"response": "ProvideCredentials", "username": username, "password": password}
        self._answers: set[asyncio.Task[None]] = set()

    async def expect(self) -> None:
        """Prepare the page. Raises what the session raises."""
        # The challenge is reported for paused requests only, so documents are paused until then.
        self._session.on("Fetch.requestPaused", lambda event: self._start(self._let_through(event)))
        self._session.on("Fetch.authRequired", lambda event: self._start(self._answer(event)))
        await self._session.send("Fetch.enable", {"handleAuthRequests": True, "patterns": _DOCUMENTS})

    async def end(self) -> None:
        """Leave no task behind."""
        for task in tuple(self._answers):
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    def _start(self, answer: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _let_through(self, event: dict[str, Any]) -> None:
        # The page or the browser may be gone, which others find out and tell.
        with contextlib.suppress(playwright.Error):
            await self._session.send("Fetch.continueRequest", {"requestId": event["requestId"]})

    async def _answer(self, event: dict[str, Any]) -> None:
        ours = event["authChallenge"]["source"] == "Proxy"
        # A site that asks for a password itself is none of ours.
        answer = self._proof if ours else {"response": "Default"}
        reply = {"requestId": event["requestId"], "authChallengeResponse": answer}
        with contextlib.suppress(playwright.Error):
            await self._session.send("Fetch.continueWithAuth", reply)
            if ours:
                await self._session.send("Fetch.disable")
                await self._session.detach()
