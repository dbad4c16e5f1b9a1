"""core.egress: the proxy as a client on a socket sees it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from core.egress import Attempt, EgressProxy, Grant
from core.egress.messages import basic
from core.errors import InvalidInput
from core.types import ProxySpec
from tests.core.egress_net import (
    Names,
    Origin,
    dial,
    egress,
    header,
    site,
    until,
)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin().running() as server:
        assert isinstance(server, Origin)
        yield server


@pytest.fixture
async def proxy() -> AsyncIterator[EgressProxy]:
    async with egress(Names(site_test=["127.0.0.1"], evil_test=["127.0.0.1"])) as running:
        yield running


@pytest.fixture
def grant(proxy: EgressProxy) -> Grant:
    return proxy.admit(site("site.test", "127.0.0.1"))


# ---- who may come in ------------------------------------------------------------------------------


async def test_request_without_credentials_is_challenged_and_may_try_again(
    grant: Grant, origin: Origin
) -> None:
    async with dial(grant) as client:
        client.send(f"GET http://site.test:{origin.port}/a HTTP/1.1\r\n\r\n".encode())
        head = await client.head()
        body = await client.exactly(int(header(head, "Content-Length") or 0))
        client.get(f"http://site.test:{origin.port}/b")
        status = await client.status()

    assert head.startswith("HTTP/1.1 407 ")
    assert (header(head, "Proxy-Authenticate") or "").startswith("Basic ")
    assert body == b"Egress proxy: credentials needed\n"
    assert status == 200
    assert origin.paths == ["/b"]


@pytest.mark.parametrize(
    "proof",
    [
        b"",
        b"Basic",
        b"Basic !!!!",
        b"Basic " + b"/w==",
        basic("nobody", "nothing"),
        basic("", ""),
        b"Bearer abc",
        b"Digest username=x",
    ],
)
async def test_request_with_wrong_credentials_is_refused(grant: Grant, origin: Origin, proof: bytes) -> None:
    async with dial(grant) as client:
        client.proof = b"Proxy-Authorization: " + proof + b"\r\n"
        client.get(f"http://site.test:{origin.port}/")

        assert await client.status() == 407

    assert origin.connections == 0


async def test_right_name_with_wrong_password_is_refused(grant: Grant, origin: Origin) -> None:
    async with dial(grant) as client:
        client.proof = b"Proxy-Authorization: " + basic(grant.username, grant.password + "x") + b"\r\n"
        client.connect(f"site.test:{origin.port}")

        assert await client.status() == 407

    assert origin.connections == 0


async def test_each_grant_reaches_its_own_site_only(proxy: EgressProxy, grant: Grant, origin: Origin) -> None:
    other = proxy.admit(site("evil.test"))
    async with dial(grant) as first, dial(other) as second:
        first.get(f"http://site.test:{origin.port}/")
        second.get(f"http://site.test:{origin.port}/")
        statuses = await first.status(), await second.status()

    assert statuses == (200, 403)
    assert not grant.refused
    assert dict(other.refused) == {Attempt("site.test", origin.port, "host"): 1}


async def test_connection_stays_with_its_first_grant(
    proxy: EgressProxy, grant: Grant, origin: Origin
) -> None:
    other = proxy.admit(site("site.test"))
    async with dial(grant) as client:
        client.get(f"http://site.test:{origin.port}/")
        assert await client.status() == 200
        client.proof = b"Proxy-Authorization: " + basic(other.username, other.password) + b"\r\n"
        client.get(f"http://site.test:{origin.port}/")

        assert await client.status() == 407


def test_repr_holds_no_password() -> None:
    async def show() -> tuple[str, str]:
        async with EgressProxy() as proxy:
            grant = proxy.admit(site("site.test"), ProxySpec("http://127.0.0.1:1", "user", "upstream-secret"))
            return repr(grant) + repr(grant.upstream), grant.password

    shown, password = asyncio.run(show())

    assert password not in shown
    assert "upstream-secret" not in shown


@pytest.mark.parametrize(
    "bad", ["", "*", "*.com", "a b", "site.test:80", "http://site.test", "*.127.0.0.1", "1.2.3.400"]
)
async def test_admit_with_an_impossible_host_is_an_error(proxy: EgressProxy, bad: str) -> None:
    with pytest.raises(InvalidInput, match=r"allowed_hosts\[1\]"):
        proxy.admit(site("site.test", bad))


# ---- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "attempt"),
    [
        ("http://evil.test/", ("evil.test", 80, "host")),
        ("http://site.test.evil.test/", ("site.test.evil.test", 80, "host")),
        ("http://xsite.test/", ("xsite.test", 80, "host")),
        ("http://127.0.0.2/", ("127.0.0.2", 80, "host")),
        ("http://[::1]/", ("::1", 80, "host")),
        ("http://[::ffff:127.0.0.1]/", ("::ffff:7f00:1", 80, "host")),
        ("http://localhost/", ("localhost", 80, "host")),
        ("https://site.test/", ("site.test", 443, "scheme")),
        ("ftp://site.test/", ("site.test", 80, "scheme")),
        ("ws://site.test/", ("site.test", 80, "scheme")),
    ],
)
async def test_forbidden_request_is_answered_403_and_counted(
    grant: Grant, url: str, attempt: tuple[str, int, str]
) -> None:
    async with dial(grant) as client:
        for _ in range(2):
            client.get(url)
            head = await client.head()
            await client.exactly(int(header(head, "Content-Length") or 0))

    assert head.startswith("HTTP/1.1 403 ")
    assert header(head, "Proxy-Status") == "egress; error=http_request_denied"
    assert dict(grant.refused) == {Attempt(*attempt): 2}


async def test_forbidden_tunnel_is_answered_403_and_ends(grant: Grant, origin: Origin) -> None:
    async with dial(grant) as client:
        client.connect(f"evil.test:{origin.port}", early=b"GET http://site.test/ HTTP/1.1\r\n\r\n")

        assert await client.status() == 403
        assert await client.hung_up()

    assert origin.connections == 0
    assert dict(grant.refused) == {Attempt("evil.test", origin.port, "host"): 1}


async def test_each_request_of_a_connection_is_checked(grant: Grant, origin: Origin) -> None:
    async with dial(grant) as client:
        statuses = []
        for host in ("site.test", "evil.test", "SITE.test.", "127.0.0.2", "0x7f.1"):
            client.get(f"http://{host}:{origin.port}/{host}")
            statuses.append(await client.status())

    assert statuses == [200, 403, 200, 403, 200]
    assert origin.paths == ["/site.test", "/SITE.test.", "/0x7f.1"]


async def test_port_is_limited_where_only_public_addresses_are(proxy: EgressProxy) -> None:
    grant = proxy.admit(site("site.test", private=False, base_url="https://site.test:8443/app"))
    async with dial(grant) as client:
        for port in (80, 443, 8443, 22, 8080):
            client.get(f"http://site.test:{port}/")
            assert await client.status() == 403

    # The allowed ports came as far as the address.
    assert {(attempt.port, attempt.reason) for attempt in grant.refused} == {
        *((port, "loopback address") for port in (80, 443, 8443)),
        *((port, "port") for port in (22, 8080)),
    }


async def test_counts_are_capped(grant: Grant) -> None:
    async with dial(grant) as client:
        for number in range(130):
            client.get(f"http://h{number}.test/")
            await client.status()
        client.get("http://h1.test/")
        await client.status()

    assert len(grant.refused) == 101
    assert grant.refused[Attempt("", 0, "others")] == 30
    assert grant.refused[Attempt("h1.test", 80, "host")] == 2


async def test_body_of_a_refused_request_is_no_request(grant: Grant, origin: Origin) -> None:
    smuggled = f"GET http://site.test:{origin.port}/smuggled HTTP/1.1\r\n\r\n".encode()
    async with dial(grant) as client:
        client.get("http://evil.test/", b"Content-Length: %d" % len(smuggled), method=b"POST", body=smuggled)
        statuses = [await client.status()]
        client.get(f"http://site.test:{origin.port}/after")
        statuses.append(await client.status())

    assert statuses == [403, 200]
    assert origin.paths == ["/after"]


async def test_own_port_is_refused(proxy: EgressProxy, grant: Grant) -> None:
    async with dial(grant) as client:
        client.connect(proxy.server.removeprefix("http://"))

        assert await client.status() == 403

    assert [attempt.reason for attempt in grant.refused] == ["own port"]


# ---- names and addresses --------------------------------------------------------------------------


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
        async with egress(answers, connect=0.3) as proxy:
            grant = proxy.admit(site("*.test.test", host))
            async with dial(grant) as client:
                client.get(f"http://{host}:{port}/")
                assert await client.status() == status
                client.connect(f"{host}:{port}")
                assert await client.status() == status

    assert not grant.refused
    assert dict(grant.failed) == {Attempt(host, port, reason): 2}
