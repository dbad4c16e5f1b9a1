"""core.egress: what goes on of a plain request and its response, and what is no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.egress import EgressProxy, Grant
from core.egress.bodies import Chunked, Malformed
from core.egress.messages import parse_basic, parse_request, parse_response
from core.types import Attempt
from tests.core.egress_net import (
    Client,
    Names,
    Origin,
    Reader,
    Server,
    Writer,
    dial,
    egress,
    header,
    site,
    until,
)


@pytest.fixture
async def proxy() -> AsyncIterator[EgressProxy]:
    async with egress(Names(site_test=["127.0.0.1"])) as running:
        yield running


@pytest.fixture
def grant(proxy: EgressProxy) -> Grant:
    return proxy.admit(site("site.test"))


@pytest.fixture
async def client(grant: Grant) -> AsyncIterator[Client]:
    async with dial(grant) as connected:
        yield connected


# ---- what goes on ---------------------------------------------------------------------------------


async def test_request_goes_on_without_what_was_for_the_proxy(client: Client) -> None:
    fields = (
        b"Accept: */*",
        b"Cookie: a=1",
        b"Connection: keep-alive, X-Private",
        b"X-Private: secret",
        b"Proxy-Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"TE: trailers",
        b"Upgrade: h2c",
    )
    async with Origin().running() as origin:
        client.get(f"http://Site.Test:{origin.port}/a/b?c=d%20e", *fields)
        await client.status()

    assert isinstance(origin, Origin)
    assert origin.heads == [
        "GET /a/b?c=d%20e HTTP/1.1\r\n"
        f"Host: site.test:{origin.port}\r\n"
        "Connection: keep-alive\r\n"
        "Accept: */*\r\n"
        "Cookie: a=1\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://site.test", b"/", b"site.test"),
        ("http://site.test?q", b"/?q", b"site.test"),
        ("HTTP://SITE.test.:80/x", b"/x", b"site.test"),
        ("http://site.test:8080/", b"/", b"site.test:8080"),
        ("http://site.test:180/", b"/", b"site.test:180"),
        ("http://[::1]:80/", b"/", b"[::1]"),
        ("http://0x7f.1/", b"/", b"127.0.0.1"),
    ],
)
def test_host_is_written_from_the_target(url: str, target: bytes, host: bytes) -> None:
    request = parse_request(f"GET {url} HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n".encode())

    assert request.head() == b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\n\r\n" % (target, host)


async def test_bodies_go_both_ways(client: Client) -> None:
    async with Origin().running() as origin:
        assert isinstance(origin, Origin)
        url = f"http://site.test:{origin.port}/"
        client.get(url, b"Content-Length: 5", method=b"POST", body=b"hello")
        statuses = [await client.status()]
        client.get(url, b"Transfer-Encoding: chunked", method=b"PUT", body=b"3\r\nabc\r\n")
        client.send(b"2\r\nde\r\n", b"0\r\n\r\n")
        statuses.append(await client.status())

    assert statuses == [200, 200]
    assert origin.bodies == [b"hello", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"]
    assert origin.connections == 1


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    async with Origin().running() as origin:
        assert isinstance(origin, Origin)
        for place in ("a", "b", "c"):
            client.get(f"http://site.test:{origin.port}/{place}")
        statuses = [await client.status() for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert origin.paths == ["/a", "/b", "/c"]
    assert origin.connections == 1


@pytest.mark.parametrize(
    ("answer", "head", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: x\r\n\r\nabc", "keep-alive", b"abc"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", "keep-alive", b"abc"),
        (b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", "keep-alive", b"abc"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", "close", b"abc"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "keep-alive", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "keep-alive", b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
            "keep-alive",
            b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz",
            "keep-alive",
            b"z",
        ),
    ],
)
async def test_response_comes_back_whole(client: Client, answer: bytes, head: str, body: bytes) -> None:
    async with Origin(x=answer).running() as origin:
        assert isinstance(origin, Origin)
        client.get(f"http://site.test:{origin.port}/x")
        got = await client.head()
        if answer.startswith(b"HTTP/1.1 100 "):
            assert got == "HTTP/1.1 100 Continue\r\n\r\n"
            got = await client.head()
        received = await client.exactly(len(body))
        if head == "keep-alive":
            client.get(f"http://site.test:{origin.port}/next")
            assert await client.status() == 200
        else:
            assert await client.hung_up()

    assert header(got, "Connection") == head
    assert header(got, "Keep-Alive") is None
    assert received == body


async def test_answer_to_head_has_no_body(client: Client) -> None:
    async with Origin(x=b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n").running() as origin:
        client.get(f"http://site.test:{origin.port}/x", method=b"HEAD")
        assert header(await client.head(), "Content-Length") == "999"
        client.get(f"http://site.test:{origin.port}/")

        assert await client.status() == 200


async def test_early_answer_ends_the_connection(client: Client) -> None:
    async def impatient(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with Server(impatient).running() as server:
        client.get(f"http://site.test:{server.port}/", b"Content-Length: 100", method=b"POST", body=b"x")
        head = await client.head()

        assert head.startswith("HTTP/1.1 413 ")
        assert header(head, "Connection") == "close"
        assert await client.hung_up()


async def test_connection_that_the_server_closed_is_made_again(client: Client) -> None:
    async with Origin(
        x=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ).running() as origin:
        assert isinstance(origin, Origin)
        for _ in range(3):
            client.get(f"http://site.test:{origin.port}/x")
            assert await client.status() == 200

    assert origin.connections == 3


async def test_reused_connection_that_ends_without_an_answer_ends_here_too(
    client: Client, grant: Grant
) -> None:
    """A browser asks again then; an answer of ours would be final."""
    async with Origin(gone=b"").running() as origin:
        client.get(f"http://site.test:{origin.port}/")
        assert await client.status() == 200
        client.get(f"http://site.test:{origin.port}/gone")

        assert await client.hung_up()
    assert not grant.failed


# ---- what is no HTTP ------------------------------------------------------------------------------

GET = b"GET http://site.test/ HTTP/1.1\r\n"
POST = b"POST http://site.test/ HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: site.test\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n", 400),
        (b"GET http://site.test/ HTTP/1.0\r\n", 505),
        (b"GET http://site.test/ HTTP/2.0\r\n", 400),
        (b"GET  http://site.test/ HTTP/1.1\r\n", 400),
        (b"GET http://site.test/a b HTTP/1.1\r\n", 400),
        (b"GET http://site.test/#x HTTP/1.1\r\n", 400),
        (b"GET http://user@site.test/ HTTP/1.1\r\n", 400),
        (b"GET http://site.test:0/ HTTP/1.1\r\n", 400),
        (b"GET http://site.test:99999/ HTTP/1.1\r\n", 400),
        (b"GET http://site.test:8x/ HTTP/1.1\r\n", 400),
        (b"GET http:///x HTTP/1.1\r\n", 400),
        (b"GET http://site%2etest/ HTTP/1.1\r\n", 400),
        (b"GET http://[::1/ HTTP/1.1\r\n", 400),
        (b"GET mailto:x HTTP/1.1\r\n", 400),
        (b"G\x00T http://site.test/ HTTP/1.1\r\n", 400),
        (b"CONNECT site.test HTTP/1.1\r\n", 400),
        (b"CONNECT http://site.test:80/ HTTP/1.1\r\n", 400),
        (b"CONNECT site.test:80 HTTP/1.1\r\nContent-Length: 3\r\n", 400),
        (b"CONNECT site.test:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 400),
        (GET + b"Host: a\r\nHost: a\r\n", 400),
        (GET + b"NoColon\r\n", 400),
        (GET + b" Folded: x\r\n", 400),
        (GET + b"A: b\r\n c\r\n", 400),
        (GET + b"Space : x\r\n", 400),
        (GET + b": x\r\n", 400),
        (GET + b"A: b\nContent-Length: 9\r\n", 400),
        (GET + b"A: b\rB: c\r\n", 400),
        (GET + b"A: b\x00\r\n", 400),
        (GET + b"Connection: Host\r\n", 400),
        (GET + b"Connection: content-length\r\n", 400),
        (GET + b"Proxy-Authorization: Basic x\r\nProxy-Authorization: Basic y\r\n", 400),
        (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        (POST + b"Content-Length: 3, 3\r\n", 400),
        (POST + b"Content-Length: +3\r\n", 400),
        (POST + b"Content-Length: 0x3\r\n", 400),
        (POST + b"Content-Length: \r\n", 400),
        (POST + b"Content-Length: \xb2\r\n", 400),
        (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n", 400),
        (POST + b"Transfer-Encoding: chunked, identity\r\n", 400),
        (POST + b"Transfer-Encoding: \x0bchunked\r\n", 400),
        (GET + b"X: y\r\n" * 101, 431),
        (GET + b"X: " + b"y" * 65536 + b"\r\n", 431),
        (b"GET http://site.test/" + b"y" * 65536 + b" HTTP/1.1\r\n", 431),
    ],
)
async def test_ambiguous_request_is_refused_and_the_connection_ends(
    client: Client, head: bytes, status: int
) -> None:
    client.send(head, client.proof if status != 431 and b"Proxy-" not in head else b"", b"\r\n")
    with contextlib.suppress(ConnectionError):
        assert await client.status() == status
        assert await client.hung_up()


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"-1\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3;ext=1\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"0\r\nHost: evil.test\r\n\r\n",
        b"1" * 5000,
        b"F" * 16 + b"\r\n",
    ],
)
async def test_broken_chunks_of_a_request_end_the_connection(client: Client, body: bytes) -> None:
    received = b""

    async def record(reader: Reader, _: Writer) -> None:
        nonlocal received
        while data := await reader.read(2**16):
            received += data

    async with Server(record).running() as server:
        url = f"http://site.test:{server.port}/"
        client.get(url, b"Transfer-Encoding: chunked", method=b"POST", body=body)
        assert await client.hung_up()
        await until(lambda: server.open == 0)

    # Nothing that could be read as the end of this request, or as another one.
    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b"HTTP/1.1") <= 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/3 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000,
        b"",
    ],
)
async def test_answer_that_makes_no_sense_becomes_502(client: Client, grant: Grant, answer: bytes) -> None:
    async with Origin(x=answer).running() as origin:
        client.get(f"http://site.test:{origin.port}/x")
        assert await client.status() == 502
        client.get(f"http://site.test:{origin.port}/after")
        assert await client.status() == 200

    assert sum(grant.failed.values()) == 1
    assert all(isinstance(attempt, Attempt) and attempt.host == "site.test" for attempt in grant.failed)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_half_an_answer_ends_in_a_reset_or_short(client: Client, answer: bytes) -> None:
    async with Origin(x=answer).running() as origin:
        client.get(f"http://site.test:{origin.port}/x")
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await client.head()
            assert b"0\r\n\r\n" not in await client.rest()


# ---- whatever comes -------------------------------------------------------------------------------

WORDS = (
    b"GET |http://|site.test|:80|/| HTTP/1.1|\r\n|\n|:| |Host|\x00|Content-Length|Transfer-Encoding|chunked"
    b"|CONNECT |[::1]|Connection|,|999999999999999999999999999999"
)
PIECES = st.sampled_from(WORDS.split(b"|"))


@given(st.lists(PIECES | st.binary(max_size=5), max_size=20).map(b"".join))
def test_heads_are_parsed_or_malformed(data: bytes) -> None:
    for parse in (parse_request, lambda head: parse_response(head, b"GET")):
        with contextlib.suppress(Malformed):
            parse(data + b"\r\n\r\n")
    parse_basic(data)


@given(st.binary(max_size=60), st.binary(max_size=20), st.lists(st.integers(1, 9), max_size=30))
def test_chunked_body_ends_at_the_same_byte_however_it_is_cut(
    data: bytes, after: bytes, cuts: list[int]
) -> None:
    chunks = [data[start : start + 7] for start in range(0, len(data), 7)]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    stream, body, taken = coded + after, Chunked(plain=True), 0

    while stream and not body.done:
        size = cuts.pop() if cuts else len(stream)
        count = body.feed(stream[:size])
        taken += count
        stream = stream[count:]

    assert body.done
    assert taken == len(coded)


@given(st.binary(max_size=80), st.booleans())
def test_chunked_body_is_read_or_malformed(data: bytes, plain: bool) -> None:
    body = Chunked(plain=plain)
    with contextlib.suppress(Malformed):
        assert 0 <= body.feed(data) <= len(data)
