"""Secrets of projects in a backup: one file, encrypted with a passphrase that is kept elsewhere.

The key comes from the passphrase by scrypt (RFC 7914); the content is sealed with AES-256-GCM.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.custody.secret import GATEWAY
from gateway.errors import BackupUnusable, ConfigurationError
from gateway.permissions import require_private

_MAGIC: Final = b"DGsecret1\n"
SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
#: 128 MiB and some tenths of a second for each guess.
_COST: Final = 1 << 17
SHORTEST_PASSPHRASE: Final = 16
#: What the file of a secret of a project, or of the gateway, is called (``gateway/custody/secret.py``).
SECRET_NAME: Final = re.compile(
    rf"(?:[A-Za-z0-9][A-Za-z0-9_.-]{{0,63}}|{re.escape(GATEWAY)})(?:@[0-9]{{1,9}})?\.key", re.ASCII
)


def read_passphrase(path: Path) -> str:
    """The first line of a file that the account alone may read.

    Raises
    ------
    ConfigurationError
        it cannot be read, others may read it, or the passphrase is shorter than 16 characters
    """
    require_private(path)
    try:
        passphrase = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(place=str(path), problem="the passphrase cannot be read") from None
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ConfigurationError(place=str(path), problem=f"a passphrase has at least {SHORTEST_PASSPHRASE} characters")
    return passphrase


def seal_secrets(files: Mapping[str, str], passphrase: str) -> bytes:
    """The content of the backup's file of secrets.

    Parameters
    ----------
    files
        name -> content
    passphrase
        at least 16 characters
    """
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(_NONCE_BYTES)
    content = json.dumps(dict(files), sort_keys=True).encode("utf-8")
    return _MAGIC + salt + nonce + AESGCM(derive_key(passphrase, salt)).encrypt(nonce, content, _MAGIC + salt)


def open_secrets(sealed: bytes, passphrase: str, *, place: str) -> Mapping[str, str]:
    """What :func:`seal_secrets` sealed.

    Raises
    ------
    BackupUnusable
        the passphrase is another, or the file was changed
    """
    start = len(_MAGIC) + SALT_BYTES
    salt, nonce = sealed[len(_MAGIC) : start], sealed[start : start + _NONCE_BYTES]
    try:
        content = AESGCM(derive_key(passphrase, salt)).decrypt(nonce, sealed[start + _NONCE_BYTES :], sealed[:start])
        files = json.loads(content)
    except (InvalidTag, ValueError):
        raise BackupUnusable(
            place=place, problem="its secrets do not open: another passphrase, or they were changed"
        ) from None
    if not isinstance(files, dict) or not all(
        SECRET_NAME.fullmatch(name) and isinstance(text, str) for name, text in files.items()
    ):
        raise BackupUnusable(place=place, problem="its secrets are not those of projects and of the gateway")
    return files


def derive_key(passphrase: str, salt: bytes) -> bytes:
    """32 bytes that only ``passphrase`` and ``salt`` give, slowly (RFC 7914)."""
    return Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(passphrase.encode("utf-8"))
