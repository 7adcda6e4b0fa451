"""Addresses of peers: what stands for one where addresses are counted, and whether one is this machine's."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

#: Addresses whose network is remembered.
_ADDRESSES: Final = 4096

__all__ = [
    "is_loopback",
    "network_of",
]


@lru_cache(maxsize=_ADDRESSES)
def network_of(peer: str) -> str:
    """What stands for an address where addresses are counted: itself, or its IPv6 network of 64 bits."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_loopback(host: str) -> bool:
    """Whether an address or the name ``localhost`` means this machine and no other."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host.lower() == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
