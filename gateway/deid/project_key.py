"""Keyed functions that replace identity.

Everything derives from the project's secret by HMAC-SHA-256 with a purpose label, so every node gives the same
answer without asking anyone, and nobody without the secret can enumerate originals.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

from gateway.errors import ConfigurationError

#: Shorter secrets could be searched.
MINIMUM_SECRET_BYTES: Final = 32
#: What the UIDs of some studies need: 3 MB in each process, for each project.
_MOST_UIDS: Final = 4096
_UUID_VERSION: Final = 8 << 76
_UUID_VARIANT: Final = 2 << 62
_UUID_FREE: Final = ((1 << 128) - 1) ^ (0xF << 76) ^ (3 << 62)


class ProjectKey:
    """A project's secret and the functions that it keys.

    Parameters
    ----------
    secret
        at least 32 bytes

    Raises
    ------
    ConfigurationError
        the secret is too short
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MINIMUM_SECRET_BYTES:
            raise ConfigurationError(
                place="project secret",
                problem=f"{len(secret)} bytes are too few: a secret has at least {MINIMUM_SECRET_BYTES}",
            )
        #: Copied for every digest: setting the key up takes longer than what follows.
        self._keyed = hmac.new(secret, digestmod="sha256")
        #: Instances of a study share most UIDs; a new one is made in microseconds.
        self.uid = lru_cache(maxsize=_MOST_UIDS)(self._uid)

    def __repr__(self) -> str:
        return "ProjectKey(...)"

    @property
    def id(self) -> str:
        """16 hexadecimal digits that tell this key from others, and nothing of the secret."""
        return self.digest("key-id")[:8].hex()

    def digest(self, purpose: str, *parts: str) -> bytes:
        """32 bytes that depend on the secret, the purpose and the parts, in order.

        Parts are length-prefixed so that no two lists of parts share a digest.
        """
        message = purpose.encode("ascii")
        for part in parts:
            data = part.encode("utf-8", "surrogateescape")
            message += b"\0" + len(data).to_bytes(4, "big") + data
        keyed = self._keyed.copy()
        keyed.update(message)
        return keyed.digest()

    def _uid(self, original: str) -> str:
        """The UID that stands for ``original``: ``2.25.`` and a UUID of version 8 (PS3.5 B.2, RFC 9562 5.8)."""
        number = int.from_bytes(self.digest("uid", original)[:16], "big")
        return f"2.25.{number & _UUID_FREE | _UUID_VERSION | _UUID_VARIANT}"

    def token(self, purpose: str, *parts: str) -> str:
        """A hexadecimal token of 128 bits, for keys in the ledger and the like."""
        return self.digest(purpose, *parts)[:16].hex()
