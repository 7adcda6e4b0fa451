"""Why a connection failed, in words that come from this machine."""

from __future__ import annotations

import os
import socket
import ssl

__all__ = ["cause_of"]


def cause_of(error: Exception) -> str:
    """The kind of an error of a socket or a file; never text of the peer's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'the connection broke off').lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return "its host name cannot be resolved"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return "it closed the connection" if isinstance(error, ConnectionError) else "the connection failed"
