"""Who may stay of those that are connected and have not shown yet what they want.

A place is never refused to somebody new because others hold the line: a sender asks at once, so whoever has waited
longest without a word gives way. A flood of silent connections shuts nobody out, not even from the same address, and a
burst of senders from one address keeps its places.
"""

from __future__ import annotations

import fcntl
import socket
import termios
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar


class Guest(Protocol):
    """Somebody who is connected.

    Attributes
    ----------
    network
        what stands for its address where addresses are counted (``gateway.association.addresses.network_of``)
    is_known
        whether the configuration names the address
    opened
        when it came, monotonic seconds
    """

    @property
    def network(self) -> str: ...  # noqa: D102 - as above
    @property
    def is_known(self) -> bool: ...  # noqa: D102
    @property
    def opened(self) -> float: ...  # noqa: D102

    def has_spoken(self) -> bool:
        """Whether it has sent anything."""


#: Senders that come in a burst have so long before their address's share matters.
_GRACE_SECONDS: Final = 1.0
#: How long who has said nothing may still be about to speak.
_SILENCE_SECONDS: Final = 0.25


def has_unread(connection: socket.socket) -> bool:
    """Whether something has come that nobody has read yet; never waits."""
    waiting = bytearray(4)
    try:
        # A peek would wait for the time-out of the socket.
        fcntl.ioctl(connection.fileno(), termios.FIONREAD, waiting)
    except (OSError, ValueError):
        return False
    return any(waiting)


_G = TypeVar("_G", bound=Guest)


@dataclass(frozen=True, slots=True)
class Places:
    """How many may be connected without having shown yet what they want.

    Attributes
    ----------
    total
        of all
    per_address
        of one address, or of one IPv6 network of 64 bits
    """

    total: int
    per_address: int


def displaced(newcomer: _G, present: Sequence[_G], places: Places) -> tuple[bool, _G | None]:
    """Whether there is a place for somebody new, and who has to leave for that.

    An address that has its share of places loses the one that it has held longest, if that is more than ``_GRACE``. If
    all places are taken, strangers leave before those who are known, and never the other way round.

    Parameters
    ----------
    newcomer
        who has just come; not one of ``present``
    present
        who is there, in the order in which they came
    places
        how many there may be
    """
    crowds = Counter([guest.network for guest in present])
    if crowds[newcomer.network] >= places.per_address:
        waiting = [
            guest
            for guest in present
            if guest.network == newcomer.network and newcomer.opened - guest.opened > _GRACE_SECONDS
        ]
        if waiting:
            return True, _least(waiting, newcomer.opened)
    if len(present) < places.total:
        return True, None
    strangers = [guest for guest in present if not guest.is_known]
    if strangers:
        return True, _least(strangers, newcomer.opened)
    return (True, _least(present, newcomer.opened)) if newcomer.is_known else (False, None)


def _least(guests: Sequence[_G], now: float) -> _G:
    """Who has the least claim: the silent, then those who are slow, then whoever came first; of the largest crowd.

    Somebody who has just come is silent, too, and must have the time to speak.
    """
    crowds = Counter([guest.network for guest in guests])
    by_crowd = sorted(set(crowds.values()), reverse=True)
    for size in by_crowd:
        for guest in guests:
            if crowds[guest.network] == size and now - guest.opened > _SILENCE_SECONDS and not guest.has_spoken():
                return guest
    for size in by_crowd:
        for guest in guests:
            if crowds[guest.network] == size and now - guest.opened > _GRACE_SECONDS:
                return guest
    return max(guests, key=lambda guest: crowds[guest.network])
