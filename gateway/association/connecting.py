"""A connection to a peer: TCP, and TLS where it is wanted."""

from __future__ import annotations

import socket
import ssl

from gateway.association.cause import cause_of
from gateway.errors import ConnectionFailed


def connect(host: str, port: int, *, timeout_seconds: float, context: ssl.SSLContext | None) -> socket.socket:
    """Connect, and do the TLS handshake if there is a context.

    Parameters
    ----------
    host
        name or address
    port
        to connect to
    timeout_seconds
        for the connection, and once more for the handshake
    context
        of TLS, or None

    Raises
    ------
    ConnectionFailed
        with the fact ``code``: ``unreachable``, ``timeout``, ``tls`` or ``connection-lost``
    """
    try:
        sock = socket.create_connection((host, port), timeout=timeout_seconds)
    except TimeoutError:
        raise ConnectionFailed(code="timeout", reason="it does not take the connection in time") from None
    except (OSError, UnicodeError) as error:
        raise ConnectionFailed(code="unreachable", reason=cause_of(error)) from None
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname=host)
    except TimeoutError:
        sock.close()
        raise ConnectionFailed(code="timeout", reason="it does not finish the TLS handshake in time") from None
    except ssl.SSLError as error:
        sock.close()
        raise ConnectionFailed(code="tls", reason=cause_of(error)) from None
    except (OSError, ValueError) as error:
        sock.close()
        raise ConnectionFailed(code="connection-lost", reason=cause_of(error)) from None
    return sock
