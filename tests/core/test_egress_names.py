"""core.egress: names that resolve to what they should not, or not at all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from core.egress import EgressProxy, Limits
from core.types import Attempt
from tests.core.egress_net import Names, Origin, dial, egress, site, until


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin().running() as server:
        assert isinstance(server, Origin)
        yield server


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (["127.0.0.1"], "loopback address"),
        (["::1"], "loopback address"),
        (["::ffff:127.0.0.1"], "loopback address"),
        (["192.168.1.1"], "private address"),
        (["93.184.215.14", "10.0.0.1"], "private address"),
        (["93.184.215.14", "2606:2800:21f:cb07::1", "fe80::1%lo"], "link-local address"),
        (["169.254.169.254"], "link-local address"),
        (["64:ff9b::7f00:1"], "loopback address"),
        (["2002:7f00:1::"], "loopback address"),
        (["0.0.0.0"], "unspecified address"),
    ],
)
async def test_name_with_a_forbidden_address_is_refused(
    origin: Origin, answer: list[str], reason: str
) -> None:
    async with egress(Names(site_test=answer)) as proxy:
        base = f"http://site.test:{origin.port}"
        grant = proxy.admit(site("site.test", private=False, base_url=base))
        async with dial(grant) as client:
            client.get(base + "/")
            assert await client.status() == 403
            client.connect(f"site.test:{origin.port}")
            assert await client.status() == 403

    assert origin.connections == 0
    assert dict(grant.refused) == {Attempt("site.test", origin.port, reason): 2}


async def test_metadata_needs_to_be_listed_even_where_private_addresses_are_allowed(origin: Origin) -> None:
    async with egress(Names(site_test=["169.254.169.254"])) as proxy:
        grant = proxy.admit(site("site.test"))
        async with dial(grant) as client:
            client.get("http://site.test/")
            assert await client.status() == 403

    assert dict(grant.refused) == {Attempt("site.test", 80, "link-local address"): 1}


async def test_rebound_name_is_refused_and_the_checked_address_is_used() -> None:
    names = Names(site_test=["127.0.0.2"])
    async with (
        Origin().running("127.0.0.2") as good,
        egress(names) as proxy,
    ):
        grant = proxy.admit(site("site.test"))
        url = f"http://site.test:{good.port}/"
        async with dial(grant) as client:
            client.get(url)
            assert await client.status() == 200
            # The name changes, but an open connection stays where it is.
            names.answers["site.test"] = ["169.254.169.254"]
            client.get(url)
            assert await client.status() == 200
        async with dial(grant) as client:
            client.get(url)
            assert await client.status() == 403

    assert names.asked == ["site.test", "site.test"]
    assert good.connections == 1


async def test_known_answer_is_checked_for_each_grant(origin: Origin) -> None:
    names = Names(site_test=["127.0.0.1"])
    async with egress(names, cache_seconds=60) as proxy:
        base = f"http://site.test:{origin.port}"
        allowed = proxy.admit(site("site.test"))
        denied = proxy.admit(site("site.test", private=False, base_url=base))
        statuses = []
        for grant in (allowed, denied):
            async with dial(grant) as client:
                client.get(base)
                statuses.append(await client.status())

    assert statuses == [200, 403]
    assert names.asked == ["site.test"]


async def test_same_name_is_looked_up_once_at_a_time(origin: Origin) -> None:
    gate = asyncio.Event()
    names = Names(site_test=["127.0.0.1"])

    class Slow(Names):
        async def __call__(self, name: str) -> list[str]:
            self.asked.append(name)
            await gate.wait()
            return ["127.0.0.1"]

    names = Slow()
    async with egress(names) as proxy:
        grant = proxy.admit(site("site.test"))
        async with dial(grant) as first, dial(grant) as second:
            for client in (first, second):
                client.get(f"http://site.test:{origin.port}/")
            await until(lambda: len(grant._connections) == 2)
            # One of them goes; the other one still gets its answer.
            await first.aclose()
            await until(lambda: len(grant._connections) == 1)
            gate.set()

            assert await second.status() == 200

    assert names.asked == ["site.test"]


async def test_next_address_is_tried_when_one_does_not_answer(origin: Origin) -> None:
    async with egress(Names(site_test=["127.0.0.9", "127.0.0.1"])) as proxy:
        grant = proxy.admit(site("site.test"))
        async with dial(grant) as client:
            client.get(f"http://site.test:{origin.port}/")

            assert await client.status() == 200


async def test_system_resolver_is_the_default(origin: Origin) -> None:
    async with EgressProxy() as proxy:
        grant = proxy.admit(site("localhost"))
        async with dial(grant) as client:
            client.get(f"http://localhost:{origin.port}/")

            assert await client.status() == 200


@pytest.mark.parametrize(
    ("host", "status", "reason"),
    [
        ("unknown.test", 502, "name not found"),
        ("nonsense.test", 502, "name not found"),
        ("nothing.test", 502, "name not found"),
        ("closed.test", 502, "cannot be connected to"),
        ("hanging.test", 504, "timed out"),
    ],
)
async def test_unreachable_server_is_told_and_counted(host: str, status: int, reason: str) -> None:
    class Fickle(Names):
        async def __call__(self, name: str) -> list[str]:
            if name == "hanging.test":
                await asyncio.Event().wait()
            return list(await super().__call__(name))

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and not listening
        port = bound.getsockname()[1]
        answers = Fickle(nonsense_test=["not an address"], nothing_test=[], closed_test=["127.0.0.1"])
        async with egress(answers, limits=Limits(connect=0.3)) as proxy:
            grant = proxy.admit(site("*.test.test", host))
            async with dial(grant) as client:
                client.get(f"http://{host}:{port}/")
                assert await client.status() == status
                client.connect(f"{host}:{port}")
                assert await client.status() == status

    assert not grant.refused
    assert dict(grant.failed) == {Attempt(host, port, reason): 2}
