"""One connection of a browser to the proxy: request after request, each checked anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.egress.bodies import Malformed, Sized, Unsized
from core.egress.dialing import Dialer, Unreachable
from core.egress.grants import Grant
from core.egress.hosts import Endpoint, Refused
from core.egress.messages import (
    MAX_REQUEST_BYTES,
    MAX_RESPONSE_BYTES,
    Request,
    Response,
    answer,
    parse_request,
    parse_response,
)
from core.egress.wire import Patience, Wire

# Of a request that is not let through, the body is read, so that the answer is not lost in a reset.
MAX_DISCARDED_BYTES = 1024 * 1024
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds, and how many there may be."""

    # To resolve, connect and agree with the upstream proxy, all together.
    connect: float = 10.0
    # From the first byte of a request's head to its last.
    head: float = 10.0
    # Until a request comes.
    keep_alive: float = 60.0
    # Without a byte in either direction, in a tunnel or while a response is awaited. Long polls and
    # quiet WebSockets are part of a site's normal life; the grant's end bounds them all.
    idle: float = 300.0
    connections: int = 128


@dataclass(slots=True)
class Shared:
    """What all connections of a proxy have in common."""

    limits: Limits
    dialer: Dialer
    # The grant that a Proxy-Authorization value belongs to.
    grant_for: Callable[[bytes | None], Grant | None]
    wires: set[Wire]
    tasks: set[asyncio.Task[None]]
    closing: bool = False


class Connection:
    """A connection from a browser, and the one to a server that serves it at the moment."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._limits = shared.limits
        loop = asyncio.get_running_loop()
        self._patience = Patience(loop, self.abort)
        self.client = Wire(shared.wires, self._patience.touch, made=self._begin, lost=self._client_lost)
        self._server: Wire | None = None
        self._server_endpoint: Endpoint | None = None
        self._grant: Grant | None = None
        self._task: asyncio.Task[None] | None = None
        self._joined = False

    def abort(self) -> None:
        """Close both ends now."""
        self.client.abort()
        self._drop_server()
        if self._task is not None:
            self._task.cancel()

    # ---- its life ---------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._shared.closing:
            self.client.abort()
            return
        self._task = asyncio.get_running_loop().create_task(self._serve())
        self._shared.tasks.add(self._task)
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._shared.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect of ours: it must not stay unseen, and nothing may stay open.
            context = {"message": "egress connection failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)
            self.abort()

    def _client_lost(self) -> None:
        self._patience.end()
        if self._grant is not None:
            self._grant.leave(self)
        # In a tunnel, what the browser sent last is still on its way.
        if self._task is not None and not self._joined:
            self._task.cancel()

    async def _serve(self) -> None:
        try:
            while await self._exchange():
                pass
        except Malformed as fault:
            self.client.write(answer(fault.status, str(fault), error="http_request_error"))
        finally:
            self.client.close()
            self._drop_server()

    def _drop_server(self) -> None:
        if self._server is not None:
            self._server.abort()
            self._server = self._server_endpoint = None

    async def _next_head(self) -> bytes | None:
        """The next request's head; None when the browser has no more of them."""
        if not self.client.unread:
            self._patience.allow(self._limits.keep_alive)
            await self.client.read_more()
        if not self.client.has_head:
            self._patience.allow(self._limits.head, strict=True)
        head = await self.client.read_head(MAX_REQUEST_BYTES)
        self._patience.allow(self._limits.idle)
        return head

    # ---- one request ------------------------------------------------------------------------------

    async def _exchange(self) -> bool:
        """Serve one request; whether there may be another one. Raises `Malformed`."""
        head = await self._next_head()
        if head is None:
            return False
        request = parse_request(head)
        grant = self._shared.grant_for(request.credentials)
        if grant is None or self._grant not in {None, grant}:
            return await self._reply(request, 407, "credentials needed")
        try:
            if not grant.join(self):
                raise Refused("connections")
            self._grant = grant
            if request.scheme not in {"http", "connect"}:
                raise Refused("scheme")
            grant.rules.check(request.endpoint)
            if request.is_connect:
                await self._tunnel(request, grant)
                return False
            return await self._forward(request, grant)
        except Refused as refusal:
            grant.count(grant.refused, request.endpoint, refusal.reason)
            return await self._reply(request, 403, refusal.reason, "http_request_denied")
        except Unreachable as failure:
            grant.count(grant.failed, request.endpoint, failure.reason)
            return await self._reply(request, failure.status, failure.reason, failure.error)

    async def _reply(self, request: Request, status: int, reason: str, error: str | None = None) -> bool:
        """An answer of our own in place of the server's; whether the connection can go on."""
        # A browser gives a tunnel up that is refused, but asks again with credentials.
        keep = status == 407 or not request.is_connect
        self.client.write(answer(status, reason, error=error, keep=keep))
        if request.is_connect:
            # Early bytes of the tunnel must not be read as a request.
            return keep and not self.client.unread
        body = request.body
        if isinstance(body, Sized) and body.length > MAX_DISCARDED_BYTES:
            return False
        return await self.client.move(body, None)

    async def _tunnel(self, request: Request, grant: Grant) -> None:
        """Join the browser to the server until both are gone."""
        dialer, endpoint = self._shared.dialer, request.endpoint
        if grant.upstream is None:
            server = await dialer.direct(self._new_wire, endpoint, grant.rules, grant.lookups)
        else:
            grant.rules.check_unresolved(endpoint)
            server = await dialer.tunnel(self._new_wire, grant.upstream, endpoint)
        self._server = server
        self._joined = True
        self.client.write(_ESTABLISHED)
        self.client.join(server)
        server.join(self.client)
        await self.client.closed
        await server.closed

    def _new_wire(self) -> Wire:
        return Wire(self._shared.wires, self._patience.touch)

    # ---- plain HTTP -------------------------------------------------------------------------------

    async def _forward(self, request: Request, grant: Grant) -> bool:
        """One request to a server, and its response; whether there may be another one."""
        reused = (
            self._server_endpoint == request.endpoint and self._server is not None and self._server.usable
        )
        server = self._server if reused and self._server is not None else await self._dial(request, grant)
        upstream = grant.upstream
        if upstream is not None and upstream.takes_requests:
            server.write(request.head(upstream.proof, absolute=True))
        else:
            server.write(request.head())
        upload = self.client.move(request.body, server)
        upload.add_done_callback(self._uploaded)
        response = await self._response(server, request)
        if response is None:
            self._drop_server()
            if reused:
                # The server closed it in the meantime. A browser asks again when a connection that it
                # has used before ends without an answer (RFC 9112, section 9.3.1); only it knows
                # whether the request may be repeated.
                return False
            raise Unreachable("no answer", error="connection_terminated")
        keep = upload.done() and not isinstance(response.body, Unsized)
        whole = await server.move(response.body, self.client, lead=response.head(keep=keep))
        if not whole:
            # Half a response must not look like a whole one.
            self.client.abort()
            return False
        if not response.persistent or not upload.done():
            self._drop_server()
        return keep

    def _uploaded(self, upload: asyncio.Future[bool]) -> None:
        # A server that waits for the rest of a broken body would answer only when it tires.
        if not upload.cancelled() and not upload.result():
            self.abort()

    async def _dial(self, request: Request, grant: Grant) -> Wire:
        """The connection that a plain request goes out on."""
        self._drop_server()
        dialer, endpoint, upstream = self._shared.dialer, request.endpoint, grant.upstream
        if upstream is None:
            server = await dialer.direct(self._new_wire, endpoint, grant.rules, grant.lookups)
        else:
            grant.rules.check_unresolved(endpoint)
            if upstream.takes_requests:
                server = await dialer.upstream(self._new_wire, upstream)
            else:
                server = await dialer.tunnel(self._new_wire, upstream, endpoint)
        self._server, self._server_endpoint = server, endpoint
        return server

    async def _response(self, server: Wire, request: Request) -> Response | None:
        """The final response's head; None when the connection ended before it."""
        while True:
            try:
                head = await server.read_head(MAX_RESPONSE_BYTES)
                response = None if head is None else parse_response(head, request.method)
            except Malformed:
                self._drop_server()
                raise Unreachable("answer makes no sense", error="http_protocol_error") from None
            if response is None:
                return None
            if response.status == 407:
                # A browser would take it for ours, and ask for other credentials.
                self._drop_server()
                raise Unreachable("answered 407", error="http_protocol_error")
            if response.status == 101:
                self._drop_server()
                raise Unreachable("switched protocols unasked", error="http_protocol_error")
            if response.status >= 200:
                return response
            if response.status == 100:
                self.client.write(response.line + b"\r\n\r\n")
