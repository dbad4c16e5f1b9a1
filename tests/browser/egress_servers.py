"""Servers on loopback that notice everything that reaches them, and the pages that try to get out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WAYS = (Path(__file__).parent / "egress_ways.js").read_bytes()
PAGES = {
    "base": "<base href='{u}/'><img src='../{way}'>",
    "socket": "<script>new WebSocket('{u}'.replace(/^http/, 'ws'))</script>",
    "fetch": "<script>fetch('{u}')</script>",
    "unload-beacon": "<script>onpagehide = () => navigator.sendBeacon('{u}', 'x')</script>",
    "unload-fetch": "<script>onpagehide = () => fetch('{u}', {{keepalive: true, mode: 'no-cors'}})</script>",
    "location": "<script>location = '{u}'</script>",
    "location-replace": "<script>location.replace('{u}')</script>",
    "meta-refresh": "<meta http-equiv=refresh content='0;url={u}'>",
    "history": "<script>history.pushState(0, '', '#x'); location.assign('{u}')</script>",
    "link-download": "<a download href='{u}'>x</a><script>document.links[0].click()</script>",
    "xslt": "<?xml version='1.0'?><?xml-stylesheet type='text/xsl' href='{u}'?><x/>",
}
HEADERS = {
    "link-header": "Link: <{u}>; rel=preload; as=image",
    "refresh-header": "Refresh: 0; url={u}",
    "csp-report": "Content-Security-Policy: img-src 'none'; report-uri {u}",
    "csp-report-to": "Reporting-Endpoints: e=\"{u}\"\r\nContent-Security-Policy: img-src 'none'; report-to e",
}
WORKER = """
const parameters = new URL(location).searchParams, u = parameters.get('u');
async function go() {
  switch (parameters.get('how')) {
    case 'fetch': return await fetch(u, {mode: 'no-cors'});
    case 'importScripts': return importScripts(u);
    case 'xhr': { const x = new XMLHttpRequest(); x.open('GET', u, false); return x.send(); }
    case 'socket': return await new Promise((done) => {
      const s = new WebSocket(u.replace(/^http/, 'ws')); s.onopen = s.onerror = s.onclose = done;
    });
  }
}
const gone = go().catch(() => null);
self.onconnect = (event) => gone.then(() => event.ports[0].postMessage('done'));
gone.then(() => self.postMessage && self.postMessage('done')).catch(() => null);
"""
SILENCE = (
    b"RIFF\x25\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x01\0\0\0\x80"
)


class Watched:
    """A web server that counts connections, and the ways out that arrived: `/hit/<way>`."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.hits: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split(" ", 2)
                for line in head.split("\r\n"):
                    if line.lower().startswith("content-length:"):
                        await reader.readexactly(int(line.partition(":")[2]))
                writer.write(self.answer(method, target))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    def answer(self, method: str, target: str) -> bytes:
        parts = urlsplit(target)
        url = parse_qs(parts.query).get("u", [""])[0]
        _, kind, *rest = parts.path.split("/")
        if kind == "hit":
            # A preflight is a hit as well.
            self.hits.add(rest[0])
            return respond(b"/* hit */", "text/javascript")
        if kind == "page":
            way = rest[0]
            header = HEADERS.get(way, "").format(u=url)
            html = PAGES.get(way, "<img src=/blocked>").format(u=url, way=way)
            return respond(html.encode(), "text/xml" if way == "xslt" else "text/html", header)
        if kind == "redirect":
            return respond(b"", "text/html", f"Location: {url}", status=int(rest[0]))
        if kind == "worker.js":
            return respond(WORKER.encode(), "text/javascript", "Service-Worker-Allowed: /")
        if kind == "ways.js":
            return respond(WAYS, "text/javascript")
        if kind == "silence.wav":
            return respond(SILENCE, "audio/wav")
        return respond(b"<!doctype html><body><script src=/ways.js></script>", "text/html")

    @asynccontextmanager
    async def running(
        self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Watched]:
        server = await asyncio.start_server(self.serve, host, 0, limit=2**20, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


def respond(body: bytes, kind: str, header: str = "", *, status: int = 200) -> bytes:
    extra = header + "\r\n" if header else ""
    head = (
        f"HTTP/1.1 {status} Yes\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\nCache-Control: no-store\r\n"
    )
    return (head + extra + "\r\n").encode() + body


class Datagrams(asyncio.DatagramProtocol):
    """Counts the datagrams that arrive."""

    def __init__(self) -> None:
        self.port = 0
        self.count = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.count += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Datagrams]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.port = transport.get_extra_info("sockname")[1]
        try:
            yield self
        finally:
            transport.close()
