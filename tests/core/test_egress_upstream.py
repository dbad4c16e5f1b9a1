"""core.egress: out through an account's upstream proxy."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from core.egress import EgressProxy, Limits
from core.errors import InvalidInput
from core.types import Attempt, ProxySpec
from tests.core.egress_net import (
    Names,
    Origin,
    Reader,
    Server,
    Writer,
    dial,
    echo,
    egress,
    header,
    self_signed,
    site,
    until,
)

USER, SECRET = "user\u00e9", "s3cret:with colon"


class HttpUpstream(Server):
    """An HTTP proxy that sends every tunnel to `port` on loopback and answers plain requests itself."""

    def __init__(self, port: int = 0, *, answer: bytes = b"HTTP/1.1 200 OK\r\nX-Any: 1\r\n\r\n") -> None:
        super().__init__(self.serve)
        self.target = port
        self.answer = answer
        self.heads: list[str] = []

    async def serve(self, reader: Reader, writer: Writer) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            if not head.startswith("CONNECT"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nvia")
                continue
            writer.write(self.answer)
            if b" 200 " not in self.answer:
                return
            await bridge(reader, writer, self.target)


class Socks(Server):
    """A SOCKS5 proxy; `script` replaces its answers in turn: method, credentials, reply."""

    def __init__(
        self, port: int = 0, *, secret: bool = False, script: Mapping[str, bytes] | None = None
    ) -> None:
        super().__init__(self.serve)
        self.target = port
        self.secret = secret
        self.script = script or {}
        self.asked: list[bytes] = []

    async def serve(self, reader: Reader, writer: Writer) -> None:
        _, count = await reader.readexactly(2)
        self.asked.append(await reader.readexactly(count))
        writer.write(self.script.get("method", b"\x05\x02" if self.secret else b"\x05\x00"))
        if self.secret:
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            self.asked.append(user + b"|" + await reader.readexactly((await reader.readexactly(1))[0]))
            writer.write(self.script.get("credentials", b"\x01\x00"))
        head = await reader.readexactly(4)
        length = {1: 4, 4: 16}.get(head[3]) or (await reader.readexactly(1))[0]
        self.asked.append(bytes([head[3]]) + await reader.readexactly(length + 2))
        reply = self.script.get("reply", b"\x05\x00\x00\x03\x04name\x00\x50")
        writer.write(reply)
        if reply[1:2] == b"\x00":
            await bridge(reader, writer, self.target)
        await reader.read()


async def bridge(reader: Reader, writer: Writer, port: int) -> None:
    async def copy(source: Reader, sink: Writer) -> None:
        while data := await source.read(2**16):
            sink.write(data)
        sink.write_eof()

    there, back = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(copy(reader, back), copy(there, writer))
    finally:
        back.close()


@pytest.fixture
async def proxy() -> AsyncIterator[EgressProxy]:
    async with egress(Names(up_test=["127.0.0.1"]), limits=Limits(connect=3)) as running:
        yield running


@pytest.fixture
async def target() -> AsyncIterator[Server]:
    async with Server(echo).running() as server:
        yield server


def upstream(server: Server, scheme: str = "http", *, secret: bool = True) -> ProxySpec:
    place = f"{scheme}://127.0.0.1:{server.port}"
    return ProxySpec(place, USER, SECRET) if secret else ProxySpec(place)


# ---- http -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [True, False])
async def test_tunnel_goes_through_an_http_proxy(proxy: EgressProxy, target: Server, secret: bool) -> None:
    # The name is unknown here: the upstream proxy resolves it.
    async with HttpUpstream(target.port).running() as up:
        assert isinstance(up, HttpUpstream)
        grant = proxy.admit(site("site.test", private=False), upstream(up, secret=secret))
        async with dial(grant) as client:
            client.connect("SITE.test:443", early=b"hello")
            status = await client.status()
            received = await client.exactly(5)

    assert (status, received) == (200, b"hello")
    assert up.heads[0].startswith("CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n")
    proof = header(up.heads[0], "Proxy-Authorization")
    assert (proof and b64decode(proof.removeprefix("Basic ")).decode()) == (
        f"{USER}:{SECRET}" if secret else None
    )
    assert grant.password not in up.heads[0]


async def test_plain_request_goes_to_an_http_proxy_in_absolute_form(proxy: EgressProxy) -> None:
    async with HttpUpstream().running() as up:
        assert isinstance(up, HttpUpstream)
        grant = proxy.admit(
            site("*.site.test", private=False), ProxySpec(f"http://up.test:{up.port}", USER, SECRET)
        )
        async with dial(grant) as client:
            for place in ("a.site.test/x?y", "a.site.test/z", "evil.test/"):
                client.get(f"http://{place}")
            statuses = [await client.status() for _ in range(3)]

    assert statuses == [200, 200, 403]
    assert [head.split("\r\n")[0] for head in up.heads] == [
        "GET http://a.site.test/x?y HTTP/1.1",
        "GET http://a.site.test/z HTTP/1.1",
    ]
    assert up.connections == 1
    assert all("Proxy-Authorization: Basic" in head and grant.password not in head for head in up.heads)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n", 502, "upstream proxy answered 407"),
        (b"HTTP/1.1 503 No\r\n\r\n", 502, "upstream proxy answered 503"),
        (b"gibberish\r\n\r\n", 502, "upstream proxy makes no sense"),
        (b"HTTP/1.1 ", 502, "upstream proxy makes no sense"),
        (b"", 502, "upstream proxy hung up"),
    ],
)
async def test_refusal_of_an_http_proxy_is_told_without_credentials(
    proxy: EgressProxy, answer: bytes, status: int, reason: str
) -> None:
    async with HttpUpstream(answer=answer).running() as up:
        grant = proxy.admit(site("site.test", private=False), upstream(up))
        async with dial(grant) as client:
            client.connect("site.test:443")
            said = await client.rest()

    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert reason.encode() in said
    assert SECRET.encode() not in said
    assert dict(grant.failed) == {Attempt("site.test", 443, reason): 1}


async def test_plain_407_of_an_upstream_proxy_does_not_reach_the_browser(proxy: EgressProxy) -> None:
    refusal = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"

    async def refuse(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await reader.read()

    async with Server(refuse).running() as up, dial(proxy.admit(site("site.test"), upstream(up))) as client:
        client.get("http://site.test/")

        assert await client.status() == 502


async def test_silent_upstream_proxy_times_out(target: Server) -> None:
    async def silent(reader: Reader, _: Writer) -> None:
        await reader.read()

    async with Server(silent).running() as up, egress(limits=Limits(connect=0.3)) as proxy:
        for scheme in ("http", "socks5", "https"):
            grant = proxy.admit(site("site.test"), upstream(up, scheme))
            async with dial(grant) as client:
                client.connect("site.test:443")
                assert await client.status() == 504
            assert [attempt.reason for attempt in grant.failed] == ["upstream proxy timed out"]
        await until(lambda: up.open == 0)


@pytest.mark.parametrize("server", ["http://127.0.0.1:1", "socks5://unknown.test:1080"])
async def test_missing_upstream_proxy_is_told(proxy: EgressProxy, server: str) -> None:
    grant = proxy.admit(site("site.test"), ProxySpec(server))
    async with dial(grant) as client:
        client.get("http://site.test/")
        assert await client.status() == 502

    assert [attempt.reason.split(":")[0] for attempt in grant.failed] == ["upstream proxy"]


# ---- https ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trusted", [True, False])
async def test_https_proxy_must_be_trusted(tmp_path: Path, target: Server, trusted: bool) -> None:
    certificate = tmp_path / "up.pem"
    serving = self_signed("up.test", certificate)

    def trust() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(certificate) if trusted else None)

    payload = b"x" * 300_000
    async with AsyncExitStack() as stack:
        up = await stack.enter_async_context(HttpUpstream(target.port).running(ssl=serving))
        running = EgressProxy(limits=Limits(), resolve=Names(up_test=["127.0.0.1"]), tls=trust)
        proxy = await stack.enter_async_context(running)
        grant = proxy.admit(site("site.test"), ProxySpec(f"https://up.test:{up.port}", USER, SECRET))
        client = await stack.enter_async_context(dial(grant))
        client.connect("site.test:443")
        status = await client.status()
        if trusted:
            client.send(payload)
            assert await client.exactly(len(payload)) == payload

    assert status == (200 if trusted else 502)
    reasons = [attempt.reason for attempt in grant.failed]
    assert reasons == ([] if trusted else ["upstream proxy: no trusted TLS connection"])


# ---- socks5 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("site.test", b"\x03site.test"),
        ("127.0.0.1", b"\x01\x7f\x00\x00\x01"),
        ("[::1]", b"\x04" + b"\x00" * 15 + b"\x01"),
    ],
)
@pytest.mark.parametrize("secret", [True, False])
async def test_tunnel_goes_through_a_socks_proxy(
    proxy: EgressProxy, target: Server, host: str, asked: bytes, secret: bool
) -> None:
    async with Socks(target.port, secret=secret).running() as up:
        assert isinstance(up, Socks)
        grant = proxy.admit(site("site.test", "127.0.0.1", "::1"), upstream(up, "socks5", secret=secret))
        async with dial(grant) as client:
            client.connect(f"{host}:8443", early=b"hello")
            status = await client.status()
            received = await client.exactly(5)

    assert (status, received) == (200, b"hello")
    assert up.asked[-1] == asked + (8443).to_bytes(2, "big")
    assert up.asked[0] == (b"\x00\x02" if secret else b"\x00")
    assert not secret or up.asked[1] == f"{USER}|{SECRET}".encode()


async def test_plain_request_goes_through_a_socks_proxy_in_origin_form(proxy: EgressProxy) -> None:
    async with Origin().running() as origin:
        assert isinstance(origin, Origin)
        async with (
            Socks(origin.port).running() as up,
            dial(proxy.admit(site("site.test"), upstream(up, "socks5"))) as client,
        ):
            for _ in range(2):
                client.get("http://site.test/x")
                assert await client.status() == 200

    assert origin.paths == ["/x", "/x"]
    assert up.connections == 1
    assert "Proxy-" not in origin.heads[0]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ({"method": b"\x05\xff"}, "upstream proxy wants other credentials"),
        ({"method": b"\x04\x00"}, "upstream proxy makes no sense"),
        ({"credentials": b"\x01\x01"}, "upstream proxy refused the credentials"),
        ({"reply": b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"}, "upstream proxy answered 5"),
        ({"reply": b"\x05\x00\x00\x09\x00\x00"}, "upstream proxy makes no sense"),
    ],
)
async def test_refusal_of_a_socks_proxy_is_told(
    proxy: EgressProxy, script: dict[str, bytes], reason: str
) -> None:
    async with Socks(script=script, secret=True).running() as up:
        grant = proxy.admit(site("site.test"), upstream(up, "socks5"))
        async with dial(grant) as client:
            client.connect("site.test:443")
            assert await client.status() == 502

    assert dict(grant.failed) == {Attempt("site.test", 443, reason): 1}


# ---- what is checked all the same -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("evil.test:443", "host"),
        ("site.test:25", "port"),
        ("127.0.0.1:80", "loopback address"),
        ("0x7f.1:80", "loopback address"),
        ("169.254.169.254:80", "link-local address"),
        ("[::1]:443", "loopback address"),
        ("localhost:443", "loopback address"),
        ("a.localhost.:443", "loopback address"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_rules_hold_with_an_upstream_proxy(
    proxy: EgressProxy, scheme: str, place: str, reason: str
) -> None:
    hosts = ("site.test", "127.0.0.1", "169.254.169.254", "::1", "localhost", "*.a.localhost", "a.localhost")
    async with HttpUpstream().running() as up:
        grant = proxy.admit(site(*hosts, private=False), upstream(up, scheme))
        async with dial(grant) as client:
            client.connect(place)
            assert await client.status() == 403
        async with dial(grant) as client:
            client.get(f"http://{place}/")
            assert await client.status() == 403

    assert {attempt.reason for attempt in grant.refused} == {reason}
    assert up.connections == 0


@pytest.mark.parametrize(
    "server",
    [
        "",
        "up.test:8080",
        "ftp://up.test",
        "socks4://up.test",
        "http://",
        "http://up.test:x",
        "http://u:p4ss@up.test",
    ],
)
async def test_admit_with_an_impossible_upstream_proxy_is_an_error(proxy: EgressProxy, server: str) -> None:
    with pytest.raises(InvalidInput, match="proxy: ") as raised:
        proxy.admit(site("site.test"), ProxySpec(server))

    assert "p4ss" not in str(raised.value)


async def test_admit_with_a_long_socks_password_is_an_error(proxy: EgressProxy) -> None:
    with pytest.raises(InvalidInput, match="255 bytes"):
        proxy.admit(site("site.test"), ProxySpec("socks5://up.test", "user", "x" * 256))
