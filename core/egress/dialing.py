"""Ways to a server: straight to a checked address, or through an account's upstream proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from core.egress.addresses import Address, kind_of
from core.egress.bodies import Malformed
from core.egress.hosts import Endpoint, Host, Refused, Rules, parse_host
from core.egress.messages import MAX_REQUEST_BYTES, basic, parse_response
from core.egress.resolver import Resolver
from core.egress.wire import Wire
from core.errors import InvalidInput
from core.types import ProxySpec

_UPSTREAM_PORTS = {"http": 80, "https": 443, "socks5": 1080}
_SOCKS_FIELD_BYTES = 255

# Makes the protocol of a new connection.
NewWire = Callable[[], Wire]


class Unreachable(Exception):
    """The server, or the upstream proxy, cannot be reached. Answered with `status` and counted.

    `error` is a type of RFC 9209. The text holds no credentials. Never leaves this package.
    """

    def __init__(self, reason: str, *, status: int = 502, error: str = "destination_unavailable") -> None:
        self.reason = reason
        self.status = status
        self.error = error
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Upstream:
    """An account's upstream proxy; made by `Upstream.of`."""

    scheme: str
    host: Host
    port: int
    username: str | None = field(repr=False)
    password: str = field(repr=False)

    @classmethod
    def of(cls, spec: ProxySpec) -> Upstream:
        """Raises `InvalidInput` for what is no http, https or socks5 proxy; never quotes it."""
        try:
            parts = urlsplit(spec.server)
            port = parts.port or _UPSTREAM_PORTS[parts.scheme]
            name = parts.hostname or ""
            host = parse_host(f"[{name}]" if ":" in name else name)
        except (ValueError, KeyError):
            raise InvalidInput(["proxy: not http://, https:// or socks5:// with a host"]) from None
        if "@" in parts.netloc:
            raise InvalidInput(["proxy: username and password belong in their own fields"])
        if parts.scheme == "socks5":
            # RFC 1929.
            for secret in (spec.username or "", spec.password or ""):
                if len(secret.encode()) > _SOCKS_FIELD_BYTES:
                    raise InvalidInput([f"proxy: SOCKS5 takes at most {_SOCKS_FIELD_BYTES} bytes"])
        return cls(parts.scheme, host, port, spec.username or None, spec.password or "")

    @property
    def proof(self) -> bytes | None:
        """The value of Proxy-Authorization for it."""
        return None if self.username is None else basic(self.username, self.password)

    @property
    def takes_requests(self) -> bool:
        """Whether plain requests go to it in absolute form, rather than through a tunnel."""
        return self.scheme != "socks5"


class Dialer:
    """Opens connections. Every method raises `Refused` or `Unreachable`, and leaves nothing open then."""

    def __init__(
        self, resolver: Resolver, *, deadline: float, tls: Callable[[], ssl.SSLContext], own_port: int
    ) -> None:
        self._resolver = resolver
        self._deadline = deadline
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._own_port = own_port

    async def direct(
        self, new_wire: NewWire, endpoint: Endpoint, rules: Rules, lookups: asyncio.Semaphore
    ) -> Wire:
        """A connection to one of the addresses of `endpoint`, all of which are allowed."""
        try:
            async with asyncio.timeout(self._deadline):
                addresses = await self._resolve(endpoint.host, lookups)
                # One bad address condemns the name: a mixed answer is how rebinding looks.
                for address in addresses:
                    rules.check_address(address)
                    if endpoint.port == self._own_port and kind_of(address) == "loopback":
                        raise Refused("own port")
                return await self._connect(new_wire, addresses, endpoint.port, secure=None)
        except TimeoutError:
            raise Unreachable("timed out", status=504, error="connection_timeout") from None

    async def tunnel(self, new_wire: NewWire, upstream: Upstream, endpoint: Endpoint) -> Wire:
        """A connection to `endpoint` through `upstream`, which resolves the name."""
        try:
            async with asyncio.timeout(self._deadline):
                wire = await self._to(new_wire, upstream)
                try:
                    if upstream.scheme == "socks5":
                        await _socks(wire, upstream, endpoint)
                    else:
                        await _http_connect(wire, upstream, endpoint)
                except Malformed:
                    wire.abort()
                    raise Unreachable("upstream proxy makes no sense") from None
                except BaseException:
                    wire.abort()
                    raise
                return wire
        except TimeoutError:
            raise Unreachable("upstream proxy timed out", status=504, error="connection_timeout") from None

    async def upstream(self, new_wire: NewWire, upstream: Upstream) -> Wire:
        """A connection to `upstream` itself."""
        try:
            async with asyncio.timeout(self._deadline):
                return await self._to(new_wire, upstream)
        except TimeoutError:
            raise Unreachable("upstream proxy timed out", status=504, error="connection_timeout") from None

    async def _to(self, new_wire: NewWire, upstream: Upstream) -> Wire:
        # An operator has chosen it, so it may be anywhere, also on a private address.
        try:
            addresses = await self._resolve(upstream.host, nullcontext())
            secure = str(upstream.host) if upstream.scheme == "https" else None
            return await self._connect(new_wire, addresses, upstream.port, secure=secure)
        except Unreachable as failure:
            raise Unreachable(f"upstream proxy: {failure.reason}") from None

    async def _resolve(self, host: Host, lookups: AbstractAsyncContextManager[None]) -> tuple[Address, ...]:
        if not isinstance(host, str):
            return (host,)
        try:
            async with lookups:
                return await self._resolver.addresses(host)
        except OSError:
            raise Unreachable("name not found", error="dns_error") from None

    async def _connect(
        self, new_wire: NewWire, addresses: tuple[Address, ...], port: int, *, secure: str | None
    ) -> Wire:
        """To the first address that answers; `secure` is the name on its certificate."""
        context = self._tls_context() if secure is not None else None
        loop = asyncio.get_running_loop()
        # No address may use up the time of those after it.
        share = self._deadline / len(addresses)
        for address in addresses:
            try:
                async with asyncio.timeout(None if address is addresses[-1] else share):
                    # An address as text is not resolved again.
                    _, wire = await loop.create_connection(
                        new_wire, str(address), port, ssl=context, server_hostname=secure
                    )
                    return wire
            except ssl.SSLError:
                raise Unreachable("no trusted TLS connection", error="tls_protocol_error") from None
            except (OSError, TimeoutError):
                continue
        raise Unreachable("cannot be connected to", error="connection_refused")

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = self._make_tls()
        return self._tls


async def _http_connect(wire: Wire, upstream: Upstream, endpoint: Endpoint) -> None:
    """CONNECT through an HTTP proxy (RFC 9110, section 9.3.6)."""
    place = endpoint.authority.encode("ascii")
    proof = b"Proxy-Authorization: %s\r\n" % upstream.proof if upstream.proof is not None else b""
    wire.write(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (place, place, proof))
    head = await wire.read_head(MAX_REQUEST_BYTES)
    if head is None:
        raise Unreachable("upstream proxy hung up")
    status = parse_response(head, b"HEAD").status
    if not 200 <= status < 300:
        raise Unreachable(f"upstream proxy answered {status}")


async def _socks(wire: Wire, upstream: Upstream, endpoint: Endpoint) -> None:
    """CONNECT through a SOCKS5 proxy (RFC 1928), with a password where there is one (RFC 1929)."""
    wire.write(b"\x05\x01\x00" if upstream.username is None else b"\x05\x02\x00\x02")
    version, method = await wire.read_exactly(2)
    if version != 5:
        raise Malformed(502, "not SOCKS5")
    if method == 2 and upstream.username is not None:
        user, secret = upstream.username.encode(), upstream.password.encode()
        wire.write(bytes([1, len(user)]) + user + bytes([len(secret)]) + secret)
        if (await wire.read_exactly(2))[1] != 0:
            raise Unreachable("upstream proxy refused the credentials")
    elif method != 0:
        raise Unreachable("upstream proxy wants other credentials")
    wire.write(b"\x05\x01\x00" + _socks_address(endpoint.host) + endpoint.port.to_bytes(2, "big"))
    version, reply, _, kind = await wire.read_exactly(4)
    if version != 5 or kind not in {1, 3, 4}:
        raise Malformed(502, "not SOCKS5")
    if reply != 0:
        raise Unreachable(f"upstream proxy answered {reply}")
    length = (await wire.read_exactly(1))[0] if kind == 3 else (4 if kind == 1 else 16)
    # The address that the proxy speaks from, and the port.
    await wire.read_exactly(length + 2)


def _socks_address(host: Host) -> bytes:
    if isinstance(host, str):
        return bytes([3, len(host)]) + host.encode("ascii")
    return (b"\x01" if isinstance(host, IPv4Address) else b"\x04") + host.packed
