"""What kind of address an IP address is, so that a site can be kept away from what is not public.

The tables follow the IANA special-purpose registries (RFC 6890 and its updates). They are spelled out
because the answers of `ipaddress` (`is_private`, `is_global`) differ between releases of Python.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

PUBLIC = "public"
# Kinds that a site may reach when it allows private addresses; everything else never.
NEAR = frozenset({"loopback", "private", "shared", "benchmark"})

# Where clouds serve credentials to whoever asks, outside the link-local ranges: AWS over IPv6, Google
# over IPv6, Alibaba, Oracle, and Azure's, which is a public address by its number.
_METADATA = frozenset(
    ip_address(text)
    for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)

_IPV4 = [
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "reserved"),  # "this network", RFC 1122
        ("10.0.0.0/8", "private"),  # RFC 1918
        ("100.64.0.0/10", "shared"),  # carrier-grade NAT, RFC 6598
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),  # RFC 3927; cloud metadata is 169.254.169.254
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),  # RFC 6890
        ("192.0.2.0/24", "reserved"),  # documentation, RFC 5737
        ("192.88.99.0/24", "reserved"),  # 6to4 relays, RFC 7526
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmark"),  # RFC 2544
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),  # with 255.255.255.255
    )
]
_IPV6 = [
    (ip_network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),  # RFC 4193
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),  # protocol assignments with Teredo, RFC 2928
        ("2001:db8::/32", "reserved"),  # documentation
        ("3fff::/20", "reserved"),  # documentation, RFC 9637
        ("2000::/3", PUBLIC),  # the only range that is handed out, RFC 4291
    )
]
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056


@lru_cache(maxsize=4096)
def kind_of(address: Address) -> str:
    """`public`, `loopback`, `private`, `shared`, `benchmark`, `link-local`, `metadata`, `multicast`,
    `reserved` or `unspecified`.

    An IPv6 address that carries an IPv4 address (mapped, 6to4, NAT64) is of the kind of the latter.
    """
    if address in _METADATA:
        return "metadata"
    if isinstance(address, IPv4Address):
        return _find(address, _IPV4, PUBLIC)
    inner = _embedded(address)
    return kind_of(inner) if inner is not None else _find(address, _IPV6, "reserved")


def _find(address: Address, table: list[tuple[IPv4Network | IPv6Network, str]], otherwise: str) -> str:
    return next((kind for network, kind in table if address in network), otherwise)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to `address` end at, if they do."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(int(address) >> 80 & 0xFFFF_FFFF)
    return None
