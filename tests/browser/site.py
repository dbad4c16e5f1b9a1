"""A small real web site for these tests: the screens of a fake page, and what only a real one can do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes import Screen

# Longer than any test waits: a request that hangs ends with the site.
HANG_SECONDS = 100.0


class Site(ThreadingHTTPServer):
    """Serves `screens` by path, and `handlers` for what is no screen. `hits` counts requests by path."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, screens: Mapping[str, Screen], handlers: Mapping[str, Callable[[Request], None]] | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.screens = screens
        self.handlers = handlers or {}
        self.hits: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """The site's origin."""
        return f"http://127.0.0.1:{self.port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser hangs up when it likes; that is no fault of a test."""


class Request(BaseHTTPRequestHandler):
    """One request to a `Site`."""

    server: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Nothing: a test's output is its own."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.hits[path] += 1
        if path in self.server.handlers:
            self.server.handlers[path](self)
            return
        screen = self.server.screens.get(path, Screen(status=404))
        if screen.hangs:
            self.server.closing.wait(HANG_SECONDS)
            self.close_connection = True
        elif screen.error is not None:
            # An empty answer: net::ERR_EMPTY_RESPONSE.
            self.close_connection = True
        elif screen.redirect is not None:
            self.answer(302, b"", {"Location": screen.redirect})
        else:
            headers = {}
            if screen.retry_after is not None:
                headers["Retry-After"] = f"{screen.retry_after.total_seconds():.0f}"
            self.answer(screen.status, screen.html.encode(), headers)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer; HTML unless `headers` say otherwise."""
        self.send_response(status)
        given = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve(
    screens: Mapping[str, Screen], handlers: Mapping[str, Callable[[Request], None]] | None = None
) -> Iterator[Site]:
    """A running site."""
    site = Site(screens, handlers)
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        site.shutdown()
        site.server_close()
        thread.join()
