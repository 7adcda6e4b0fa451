"""Who may ask over HTTP (promise P10): people and programs with a role, and the hashes by which they are known.

A person has a password, of which the configuration holds the Argon2id hash (RFC 9106). A program has a token of 256
random bits, of which its SHA-256 is kept: nobody guesses such a token, so a slow hash would protect nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError

__all__ = [
    "SHORTEST_PASSWORD",
    "SHORTEST_TOKEN",
    "Role",
    "User",
    "checked_password_hash",
    "checked_token_hash",
    "hash_password",
    "make_token",
    "token_digest",
]

#: Shortest password and shortest token, in characters.
SHORTEST_PASSWORD: Final = 12

SHORTEST_TOKEN: Final = 32

#: Least cost of a hash: OWASP's minimum for Argon2id. The most keeps a hash from exhausting the machine.
_LEAST_MEMORY_KIB: Final = 19_456

_MOST_MEMORY_KIB: Final = 262_144

_LEAST_PASSES: Final = 2

_MOST_PASSES: Final = 10


class Role(StrEnum):
    """What somebody may see, each role with all of the ones before it."""

    VIEWER = "viewer"
    DATA_PROTECTION_OFFICER = "data-protection-officer"
    ADMINISTRATOR = "administrator"

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what ``other`` may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may ask.

    Attributes
    ----------
    name
        name in the configuration
    role
        what the user may see
    password_hash
        Argon2id hash of the password, or ""
    token_digest
        SHA-256 of the token in hexadecimal, or ""
    """

    name: str
    role: Role
    password_hash: str = field(default="", repr=False)
    token_digest: str = field(default="", repr=False)


def hash_password(password: str) -> str:
    """The Argon2id hash of a password, by the parameters of RFC 9106 for little memory.

    Raises
    ------
    ValueError
        the password is too short
    """
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"a password has at least {SHORTEST_PASSWORD} characters")
    return PasswordHasher().hash(password)


def make_token() -> str:
    """A token of 256 random bits."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """SHA-256 of a token, in hexadecimal.

    Raises
    ------
    ValueError
        it is too short, or not printable ASCII without blanks
    """
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(
            f"a token has at least {SHORTEST_TOKEN} ASCII characters without blanks: make one with "
            "`gateway access token`"
        )
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def checked_password_hash(text: str) -> str:
    """``text``, if it is an Argon2id hash that costs enough and not too much.

    Raises
    ------
    ValueError
        it is not
    """
    try:
        parameters = extract_parameters(text)
    except InvalidHashError:
        parameters = None
    if parameters is None or parameters.type is not Type.ID:
        raise ValueError("a password hash is an Argon2id one: make it with `gateway access hash`")
    if not (
        _LEAST_MEMORY_KIB <= parameters.memory_cost <= _MOST_MEMORY_KIB
        and _LEAST_PASSES <= parameters.time_cost <= _MOST_PASSES
    ):
        raise ValueError("this password hash costs too little or too much: make it with `gateway access hash`")
    return text


def checked_token_hash(text: str) -> str:
    """The digest in ``sha256:...``.

    Raises
    ------
    ValueError
        it is none
    """
    kind, _, digest = text.partition(":")
    if kind != "sha256" or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError("a token hash is sha256: and 64 hexadecimal digits: make it with `gateway access token`")
    return text
