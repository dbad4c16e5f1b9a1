"""The site as a server: threads, sockets, and the few lines of HTTP that the standard library leaves open."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

from demo_site.app import COOKIE_SECONDS, App
from demo_site.http import NoAnswer, Response, read_request
from demo_site.ledger import BY_SITE, Action, Ledger, Row, Summary
from demo_site.markup import REEL, Markup
from demo_site.sessions import Sessions

MAX_BODY_BYTES = 64 * 1024
# Seconds that a connection may idle. Longer than any browser keeps one, so that the site never
# closes a connection on which a request is under way.
IDLE_SECONDS = 600
STOP_SECONDS = 5.0
# How soon the server sees that it is told to stop.
POLL_SECONDS = 0.02


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], app: App) -> None:
        self.app = app
        self._lock = Lock()
        self._connections: dict[socket.socket, Thread] = {}
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks its host's name up, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A visitor who goes in the middle of an answer is no error of the site's.
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def close_connections(self, seconds: float) -> None:
        """End every connection and wait for its thread, `seconds` at most in total."""
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + seconds
        for thread in connections.values():
            thread.join(max(0.0, deadline - time.monotonic()))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # TCP_NODELAY
    wbufsize = 64 * 1024  # head and body leave in one write
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > MAX_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._answer(self.rfile.read(int(length)))

    def version_string(self) -> str:
        return "demo-site"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """The ledger is the log."""

    def _answer(self, body: bytes) -> None:
        try:
            request = read_request(self.command, self.path, dict(self.headers), body)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        try:
            self._send(self.server.app.respond(request))
        except NoAnswer:
            self._wait_for_the_end()

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Type", response.content_type)
        if response.stream is None:
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)
            return
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in response.stream:
            self.wfile.write(chunk)
            self.wfile.flush()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer without having read the body: what is left of it must not be taken for a request."""
        self.close_connection = True
        text = status.phrase.encode()
        self._send(Response(status, text, "text/plain", headers=(("Connection", "close"),)))

    def _wait_for_the_end(self) -> None:
        """Say nothing until the visitor goes or the site stops."""
        self.close_connection = True
        while not self.server.app.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.5)
            if readable and not self.connection.recv(4096):
                return


class DemoSite:
    """The site, running while its `with` block lasts.

    `port` 0 picks a free one. `ledger` is a file that goes on where it ended, or None for memory.
    `accounts` is the number of `demoNN` accounts. Raises `OSError` when the port is taken.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8801,
        ledger: Path | None = None,
        accounts: int = 12,
        latency_ms: int = 0,
        markup: Markup = REEL,
    ) -> None:
        self.markup = markup
        self._ledger = Ledger(ledger)
        self._sessions = Sessions()
        self._app = App(self._ledger, self._sessions, markup, accounts=accounts, latency_ms=latency_ms)
        try:
            self._server = _Server((host, port), self._app)
        except OSError:
            self._ledger.close()
            raise
        self._thread = Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True, name="demo-site"
        )
        self.port = self._server.server_port
        # Where to reach it: a server on every interface is reached on loopback.
        self.host = "127.0.0.1" if host == "0.0.0.0" else host

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    def ledger(self, *, after: int = 0, account: str | None = None, action: str | None = None) -> list[Row]:
        """The ledger's rows, oldest first; the same as `/ledger.json`."""
        return self._ledger.rows(after=after, account=account, action=action)

    def summary(self) -> Summary:
        """The ledger's counts; the same as `/ledger/summary.json`."""
        return self._ledger.summary()

    def storage_state(self, username: str) -> dict[str, Any]:
        """A Playwright storage state with a fresh session for any username, past the log-in and its row."""
        cookie = {
            "name": self.markup.names.cookie,
            "value": self._sessions.open(username).token,
            "domain": self.host,
            "path": "/",
            "expires": time.time() + COOKIE_SECONDS,
            "httpOnly": True,
            "secure": False,
            "sameSite": "Lax",
        }
        return {"cookies": [cookie], "origins": []}

    def drop_sessions(self, username: str) -> int:
        """End every session of an account, with a `logout` row `by-site` each; returns how many."""
        dropped = self._sessions.drop_all(username)
        for session in dropped:
            self._ledger.append(username, Action.LOGOUT, BY_SITE, session=session.name)
        return len(dropped)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop taking requests, end those under way, and close the ledger."""
        self._app.stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_connections(STOP_SECONDS)
        self._server.server_close()
        self._ledger.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
