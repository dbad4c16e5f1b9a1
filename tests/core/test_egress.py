"""core.egress: the proxy as a client on a socket sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.egress import EgressProxy, Grant
from core.egress.messages import basic
from core.errors import InvalidInput
from core.types import Attempt, ProxySpec
from tests.core.egress_net import (
    Names,
    Origin,
    dial,
    egress,
    header,
    site,
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


async def test_bytes_behind_a_challenged_tunnel_are_no_request(grant: Grant, origin: Origin) -> None:
    async with dial(grant) as client:
        hidden = f"GET http://site.test:{origin.port}/hidden HTTP/1.1\r\n".encode() + client.proof + b"\r\n"
        client.proof = b""
        client.connect("site.test:443", early=hidden)

        assert await client.status() == 407
        assert await client.hung_up()

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


async def test_admit_with_an_impossible_base_url_is_an_error(proxy: EgressProxy) -> None:
    with pytest.raises(InvalidInput, match="base_url"):
        proxy.admit(site("site.test", private=False, base_url="http://site.test:port"))


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


async def test_one_connection_never_mixes_up_its_servers(grant: Grant, origin: Origin) -> None:
    async with Origin().running() as other, dial(grant) as client:
        assert isinstance(other, Origin)
        for number, port in enumerate((origin.port, other.port, other.port, origin.port)):
            client.get(f"http://site.test:{port}/{number}")
            assert await client.status() == 200
        client.get(f"http://127.0.0.1:{origin.port}/4")
        assert await client.status() == 200

    assert origin.paths == ["/0", "/3", "/4"]
    assert other.paths == ["/1", "/2"]
    # The same server by another name is another one.
    assert (origin.connections, other.connections) == (3, 1)


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
