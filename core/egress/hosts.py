"""Hosts as browsers read them, and the rules of a site: which hosts, ports and addresses it may reach."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from core.egress.addresses import NEAR, PUBLIC, Address, kind_of
from core.errors import InvalidInput
from core.types import SiteSpec

# A name in lower case and ASCII without its trailing dot, or an address.
Host = str | Address

MAX_NAME = 253  # characters, RFC 1035
WEB_PORTS = frozenset({80, 443})

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"(?P<hex>0x[0-9a-f]*)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*)")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.DOTALL)
# Browsers keep these characters (UTS 46), Python's codec (IDNA 2003) maps them to another name.
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")


class Refused(Exception):
    """The site's rules do not allow it. Answered with 403 and counted; never leaves this package."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request wants to go."""

    host: Host
    port: int

    @property
    def authority(self) -> str:
        """`host:port` as in a CONNECT request; IPv6 in brackets."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return f"{host}:{self.port}"


def parse_host(text: str) -> Host:
    """The host of an authority, read as browsers do (WHATWG URL, host parser). Raises `ValueError`.

    IPv4 may be decimal, octal or hexadecimal, with one to four parts; IPv6 stands in brackets. Names
    must be ASCII: a browser sends `xn--` names.
    """
    if text.startswith("["):
        if not text.endswith("]") or "%" in text:
            raise ValueError("not an IPv6 address")
        return IPv6Address(text[1:-1])
    name = text.lower().removesuffix(".")
    if not name.isascii() or len(name) > MAX_NAME:
        raise ValueError("not a host name")
    if _ENDS_IN_NUMBER.fullmatch(name):
        return _ipv4(name)
    if not _NAME.fullmatch(name):
        raise ValueError("not a host name")
    return name


def _ipv4(text: str) -> IPv4Address:
    """An IPv4 address in any of the forms that browsers accept. Raises `ValueError`."""
    numbers = [_number(part) for part in text.split(".")]
    *first, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in first) or last >= 256 ** (5 - len(numbers)):
        raise ValueError("not an IPv4 address")
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(first)) + last)


def _number(part: str) -> int:
    found = _NUMBER.fullmatch(part)
    if found is None or len(part) > 20:
        raise ValueError("not an IPv4 address")
    if found["hex"] is not None:
        return int(part[2:] or "0", 16)
    return int(part, 8 if found["octal"] is not None else 10)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site may reach; made by `Rules.of`."""

    names: frozenset[str]
    # `.example.com` for the entry `*.example.com`: every host below, not the domain itself.
    suffixes: tuple[str, ...]
    addresses: frozenset[Address]
    # None: any.
    ports: frozenset[int] | None
    private: bool

    @classmethod
    def of(cls, site: SiteSpec) -> Rules:
        """The rules of `site`. Raises `InvalidInput` for an entry that is no host."""
        names: set[str] = set()
        suffixes: list[str] = []
        addresses: set[Address] = set()
        for place, entry in enumerate(site.allowed_hosts):
            try:
                host = _entry(entry.removeprefix("*."))
                if entry.startswith("*."):
                    # Whole top-level domains, and addresses, have no subdomains to allow.
                    if not isinstance(host, str) or "." not in host:
                        raise ValueError("no domain")
                    suffixes.append("." + host)
                    continue
            except ValueError:
                fault = f"allowed_hosts[{place}]: not a host name, an IP address or *.example.com"
                raise InvalidInput([fault]) from None
            if isinstance(host, str):
                names.add(host)
            else:
                addresses.add(host)
        ports = None if site.allow_private_addresses else WEB_PORTS | _port_of(site.base_url)
        return cls(
            frozenset(names), tuple(suffixes), frozenset(addresses), ports, site.allow_private_addresses
        )

    def check(self, endpoint: Endpoint) -> None:
        """Raise `Refused` unless the host is on the list, the port allowed, and a literal address fit."""
        if not self._lists(endpoint.host):
            raise Refused("host")
        if not 0 < endpoint.port < 65536 or (self.ports is not None and endpoint.port not in self.ports):
            raise Refused("port")
        if not isinstance(endpoint.host, str):
            self.check_address(endpoint.host)

    def check_unresolved(self, endpoint: Endpoint) -> None:
        """Raise `Refused` for a name that somebody else will resolve, and that means loopback (RFC 6761)."""
        host = endpoint.host
        if isinstance(host, str) and f".{host}".endswith(".localhost") and not self.private:
            raise Refused("loopback address")

    def _lists(self, host: Host) -> bool:
        if isinstance(host, str):
            return host in self.names or host.endswith(self.suffixes)
        return host in self.addresses

    def check_address(self, address: Address) -> None:
        """Raise `Refused` unless the address is public, or of a kind that the site allows.

        With `allow_private_addresses`, what is neither public nor near (link-local, cloud metadata) is
        allowed only where `allowed_hosts` has that very address.
        """
        kind = kind_of(address)
        if kind == PUBLIC or (self.private and (kind in NEAR or address in self.addresses)):
            return
        raise Refused(f"{kind} address")


def _entry(text: str) -> Host:
    """A host as people write it: also IPv6 without brackets, and names in their own script."""
    if ":" in text and not text.startswith("["):
        text = f"[{text}]"
    if not text.isascii():
        if _DEVIATIONS & set(text.lower()):
            raise ValueError("ambiguous")
        text = text.encode("idna").decode("ascii")
    return parse_host(text)


def _port_of(url: str) -> frozenset[int]:
    try:
        port = urlsplit(url).port
    except ValueError:
        raise InvalidInput(["base_url: not a URL"]) from None
    return frozenset() if port is None else frozenset({port})
