"""Whether a host is on the public internet, in whichever spelling.

`ipaddress` judges addresses; this module parses every spelling that curl accepts, so that no spelling
means one host to us and another to curl.
"""

from __future__ import annotations

import ipaddress
import re
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PRIVATE_NAMES = (
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "svc",
    "home.arpa",
)
"""Endings of names that public DNS does not serve (RFC 6761, 6762, 8375; ICANN SAC113 for
``internal``; the collisions of ICANN's study of 2013; Kubernetes' ``svc``)."""

HOST_SERVICES = (ipaddress.ip_address("168.63.129.16"),)
"""Public by number, yet answered by the machine's own host: Azure's WireServer."""

RESERVED = (
    # IANA's special-purpose registries; not in every Python's `ipaddress`.
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("192.88.99.0/24"),
    ipaddress.ip_network("3fff::/20"),
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: how an IPv6-only network spells public IPv4 addresses."""
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out of IPv6 so far."""

EMBEDDING = (
    # (network, bits to the right of the embedded IPv4 address)
    (NAT64, 0),
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),  # NAT64 of a local network, RFC 8215
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765
)
"""IPv6 networks that lead to the IPv4 address inside them."""

_UNSPECIFIED, _LOOPBACK = ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"(\d+|0x[0-9a-f]*)")


def plain_host(host: str) -> str:
    """Return a host in lower case, without brackets and without the dots of the DNS root."""
    return host.lower().removeprefix("[").removesuffix("]").rstrip(".")


def why_not_public(host: str) -> str | None:
    """Return what a host is if it cannot be on the public internet; none: it can.

    No name server is asked.

    Parameters
    ----------
    host
        Name or address of a URL, in any spelling.
    """
    host = plain_host(host)
    if ":" in host:
        try:
            return why_not_public_address(ipaddress.IPv6Address(host))
        except ValueError:
            return f"{host!r}, which is no IPv6 address"
    if not _NAME.fullmatch(host):
        return f"{host!r}, which is no plain host name"
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _why_not_public_number(host)
    if "." not in host or host.endswith(tuple(f".{name}" for name in PRIVATE_NAMES)):
        return f"{host}, a name of private networks"
    return None


def why_not_public_address(address: Address) -> str | None:
    """Return what an address is if it is not on the public internet; none: it is."""
    for inner in _embedded(address):
        if (reason := why_not_public_address(inner)) is not None:
            return f"{address}, and so to {reason}"
    if address in NAT64:
        return None
    reserved = any(address in network for network in RESERVED) or address.is_reserved
    if isinstance(address, ipaddress.IPv6Address):
        reserved |= address not in GLOBAL_UNICAST
    reasons = (
        (address in HOST_SERVICES, "a service of the machine's host"),
        (address.is_loopback or address.is_unspecified, "this machine"),
        (address.is_link_local, "a link-local address, where clouds serve credentials"),
        (
            reserved or address.is_multicast or not address.is_global,
            "a private or reserved address",
        ),
    )
    return next((f"{address}, {what}" for true, what in reasons if true), None)


def _why_not_public_number(host: str) -> str | None:
    """Judge 127.1, 0x7f000001, 0177.0.0.1, 2130706433: what `inet_aton` reads, and so curl."""
    try:
        return why_not_public_address(ipaddress.IPv4Address(socket.inet_aton(host)))
    except OSError:
        return f"{host!r}, which ends in a number and is no address"


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address) or address in (_UNSPECIFIED, _LOOPBACK):
        return []
    # Teredo (2001::/32) needs no row: it is not global as a whole.
    return [
        ipaddress.IPv4Address(int(address) >> bits & 0xFFFFFFFF)
        for network, bits in EMBEDDING
        if address in network
    ]
