"""A key for one purpose of one project, derived from the project's secret, which the ledger does not have.

HKDF with SHA-256 (RFC 5869), with the purpose and the project's name as its information; what is sealed is sealed with
AES-256-GCM (NIST SP 800-38D), bound to its place. From the same secret come tokens by which what is sealed is found.
"""

from __future__ import annotations

import hmac
import os
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["ProjectCipher"]

_KEY_BYTES: Final = 32
#: 96 bits at random: one key may seal 2^32 rows before two nonces are likely enough to be the same (SP 800-38D 8.3).
_NONCE_BYTES: Final = 12
_TOKEN_BYTES: Final = 16


class ProjectCipher:
    """Seals, opens, and makes tokens.

    Parameters
    ----------
    label
        the purpose; ends with a zero byte
    secret
        the project's secret, at least 32 bytes
    project
        its name
    """

    def __init__(self, label: bytes, secret: bytes, project: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=2 * _KEY_BYTES, salt=None, info=label + project.encode()).derive(
            secret
        )
        self._cipher = AESGCM(derived[:_KEY_BYTES])
        self._tokens = derived[_KEY_BYTES:]

    def __repr__(self) -> str:
        return "ProjectCipher(...)"

    def token(self, content: bytes) -> str:
        """What stands for ``content``, in lower-case hexadecimal."""
        return hmac.digest(self._tokens, content, "sha256")[:_TOKEN_BYTES].hex()

    def seal(self, content: bytes, bound: bytes) -> bytes:
        """``content``, sealed; ``bound`` is needed to open it, and is not in it."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """What was sealed.

        Raises
        ------
        cryptography.exceptions.InvalidTag
            another key sealed it, ``bound`` is another, or it was changed
        ValueError
            it is too short to be sealed
        """
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
