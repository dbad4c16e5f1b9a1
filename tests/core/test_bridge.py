"""The bridge, and the bug that it is there for."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.db import OperationalError, connection, connections

from core import bridge
from core.bridge import bridged
from core.errors import DatabaseUnavailable
from core.models import Account
from tests import factories
from tests.conftest import LoopGuard

pytestmark = pytest.mark.django_db(transaction=True)


def rename(pk: int, username: str) -> int:
    """A plain save helper: one transaction, no model instance in or out."""
    return Account.objects.filter(pk=pk).update(username=username)


def test_plain_save_in_an_async_job_raises_as_the_first_version_did(loop_guard: LoopGuard) -> None:
    loop_guard.expected = True
    account = factories.AccountFactory(username="before")

    async def job() -> None:
        account.username = "after"
        account.save()

    with pytest.raises(SynchronousOnlyOperation, match="use a thread or sync_to_async"):
        asyncio.run(job())
    assert Account.objects.get().username == "before"
    assert loop_guard.calls


def test_bridged_helper_saves_where_the_plain_save_raises() -> None:
    account = factories.AccountFactory(username="before")

    assert bridge.run(lambda: bridged(rename)(account.pk, "after")) == 1

    assert Account.objects.get().username == "after"


def test_crossings_share_one_thread_that_is_not_the_loops() -> None:
    async def threads() -> set[int]:
        names = await asyncio.gather(*(bridged(threading.get_ident)() for _ in range(8)))
        return set(names) | {threading.get_ident()}

    assert len(bridge.run(threads)) == 2


def test_run_leaves_no_connection_open() -> None:
    async def main() -> Any:
        await bridged(Account.objects.count)()
        return await bridged(lambda: connections["default"])()

    wrapper = bridge.run(main)

    assert wrapper.connection is None


def test_run_closes_the_connection_when_the_job_fails() -> None:
    seen: list[Any] = []

    async def main() -> None:
        seen.append(await bridged(lambda: (Account.objects.count(), connections["default"])[1])())
        raise ValueError("the job broke")

    with pytest.raises(ValueError, match="the job broke"):
        bridge.run(main)
    assert seen[0].connection is None


def test_crossing_is_repeated_while_the_database_does_not_answer() -> None:
    calls: list[int] = []

    def flaky() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("database is locked")
        return "saved"

    assert bridge.run(bridged(flaky)) == "saved"
    assert len(calls) == 3


def test_database_that_stays_away_is_reported_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "PATIENCE_SECONDS", 0.05)

    def gone() -> None:
        raise OperationalError("server closed the connection")

    with pytest.raises(DatabaseUnavailable, match="gone: server closed"):
        bridge.run(bridged(gone))


def test_other_errors_are_not_repeated() -> None:
    calls: list[int] = []

    def wrong() -> None:
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        bridge.run(bridged(wrong))
    assert len(calls) == 1


def test_cancelled_crossing_still_commits_which_is_why_writes_are_fenced() -> None:
    account = factories.AccountFactory(username="before")
    entered, release = threading.Event(), threading.Event()

    def slow_rename() -> None:
        entered.set()
        release.wait(10)
        rename(account.pk, "after")

    async def main() -> None:
        crossing = asyncio.ensure_future(bridged(slow_rename)())
        await asyncio.to_thread(entered.wait, 10)
        crossing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await crossing
        release.set()

    bridge.run(main)

    assert connection.vendor  # the test's own connection is another one
    assert Account.objects.get().username == "after"
