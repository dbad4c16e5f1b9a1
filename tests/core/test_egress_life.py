"""core.egress: tunnels, and the ends and limits of connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from core.egress import EgressProxy, Grant, Limits
from core.types import Attempt
from tests.core.egress_net import Names, Origin, Reader, Server, Writer, dial, echo, egress, site, until


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin().running() as server:
        assert isinstance(server, Origin)
        yield server


@pytest.fixture
async def proxy() -> AsyncIterator[EgressProxy]:
    async with egress(Names(site_test=["127.0.0.1"])) as running:
        yield running


@pytest.fixture
def grant(proxy: EgressProxy) -> Grant:
    return proxy.admit(site("site.test"))


# ---- tunnels --------------------------------------------------------------------------------------


async def test_tunnel_carries_bytes_both_ways_and_half_closes(grant: Grant) -> None:
    payload = bytes(range(256)) * 4096
    async with Server(echo).running() as server, dial(grant) as client:
        client.connect(f"site.test:{server.port}", early=b"early")
        head = await client.head()
        client.send(payload)
        client.writer.write_eof()
        received = await client.rest()

    assert head == "HTTP/1.1 200 Connection established\r\n\r\n"
    assert received == b"early" + payload


async def test_tunnel_delivers_what_a_server_says_before_it_closes(grant: Grant) -> None:
    async def greet(_: Reader, writer: Writer) -> None:
        writer.write(b"hello" * 100_000)

    async with Server(greet).running() as server, dial(grant) as client:
        client.connect(f"site.test:{server.port}")
        await client.head()

        assert await client.rest() == b"hello" * 100_000


async def test_tunnel_resets_go_on_as_resets(grant: Grant) -> None:
    async def slam(reader: Reader, writer: Writer) -> None:
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with Server(slam).running() as server, dial(grant) as client:
        client.connect(f"site.test:{server.port}")
        await client.head()
        client.send(b"x")

        assert await client.hung_up()


async def test_server_learns_when_the_browser_goes(grant: Grant) -> None:
    async with Server(echo).running() as server:
        async with dial(grant) as client:
            client.connect(f"site.test:{server.port}")
            await client.head()
        await until(lambda: server.connections == 1 and server.open == 0)


@pytest.mark.parametrize("tunnel", [True, False])
async def test_slow_reader_holds_the_server_back(grant: Grant, tunnel: bool) -> None:
    total, sent = 48 * 2**20, 0
    piece = b"x" * 2**16

    async def pour(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)

    async with Server(pour).running() as server, dial(grant) as client:
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        if tunnel:
            client.connect(f"site.test:{server.port}")
            await client.head()
            client.send(b"GET / HTTP/1.1\r\n\r\n")
        else:
            client.get(f"http://site.test:{server.port}/")
        await client.head()
        seen = -1
        while seen != sent:  # until it has come to a stop
            seen = sent
            await asyncio.sleep(0.1)
        held = sent
        received = len(await client.exactly(total))

    assert held < 24 * 2**20
    assert received == total


# ---- ends and limits ------------------------------------------------------------------------------


async def test_revoke_closes_tunnels_and_admits_nothing_more(proxy: EgressProxy, grant: Grant) -> None:
    other = proxy.admit(site("site.test"))
    async with Server(echo).running() as server, dial(grant) as client, dial(other) as bystander:
        for each in (client, bystander):
            each.connect(f"site.test:{server.port}")
            await each.head()
        grant.revoke()
        grant.revoke()
        assert await client.hung_up()
        async with dial(grant) as late:
            late.connect(f"site.test:{server.port}")
            assert await late.status() == 407
        bystander.send(b"still here")

        assert await bystander.exactly(10) == b"still here"
        assert server.open == 1


async def test_grant_is_revoked_at_the_end_of_its_block(proxy: EgressProxy) -> None:
    async with Server(echo).running() as server:
        with proxy.admit(site("site.test")) as grant:
            async with dial(grant) as client:
                client.connect(f"site.test:{server.port}")
                await client.head()
        await until(lambda: server.open == 0)
    assert not grant._connections


async def test_revoke_ends_a_connection_that_is_being_made() -> None:
    class Hanging(Names):
        async def __call__(self, name: str) -> list[str]:
            self.asked.append(name)
            await asyncio.Event().wait()
            return []

    names = Hanging()
    async with egress(names) as proxy:
        grant = proxy.admit(site("site.test"))
        async with dial(grant) as client:
            client.connect("site.test:80")
            await until(lambda: names.asked)
            grant.revoke()

            assert await client.hung_up()


async def test_exit_closes_everything(origin: Origin) -> None:
    async with Server(echo).running() as server, AsyncExitStack() as clients:
        async with egress(Names(site_test=["127.0.0.1"])) as proxy:
            grant = proxy.admit(site("site.test"))
            tunnel, idle, silent, half = [await clients.enter_async_context(dial(grant)) for _ in range(4)]
            tunnel.connect(f"site.test:{server.port}")
            await tunnel.head()
            idle.get(f"http://site.test:{origin.port}/")
            await idle.status()
            half.send(b"GET http://si")
            await until(lambda: len(proxy._tasks) == 4)
        for client in (tunnel, idle, silent, half):
            assert await client.hung_up()
        await until(lambda: server.open == 0)
        with pytest.raises(ConnectionRefusedError):
            await clients.enter_async_context(dial(grant))


async def test_exit_is_whole_when_it_is_cancelled() -> None:
    proxy = EgressProxy(resolve=Names(site_test=["127.0.0.1"]))
    leave = asyncio.Event()

    async def work() -> None:
        async with proxy:
            leave.set()
            await asyncio.Event().wait()

    async with Server(echo).running() as server:
        task = asyncio.create_task(work())
        await leave.wait()
        async with dial(proxy.admit(site("site.test"))) as client:
            client.connect(f"site.test:{server.port}")
            await client.head()
            # Once for the work, and again for the way out.
            task.cancel()
            asyncio.get_running_loop().call_soon(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not proxy._wires
            assert not proxy._tasks
            assert await client.hung_up()


async def test_connection_that_comes_during_the_exit_is_closed(proxy: EgressProxy, grant: Grant) -> None:
    proxy._shared.closing = True
    async with dial(grant) as client:
        assert await client.hung_up()


async def test_defect_of_ours_is_told_to_the_loop_and_closes_both_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def defective(head: bytes) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("core.egress.connection.parse_request", defective)
    told: list[BaseException | None] = []
    async with EgressProxy(resolve=Names()) as proxy:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        async with dial(proxy.admit(site("site.test"))) as client:
            client.get("http://site.test/")

            assert await client.hung_up()

    assert [str(error) for error in told] == ["a defect"]


@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        (Limits(keep_alive=0.2), b""),
        (Limits(head=0.2), b"GET http://site.test/ HTTP/1.1\r\nX-Slow: "),
    ],
)
async def test_silent_client_is_dropped(limits: Limits, sent: bytes) -> None:
    async with egress(limits=limits) as proxy, dial(proxy.admit(site("site.test"))) as client:
        client.send(sent)

        assert await client.hung_up()


async def test_dripping_head_is_dropped() -> None:
    async with egress(limits=Limits(head=0.3)) as proxy, dial(proxy.admit(site("site.test"))) as client:
        end = asyncio.get_running_loop().time() + 5
        client.send(b"GET http://site.test/ HTTP/1.1\r\n")
        while not client.reader.at_eof() and client.reader.exception() is None:
            assert asyncio.get_running_loop().time() < end
            client.send(b"X: y\r\n")
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("tunnel", [True, False])
async def test_idle_exchange_is_dropped(tunnel: bool) -> None:
    async def silent(reader: Reader, _: Writer) -> None:
        await reader.read()

    async with (
        Server(silent).running() as server,
        egress(Names(site_test=["127.0.0.1"]), limits=Limits(idle=0.3)) as proxy,
        dial(proxy.admit(site("site.test"))) as client,
    ):
        if tunnel:
            client.connect(f"site.test:{server.port}")
            await client.head()
        else:
            client.get(f"http://site.test:{server.port}/")

        assert await client.hung_up()
        await until(lambda: server.open == 0)


async def test_busy_tunnel_outlives_the_idle_limit() -> None:
    async with (
        Server(echo).running() as server,
        egress(Names(site_test=["127.0.0.1"]), limits=Limits(idle=0.5)) as proxy,
        dial(proxy.admit(site("site.test"))) as client,
    ):
        client.connect(f"site.test:{server.port}")
        await client.head()
        for _ in range(12):
            client.send(b"x")
            assert await client.exactly(1) == b"x"
            await asyncio.sleep(0.1)


async def test_connections_of_a_grant_are_limited(origin: Origin) -> None:
    async with egress(Names(site_test=["127.0.0.1"]), limits=Limits(connections=2)) as proxy:
        grant = proxy.admit(site("site.test"))
        other = proxy.admit(site("site.test"))
        url = f"http://site.test:{origin.port}/"
        async with dial(grant) as first, dial(grant) as second, dial(grant) as third, dial(other) as fourth:
            statuses = []
            for client in (first, second, third, fourth):
                client.get(url)
                statuses.append(await client.status())
            await first.aclose()
            await until(lambda: len(grant._connections) == 1)
            third.get(url)
            statuses.append(await third.status())

    assert statuses == [200, 200, 403, 200, 200]
    assert dict(grant.refused) == {Attempt("site.test", origin.port, "connections"): 1}


def test_limits_have_the_documented_values() -> None:
    assert Limits() == Limits(connect=10, head=10, keep_alive=60, idle=300, connections=128)
