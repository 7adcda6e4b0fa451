"""A ledger that is not there yet is waited for, and one that a person has to mend is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import structlog.testing

from gateway.errors import (
    LedgerBusy,
    LedgerDamaged,
    LedgerFull,
    LedgerMissing,
    LedgerReadOnly,
    LedgerRefused,
    LedgerUnavailable,
    LedgerUnreachable,
)
from gateway.service.patience import patiently

FACTS = {"operation": "be opened", "server": "PostgreSQL database x", "state": "?", "reason": "?"}


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def failing(*errors: LedgerUnavailable) -> Callable[[], str]:
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "open"

    return attempt


@pytest.mark.parametrize("kind", [LedgerUnavailable, LedgerUnreachable, LedgerBusy, LedgerFull, LedgerReadOnly])
def test_what_may_pass_is_waited_for(kind: type[LedgerUnavailable]) -> None:
    clock, told = Clock(), list[str]()
    attempt = failing(kind(**FACTS), kind(**FACTS))
    found = patiently(attempt, wait=clock.wait, told=lambda error: told.append(error.code), clock=clock)
    assert (found, clock.waits, told) == ("open", [0.5, 1.0], [kind.code] * 2)


@pytest.mark.parametrize("kind", [LedgerRefused, LedgerMissing, LedgerDamaged])
def test_what_a_person_has_to_mend_is_not(kind: type[LedgerUnavailable]) -> None:
    clock = Clock()
    with pytest.raises(kind):
        patiently(failing(kind(**FACTS)), wait=clock.wait, clock=clock)
    assert clock.waits == []
    # A gateway that runs waits for that, too.
    assert patiently(failing(kind(**FACTS)), wait=clock.wait, always=True, clock=clock) == "open"


def test_an_hour_is_told_once_a_minute_and_what_changes_at_once() -> None:
    clock = Clock()
    errors = [LedgerUnreachable(**FACTS)] * 240
    with structlog.testing.capture_logs() as logged:
        patiently(failing(*errors, LedgerFull(**FACTS)), wait=clock.wait, clock=clock)
    assert clock.now > 3500
    assert max(clock.waits) == 15.0
    assert 55 <= len(logged) <= 62
    assert {entry["event"] for entry in logged} == {"ledger awaited"}
    assert logged[-1]["code"] == "ledger-full"


def test_the_wait_ends_when_nobody_wants_it() -> None:
    assert patiently(failing(LedgerUnreachable(**FACTS)), wait=lambda _: True) is None
