"""Who stays of those that are connected and have not shown what they want."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.association.addresses import network_of
from gateway.association.admission import Places, displaced


@dataclass(frozen=True, slots=True)
class Somebody:
    """Who is connected: name, address, seconds since it came."""

    name: str
    address: str
    age: float
    spoken: bool = False
    is_known: bool = False

    @property
    def network(self) -> str:
        return network_of(self.address)

    @property
    def opened(self) -> float:
        return 100.0 - self.age

    def has_spoken(self) -> bool:
        return self.spoken


def of(text: str) -> Somebody:
    """``name address age [spoken] [known]``."""
    name, address, age, *flags = text.split()
    return Somebody(name, address, float(age), spoken="spoken" in flags, is_known="known" in flags)


@pytest.mark.parametrize(
    ("newcomer", "present", "expected"),
    [
        # there is room
        ("new 10.0.0.1 0", [], None),
        ("new 10.0.0.1 0", ["a 10.0.0.2 9", "b 10.0.0.3 9"], None),
        # an address has its share: the silent leave first, then the oldest, and only those older than a second
        ("new 10.0.0.1 0", ["a 10.0.0.1 9 spoken", "b 10.0.0.1 5"], "b"),
        ("new 10.0.0.1 0", ["a 10.0.0.1 9", "b 10.0.0.1 5"], "a"),
        ("new 10.0.0.1 0", ["a 10.0.0.1 9 spoken", "b 10.0.0.1 5 spoken"], "a"),
        ("new 10.0.0.1 0", ["a 10.0.0.1 0.5", "b 10.0.0.1 0.1"], None),  # a burst of senders
        ("new 10.0.0.1 0", ["a 10.0.0.1 0.5", "b 10.0.0.1 1.5 spoken"], "b"),
        # a share is one of an IPv6 network of 64 bits; of an IPv4 address however it is written
        ("new 2001:db8::1 0", ["a 2001:db8::2 9", "b 2001:db8::3 8"], "a"),
        ("new 2001:db8::1 0", ["a 2001:db8:0:1::2 9", "b 2001:db8:0:2::3 8"], None),
        ("new 10.0.0.1 0", ["a ::ffff:10.0.0.1 9", "b 10.0.0.1 8"], "a"),
        # all places are taken: the largest crowd loses
        ("new 10.0.0.1 0", ["a 10.0.0.2 0.1", "b 10.0.0.3 0.1", "c 10.0.0.3 0.2", "d 10.0.0.4 0.2"], "c"),
        ("new 10.0.0.1 0", ["a 10.0.0.2 9", "b 10.0.0.3 0.1", "c 10.0.0.3 0.2", "d 10.0.0.4 8"], "a"),
        # who has just come is about to speak, while others have been at it for long
        ("new 10.0.0.1 0",
         ["a 10.0.0.2 5 spoken", "b 10.0.0.2 4 spoken", "c 10.0.0.2 3 spoken", "d 10.0.0.9 0.01"], "a"),
        ("new 10.0.0.1 0",
         ["a 10.0.0.2 0.5 spoken", "b 10.0.0.2 0.4 spoken", "c 10.0.0.2 0.3 spoken", "d 10.0.0.9 0.01"], "a"),
        ("new 10.0.0.1 0", ["a 10.0.0.2 9", "b 10.0.0.3 8", "c 10.0.0.4 7", "d 10.0.0.5 6"], "a"),
        ("new 10.0.0.1 0", ["a 10.0.0.2 9 spoken", "b 10.0.0.2 8 spoken", "c 10.0.0.4 7", "d 10.0.0.5 6 spoken"], "c"),
        # strangers leave before those who are known, and never for the sake of one
        ("new 10.0.0.1 0",
         ["a 10.0.0.2 9 known", "b 10.0.0.3 1 spoken", "c 10.0.0.4 8 known", "d 10.0.0.5 7 known"], "b"),
        ("new 10.0.0.1 0", ["a 10.0.0.2 9 known", "b 10.0.0.3 8 known", "c 10.0.0.4 7 known", "d 10.0.0.5 6 known"],
         "new"),
        ("new 10.0.0.1 0 known",
         ["a 10.0.0.2 9 known", "b 10.0.0.3 8 known", "c 10.0.0.4 7 known", "d 10.0.0.5 6 known"], "a"),
    ],
)  # fmt: skip
def test_p7_who_leaves(newcomer: str, present: list[str], expected: str | None) -> None:
    admitted, leaving = displaced(
        of(newcomer), sorted(map(of, present), key=lambda one: one.opened), Places(total=4, per_address=2)
    )
    assert admitted is (expected != "new")
    assert (leaving.name if leaving else None) == (None if expected == "new" else expected)
