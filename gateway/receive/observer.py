"""What the receiver tells whoever counts."""

from __future__ import annotations

from typing import Protocol

from gateway.association.acceptor import AssociationObserver


class ReceiveObserver(AssociationObserver, Protocol):
    """Called from the receiver's threads, several at a time; must not block and must not raise."""

    def echoed(self, source: str) -> None:
        """A C-ECHO was answered."""

    def stored(self, source: str, size: int, seconds: float) -> None:
        """An instance was acknowledged: bytes of its file, time from its command to its answer."""

    def failed(self, source: str, status: int, reason: str) -> None:
        """An instance was refused with ``status``, or lost with its association (status 0); ``reason`` is a code."""


class NullObserver:
    """Counts nothing."""

    def associated(self, source: str) -> None:
        """An association was accepted."""

    def closed(self, source: str) -> None:
        """An association has ended."""

    def refused(self, reason: str) -> None:
        """An association was rejected."""

    def echoed(self, source: str) -> None:
        """A C-ECHO was answered."""

    def stored(self, source: str, size: int, seconds: float) -> None:
        """An instance was acknowledged."""

    def failed(self, source: str, status: int, reason: str) -> None:
        """An instance was refused."""
