"""core.egress: which hosts are the same host, and which addresses are public."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.egress.addresses import NEAR, PUBLIC, kind_of
from core.egress.hosts import Endpoint, Refused, Rules, parse_host
from tests.core.egress_net import site

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
DOMAIN = st.lists(LABEL, min_size=2, max_size=4).map(".".join)
IPV4 = st.ip_addresses(v=4).map(lambda address: IPv4Address(int(address)))


def is_allowed(host: str, *allowed: str) -> bool:
    rules = Rules.of(site(*allowed))
    try:
        rules.check(Endpoint(parse_host(host), 80))
    except Refused as refusal:
        return refusal.reason != "host"
    return True


# ---- hosts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Site.TEST", "site.test"),
        ("site.test.", "site.test"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("_sip.site.test", "_sip.site.test"),
        ("127.0.0.1", IPv4Address("127.0.0.1")),
        ("127.0.0.1.", IPv4Address("127.0.0.1")),
        ("127.1", IPv4Address("127.0.0.1")),
        ("2130706433", IPv4Address("127.0.0.1")),
        ("0x7f000001", IPv4Address("127.0.0.1")),
        ("0X7F.0.0.0x1", IPv4Address("127.0.0.1")),
        ("0177.0.0.01", IPv4Address("127.0.0.1")),
        ("0", IPv4Address("0.0.0.0")),
        ("0x", IPv4Address("0.0.0.0")),
        ("4294967295", IPv4Address("255.255.255.255")),
        ("[::1]", IPv6Address("::1")),
        ("[0:0::0:1]", IPv6Address("::1")),
        ("[::FFFF:127.0.0.1]", IPv6Address("::ffff:127.0.0.1")),
    ],
)
def test_host_is_read_as_browsers_do(text: str, host: object) -> None:
    assert parse_host(text) == host


NO_NAMES = ["", " ", ".", "..", "a..b", ".a", "a b", "a%2eb", "a/b", "a@b", "a\x00b", "-a.test", "a-.test"]
NOT_ASCII = ["b\u00fccher.test", "site\u3002test", "\uff11\uff12\uff17.0.0.1"]
NO_IPV4 = ["256.0.0.1", "1.2.3.4.5", "1..2", "08", "4294967296", "1.2.65536", "site.1", "a.0x", "+1"]
NO_IPV6 = ["::1", "[::1", "::1]", "[::1%lo]", "[1.2.3.4]", "[]", "[::g]"]
TOO_LONG = ["a" * 64 + ".test", "a." * 127 + "test", "9" * 21]


@pytest.mark.parametrize("text", [*NO_NAMES, *NOT_ASCII, *NO_IPV4, *NO_IPV6, *TOO_LONG])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_host(text)


@given(st.text(max_size=40))
def test_parse_host_raises_nothing_but_value_errors(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_host(text)


@given(IPV4, st.randoms())
def test_every_spelling_of_an_ipv4_address_is_the_same_host(address: IPv4Address, random: object) -> None:
    number, parts = int(address), str(address).split(".")
    spellings = {
        str(number),
        hex(number),
        f"0{number:o}",
        ".".join(hex(int(part)) for part in parts),
        ".".join(f"0{int(part):o}" for part in parts),
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
        f"{address}.",
    }

    assert {parse_host(spelling) for spelling in spellings} == {address}
    assert all(is_allowed(spelling, str(address)) for spelling in spellings)
    assert not any(is_allowed(spelling, str(IPv4Address(number ^ 1))) for spelling in spellings)


@given(DOMAIN, LABEL)
def test_wildcard_allows_what_is_below_and_nothing_else(domain: str, label: str) -> None:
    assume(not f"{domain}.{label}".endswith(f".{domain}"))

    assert is_allowed(f"{label}.{domain}", f"*.{domain}")
    assert is_allowed(f"{label}.{label}.{domain}".upper() + ".", f"*.{domain}")
    assert not is_allowed(domain, f"*.{domain}")
    assert not is_allowed(f"{label}{domain}", f"*.{domain}")
    assert not is_allowed(f"{label}.{domain}.{label}", f"*.{domain}")
    assert not is_allowed(f"{label}-{domain}", f"*.{domain}")


@given(DOMAIN, DOMAIN)
def test_exact_entry_allows_itself_only(one: str, other: str) -> None:
    assert is_allowed(one.upper() + ".", one)
    assert is_allowed(other, one) == (one == other)


@pytest.mark.parametrize(
    ("host", "entry", "allowed"),
    [
        ("xn--bcher-kva.test", "B\u00fccher.test", True),
        ("xn--bcher-kva.test", "b\u00fccher.test.", True),
        ("a.xn--bcher-kva.test", "*.b\u00fccher.test", True),
        ("bucher.test", "b\u00fccher.test", False),
        ("[::1]", "::1", True),
        ("[0::1]", "[::1]", True),
        ("[::ffff:127.0.0.1]", "127.0.0.1", False),
        ("127.0.0.1", "::ffff:127.0.0.1", False),
        ("127.0.0.1", "0x7f.1", True),
        ("127.0.0.1", "localhost", False),
    ],
)
def test_entries_are_compared_as_names_and_addresses(host: str, entry: str, allowed: bool) -> None:
    assert is_allowed(host, entry) == allowed


@pytest.mark.parametrize(
    "entry", ["stra\u00dfe.test", "\u1e9e.test", "a\u200db.test", "\u03c2.test", "\ud800.test"]
)
def test_entry_that_browsers_read_differently_is_an_error(entry: str) -> None:
    with pytest.raises(Exception, match="not a host name"):
        Rules.of(site(entry))


# ---- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(
            (text, PUBLIC)
            for text in ("1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "223.255.255.255")
        ),
        *((text, "loopback") for text in ("127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1")),
        *(
            (text, "private")
            for text in ("10.0.0.0", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1")
        ),
        *((text, "private") for text in ("fdff::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:c0a8:101::1")),
        *((text, "shared") for text in ("100.64.0.0", "100.127.255.255")),
        *((text, "link-local") for text in ("169.254.169.254", "fe80::1", "fe80::1%eth0", "febf::1")),
        *((text, "link-local") for text in ("::ffff:169.254.169.254", "2002:a9fe:a9fe::")),
        *(
            (text, "metadata")
            for text in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
        ),
        *((text, "multicast") for text in ("224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1")),
        *((text, "unspecified") for text in ("0.0.0.0", "::", "::ffff:0.0.0.0")),
        *(
            (text, "reserved")
            for text in ("0.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9")
        ),
        *(
            (text, "reserved")
            for text in ("::7f00:1", "100::1", "2001::1", "2001:db8::1", "3fff::1", "fec0::1")
        ),
        *((text, "reserved") for text in ("64:ff9b:1::7f00:1", "4000::1", "::ffff:0:7f00:1", "5f00::1")),
        *((text, "benchmark") for text in ("198.18.0.1", "198.19.255.255")),
        *(
            (text, PUBLIC)
            for text in ("2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::")
        ),
    ],
)
def test_kind_of_address(text: str, kind: str) -> None:
    assert kind_of(ip_address(text)) == kind


@given(IPV4)
def test_public_ipv4_is_global_for_python_too(address: IPv4Address) -> None:
    if kind_of(address) == PUBLIC:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_public_ipv6_is_global_for_python_too(address: IPv6Address) -> None:
    if kind_of(address) == PUBLIC and address.sixtofour is None and address.ipv4_mapped is None:
        assert address.is_global
        assert not address.is_multicast


@given(IPV4)
def test_embedding_changes_no_kind(address: IPv4Address) -> None:
    number = int(address)
    carriers = (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80)

    assert {kind_of(IPv6Address(carrier)) for carrier in carriers} == {kind_of(address)}


@given(st.ip_addresses())
def test_only_public_addresses_pass_by_default_and_near_ones_on_request(
    address: IPv4Address | IPv6Address,
) -> None:
    address = ip_address(int(address)) if address.version == 4 else address
    kind = kind_of(address)

    for private, passes in ((False, kind == PUBLIC), (True, kind == PUBLIC or kind in NEAR)):
        rules = Rules.of(site("site.test", private=private))
        if passes:
            rules.check_address(address)
        else:
            with pytest.raises(Refused, match=f"{kind} address"):
                rules.check_address(address)


@pytest.mark.parametrize("text", ["169.254.169.254", "fd00:ec2::254", "fe80::1", "100.100.100.200"])
def test_listed_address_passes_only_with_private_addresses_allowed(text: str) -> None:
    Rules.of(site(text)).check_address(ip_address(text))

    with pytest.raises(Refused):
        Rules.of(site(text, private=False)).check_address(ip_address(text))


@pytest.mark.parametrize(
    ("host", "private", "refused"),
    [
        ("localhost", False, True),
        ("a.localhost", False, True),
        ("localhost", True, False),
        ("x.test", False, False),
    ],
)
def test_name_for_loopback_is_known_without_a_resolver(host: str, private: bool, refused: bool) -> None:
    rules = Rules.of(site(host, private=private))
    expected = pytest.raises(Refused) if refused else contextlib.nullcontext()
    with expected:
        rules.check_unresolved(Endpoint(host, 80))
