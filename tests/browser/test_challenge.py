"""core.browser: the answer to the proxy's first challenge, on a DevTools session that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from playwright import async_api as playwright

from core.browser.challenge import FirstChallenge

CHALLENGE = {"requestId": "r1", "authChallenge": {"source": "Proxy"}}


class Session:
    """Keeps what is sent; `hang` never answers, `fail` raises."""

    def __init__(self, *, hang: bool = False, fail: bool = False) -> None:
        self.hang, self.fail = hang, fail
        self.sent: list[tuple[str, dict[str, Any] | None]] = []
        self.detached = False
        self.handlers: dict[str, Callable[[dict[str, Any]], None]] = {}

    async def send(self, method: str, params: dict[str, Any] | None = None) -> None:
        self.sent.append((method, params))
        if method != "Fetch.enable" and self.hang:
            await asyncio.Event().wait()
        if method != "Fetch.enable" and self.fail:
            raise playwright.Error("the page is gone")

    async def detach(self) -> None:
        self.detached = True

    def on(self, event: Any, f: Callable[[dict[str, Any]], None]) -> None:
        self.handlers[event] = f

    async def happen(self, event: str, params: dict[str, Any]) -> None:
        self.handlers[event](params)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_challenge_is_answered_once_and_the_session_ends() -> None:
    session = Session()
    challenge = FirstChallenge(session, "user", "password")
    await challenge.expect()
    await session.happen("Fetch.requestPaused", {"requestId": "r0"})
    await session.happen("Fetch.authRequired", CHALLENGE)
    await challenge.end()

    assert [method for method, _ in session.sent] == [
        "Fetch.enable",
        "Fetch.continueRequest",
        "Fetch.continueWithAuth",
        "Fetch.disable",
    ]
    assert session.sent[2][1] == {
        "requestId": "r1",
        "authChallengeResponse": {
            "response": "ProvideCredentials",
            "username": "user",
            "password": "password",
        },
    }
    assert session.detached


async def test_challenge_of_a_site_gets_no_credentials() -> None:
    session = Session()
    await FirstChallenge(session, "user", "password").expect()
    await session.happen("Fetch.authRequired", {"requestId": "r1", "authChallenge": {"source": "Server"}})

    assert session.sent[-1] == (
        "Fetch.continueWithAuth",
        {"requestId": "r1", "authChallengeResponse": {"response": "Default"}},
    )
    assert not session.detached


async def test_end_leaves_no_task_behind_when_the_browser_does_not_answer() -> None:
    session = Session(hang=True)
    before = asyncio.all_tasks()
    challenge = FirstChallenge(session, "user", "password")
    await challenge.expect()
    await session.happen("Fetch.authRequired", CHALLENGE)

    assert asyncio.all_tasks() - before
    await challenge.end()
    assert not asyncio.all_tasks() - before


async def test_page_that_is_gone_is_no_error_of_the_challenge() -> None:
    session = Session(fail=True)
    challenge = FirstChallenge(session, "user", "password")
    await challenge.expect()
    await session.happen("Fetch.requestPaused", {"requestId": "r0"})
    await session.happen("Fetch.authRequired", CHALLENGE)
    await challenge.end()

    assert not session.detached
