"""Why a connection or an association is refused."""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """Result, source and reason of the A-ASSOCIATE-RJ (PS3.8 9.3.4), and what tells those with equal ones apart.

    Result 0: the connection is closed without an answer.
    """

    PROTOCOL_VERSION = (1, 2, 2, 0)
    APPLICATION_CONTEXT = (1, 1, 2, 0)
    CALLING_AE = (1, 1, 3, 0)
    #: The title is known, but not from this address; the standard has no reason of its own for that.
    ADDRESS = (1, 1, 1, 0)
    CALLED_AE = (1, 1, 7, 0)
    #: Title and address are known, but not with this certificate, or not without one.
    CERTIFICATE = (1, 2, 1, 0)
    #: Stopping, or something here is broken.
    CONGESTION = (2, 3, 1, 0)
    #: The limit of all associations, or of those that whoever is not known by address may have.
    ASSOCIATIONS = (2, 3, 2, 0)
    #: The limit of associations of one address.
    ADDRESS_ASSOCIATIONS = (2, 3, 2, 1)
    #: The limit of associations of one source.
    SOURCE_ASSOCIATIONS = (2, 3, 2, 2)
    #: Nobody is expected from this address: closed before anything is read.
    UNEXPECTED_ADDRESS = (0, 0, 0, 0)
    #: So many connections have no association yet that not even a rejection is afforded.
    CONNECTIONS = (0, 0, 0, 1)
    #: It had to make room for another, having requested nothing.
    DISPLACED = (0, 0, 0, 2)
    #: No whole request in time.
    TIMEOUT = (0, 0, 0, 3)

    @property
    def code(self) -> str:
        """The name in logs and metrics: ``calling-ae``."""
        return self.name.lower().replace("_", "-")

    @property
    def answer(self) -> tuple[int, int, int]:
        """Result, source and reason of the A-ASSOCIATE-RJ."""
        result, source, reason, _ = self.value
        return result, source, reason
