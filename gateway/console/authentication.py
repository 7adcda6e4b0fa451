"""How people and programs prove over HTTP who they are (promise P10).

Where no users are configured, a token that the gateway has made and that its account can read stands for them: that a
request comes from this machine proves nothing, since a proxy on it passes on requests from everywhere.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
import threading
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.association.addresses import is_loopback, network_of
from gateway.settings.accounts import Role, User, token_digest

#: Gives a header of a request by its name, in whatever case; None if it has none.
Header: TypeAlias = Callable[[str], str | None]

#: Failures of one address within the window after which it must wait.
FAILURES: Final = 10

WINDOW_SECONDS: Final = 60.0

#: How long a verified password is remembered, so that a request every few seconds does not cost a hash each.
_REMEMBERED_SECONDS: Final = 300.0

_ADDRESSES: Final = 4096

#: Hashes computed at the same time: each needs tens of MiB.
_HASHES_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: the name of a user, or ``local`` for whoever has the gateway's own token."""

    name: str
    role: Role


class Denial(Enum):
    """Why nobody was recognised."""

    #: No credentials, or none of a kind that is understood.
    MISSING = "credentials-missing"
    WRONG = "credentials-wrong"
    #: Too many failures from this address.
    TOO_MANY = "too-many-failures"


#: Who has the gateway's own token, when no users are configured.
LOCAL: Final = Person("local", Role.ADMINISTRATOR)


class Authenticator:
    """Recognises who asks. Safe to use from several threads.

    Parameters
    ----------
    users
        who may; without any, whoever has ``own_token``
    own_token
        the gateway's own; "" for none
    clock
        monotonic seconds

    Attributes
    ----------
    has_users
        whether there are any
    """

    def __init__(
        self, users: tuple[User, ...] = (), *, own_token: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.has_users = bool(users)
        if not users and own_token:
            users = (User(name=LOCAL.name, role=LOCAL.role, token_digest=token_digest(own_token)),)
        self._users = {user.name: user for user in users}
        self._tokens = tuple((bytes.fromhex(user.token_digest), user) for user in users if user.token_digest)
        self._clock = clock
        self._failures = _Failures(clock)
        self._hashes = threading.BoundedSemaphore(_HASHES_AT_ONCE)
        self._hasher = PasswordHasher()
        hashed = [user.password_hash for user in users if user.password_hash]
        #: What an unknown user's password is compared with, so that the answer takes as long.
        self._decoy = hashed[0] if hashed else ""
        self._remembered: dict[str, tuple[bytes, float]] = {}
        self._key = secrets.token_bytes(32)

    def recognise(self, header: Header, *, peer: str) -> Person | Denial:
        """Who sends a request.

        Parameters
        ----------
        header
            gives a header of the request by its name
        peer
            IP address that it comes from
        """
        scheme, _, credentials = (header("Authorization") or "").partition(" ")
        credentials = credentials.strip()
        if scheme.lower() == "bearer":
            return self._by_token(credentials, peer)
        if scheme.lower() == "basic":
            return self._by_password(credentials, peer)
        return Denial.MISSING

    def is_open_to(self, header: Header, *, peer: str) -> bool:
        """Whether a request is one of this machine itself, as far as can be told, and there are no users.

        A proxy on this machine that adds no header of its own cannot be told: only what everybody may know is for this.

        Parameters
        ----------
        header
            gives a header of the request by its name
        peer
            IP address that it comes from
        """
        return not self.has_users and _is_local(header, peer)

    def _by_token(self, token: str, peer: str) -> Person | Denial:
        # A right token passes whatever others at the same address got wrong: guessing is hopeless anyway.
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        owner = None
        for known, user in self._tokens:
            if hmac.compare_digest(known, digest):
                owner = user
        if owner is not None:
            return Person(owner.name, owner.role)
        return self._failures.add(peer)

    def _by_password(self, credentials: str, peer: str) -> Person | Denial:
        if self._failures.has_too_many(peer):
            return Denial.TOO_MANY
        try:
            name, colon, password = b64decode(credentials, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, ValueError):
            name, colon, password = "", "", ""
        user = self._users.get(name) if colon else None
        right = self._verify(name, user.password_hash if user is not None else "", password)
        if user is not None and right:
            return Person(user.name, user.role)
        return self._failures.add(peer)

    def _verify(self, name: str, known: str, password: str) -> bool:
        mark = hmac.digest(self._key, f"{name}\0{known}\0{password}".encode("utf-8", "replace"), "sha256")
        remembered, until = self._remembered.get(name, (b"", 0.0))
        if known and self._clock() < until and hmac.compare_digest(remembered, mark):
            return True
        hashed = known or self._decoy
        if not hashed:
            return False
        try:
            with self._hashes:
                self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False
        if not known:
            return False
        self._remembered[name] = (mark, self._clock() + _REMEMBERED_SECONDS)
        return True


class _Failures:
    """Counts failures by address; an IPv6 network of 64 bits is one address."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def has_too_many(self, peer: str) -> bool:
        with self._lock:
            count, until = self._counts.get(network_of(peer), (0, 0.0))
            return count >= FAILURES and self._clock() < until

    def add(self, peer: str) -> Denial:
        now, network = self._clock(), network_of(peer)
        with self._lock:
            count, until = self._counts.get(network, (0, 0.0))
            if count >= FAILURES and now < until:
                return Denial.TOO_MANY
            count, until = (count + 1, until) if now < until else (1, now + WINDOW_SECONDS)
            self._counts[network] = (count, until)
            self._counts.move_to_end(network)
            if len(self._counts) > _ADDRESSES:
                self._counts.popitem(last=False)
        return Denial.WRONG


#: Headers that a proxy adds: behind one everybody seems to be on this machine.
_PROXIED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


def _is_local(header: Header, peer: str) -> bool:
    # A page from elsewhere can make a browser on this machine ask under a name of its own (DNS rebinding).
    host = header("Host") or ""
    front, _, port = host.rpartition(":")
    name = front if port.isdigit() and not front.endswith(":") else host
    proxied = any(header(name) is not None for name in _PROXIED)
    return is_loopback(peer) and not proxied and (not name or is_loopback(name))
