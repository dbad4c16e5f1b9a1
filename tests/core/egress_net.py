"""Servers and clients on loopback for the tests of core.egress; plain sockets, so that bytes are seen."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.egress import EgressProxy, Grant, Limits
from core.egress.messages import basic
from core.types import SiteSpec

SECONDS = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Handler = Callable[[Reader, Writer], Awaitable[None]]


def site(*hosts: str, private: bool = True, base_url: str = "http://site.test") -> SiteSpec:
    return SiteSpec("site", base_url, hosts, {}, allow_private_addresses=private)


class Names:
    """A resolver whose answers a test writes; `asked` holds every question."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers = {name.replace("_", "."): list(answer) for name, answer in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name not in self.answers:
            raise OSError("no such name")
        return self.answers[name]


class Server:
    """A listening socket; every connection and what came over it is kept."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.port = 0
        self.connections = 0
        self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            # Not to be cancelled from here on: asyncio would log that.
            self._tasks.discard(task)
            self.open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self.accept, host, 0, limit=2**20, **options)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


class Origin(Server):
    """A web server: `answers` by path are raw bytes, after which the connection closes where they say so."""

    def __init__(self, **answers: bytes) -> None:
        super().__init__(self.serve)
        self.answers = {f"/{path}": answer for path, answer in answers.items()}
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    @property
    def paths(self) -> list[str]:
        return [head.split()[1] for head in self.heads]

    async def serve(self, reader: Reader, writer: Writer) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            length = header(head, "Content-Length")
            if length is not None:
                self.bodies.append(await reader.readexactly(int(length)))
            elif header(head, "Transfer-Encoding") == "chunked":
                self.bodies.append(await reader.readuntil(b"0\r\n\r\n"))
            answer = self.answers.get(head.split()[1], OK)
            writer.write(answer)
            await writer.drain()
            if b"Connection: close" in answer or not answer:
                return


def header(head: str, name: str) -> str | None:
    """The value of a field, in a head as text."""
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


async def echo(reader: Reader, writer: Writer) -> None:
    """Send back what comes, then the end."""
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


class Client:
    """A raw connection to a proxy, with the credentials of a grant."""

    def __init__(self, grant: Grant, reader: Reader, writer: Writer) -> None:
        self.proof = b"Proxy-Authorization: " + basic(grant.username, grant.password) + b"\r\n"
        self.reader = reader
        self.writer = writer

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    def get(self, url: str, *fields: bytes, method: bytes = b"GET", body: bytes = b"") -> None:
        extra = b"".join(field + b"\r\n" for field in fields)
        self.send(method, b" ", url.encode(), b" HTTP/1.1\r\nHost: x\r\n", self.proof, extra, b"\r\n", body)

    def connect(self, place: str, early: bytes = b"") -> None:
        self.send(b"CONNECT ", place.encode(), b" HTTP/1.1\r\nHost: x\r\n", self.proof, b"\r\n", early)

    async def head(self) -> str:
        async with asyncio.timeout(SECONDS):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")

    async def status(self) -> int:
        """The status of the next answer, which is read whole."""
        head = await self.head()
        await self.exactly(int(header(head, "Content-Length") or 0))
        return int(head.split()[1])

    async def exactly(self, count: int) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        """Everything until the end; raises `ConnectionError` after a reset."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    async def hung_up(self) -> bool:
        """Whether the proxy ends the connection without another byte."""
        try:
            return await self.rest() == b""
        except ConnectionError:
            return True

    async def aclose(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def dial(grant: Grant) -> AsyncIterator[Client]:
    host, _, port = grant.server.removeprefix("http://").rpartition(":")
    client = Client(grant, *await asyncio.open_connection(host, int(port), limit=2**20))
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def egress(
    names: Names | None = None, *, limits: Limits | None = None, cache_seconds: float = 0
) -> AsyncIterator[EgressProxy]:
    """A proxy; fails the test when anything of it is left, or when the loop had to handle an error."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    proxy = EgressProxy(limits=limits, resolve=names or Names(), cache_seconds=cache_seconds)
    async with proxy:
        yield proxy
    assert not proxy._wires
    assert not proxy._tasks
    assert {task for task in asyncio.all_tasks() - before if "egress" in repr(task.get_coro())} == set()
    assert not complaints, complaints


def self_signed(name: str, path: Path) -> ssl.SSLContext:
    """A server's TLS context for `name`; its key and certificate, signed by itself, are written to `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context


async def until(happened: Callable[[], object]) -> None:
    """Wait for a state, a bounded time."""
    async with asyncio.timeout(SECONDS):
        while not happened():  # noqa: ASYNC110 - the state is another party's
            await asyncio.sleep(0.005)
