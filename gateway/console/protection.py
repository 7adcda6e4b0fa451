"""How the HTTP port protects what it gives: who may ask, by which kind of connection, how many at a time."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gateway.association.listener import normal_address
from gateway.association.tls import HANDSHAKE_FAILURES
from gateway.console.authentication import Authenticator, Denial
from gateway.settings.configuration import Settings

__all__ = ["HTTP_REFUSED", "Network", "Protection", "forwarded_for", "protection"]

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

#: Why an HTTP client is refused.
HTTP_REFUSED: Final = (
    frozenset(one.value for one in Denial)
    | HANDSHAKE_FAILURES
    | {"busy", "connections", "displaced", "head-too-long", "role", "timeout"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """How the port protects what it gives.

    Attributes
    ----------
    authenticator
        recognises who asks; by default nobody
    tls
        context of the server; None for plain HTTP
    trusted_proxies
        addresses of proxies whose ``X-Forwarded-For`` tells who asks; nobody's by default
    clients
        at the same time without a whole request, and answers at the same time
    clients_per_address
        of each, from one address
    request_seconds
        for the TLS handshake and the whole head of a request
    refused
        told the reason of each refusal
    """

    authenticator: Authenticator = field(default_factory=Authenticator)
    tls: ssl.SSLContext | None = None
    trusted_proxies: tuple[Network, ...] = ()
    clients: int = 32
    clients_per_address: int = 8
    request_seconds: float = 10.0
    refused: Callable[[str], None] = lambda _reason: None


def protection(
    settings: Settings, *, own_token: str = "", refused: Callable[[str], None] = lambda _reason: None
) -> Protection:
    """Who may ask over HTTP, and by which kind of connection.

    Parameters
    ----------
    settings
        the configuration
    own_token
        the gateway's own, which counts without users
    refused
        told the reason of each refusal

    Raises
    ------
    ConfigurationError
        a file of ``http.tls`` cannot be used
    """
    http, users = settings.http, settings.users or {}
    return Protection(
        authenticator=Authenticator(tuple(user.user(name) for name, user in users.items()), own_token=own_token),
        tls=None if http.tls is None else http.tls.context(place="http.tls"),
        trusted_proxies=tuple(http.trusted_proxies),
        clients=http.max_connections,
        clients_per_address=http.max_connections_per_address,
        request_seconds=http.request_timeout_seconds,
        refused=refused,
    )


def forwarded_for(peer: str, forwarded: Sequence[str], *, trusted: Sequence[Network]) -> str:
    """Who asks: the last address that no trusted proxy has, of those that trusted proxies tell.

    Parameters
    ----------
    peer
        IP address of the connection
    forwarded
        the values of ``X-Forwarded-For``
    trusted
        addresses of proxies; what anybody else says is not looked at
    """
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    client = peer
    while _is_in(client, trusted) and hops:
        hop = hops.pop()
        if not _is_address(hop):
            break
        client = normal_address(hop)
    return client


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    return _is_address(address) and any(ipaddress.ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
