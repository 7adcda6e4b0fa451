"""Waits between batches: none after a full one, longer and longer ones after nothing, an end at once."""

from __future__ import annotations

from threading import Event

import pytest

from gateway.errors import LedgerUnavailable, TransientError
from gateway.service.pace import Pace, amount

PACE = Pace(few=4, shortest=0.01, longest=0.05)


class Waits(Event):
    """An event whose waits pass at once and are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return self.is_set()


def waited(batches: list[int | TransientError]) -> tuple[list[float], list[TransientError]]:
    """The waits that come of batches, and what was told to have failed."""
    waits, left = Waits(), list(batches)
    failures: list[TransientError] = []

    def batch() -> int:
        done = left.pop(0)
        if not left:
            waits.set()
        if isinstance(done, TransientError):
            raise done
        return done

    PACE.keep(batch, failed=failures.append, stopping=waits)
    assert not left
    return waits.seconds, failures


def test_waits() -> None:
    failure = LedgerUnavailable(operation="claim", reason="locked")
    cases: list[tuple[list[int | TransientError], list[float]]] = [
        ([4, 9, 4], []),  # full: on at once
        ([4, 3, 1], [0.02, 0.02]),  # small: others gather
        ([0, 0, 0, 0, 0], [0.01, 0.02, 0.04, 0.05, 0.05]),  # nothing: longer and longer
        ([0, 0, 4, 0], [0.01, 0.02, 0.01]),  # work: from the beginning
        ([failure, 0, 4], [1.0, 0.05]),  # a failure, told once
    ]
    for batches, expected in cases:
        seconds, failures = waited(batches)
        assert seconds == expected, batches
        assert failures == [one for one in batches if one is failure]


def test_nothing_is_begun_after_the_end() -> None:
    stopping = Event()
    stopping.set()
    PACE.keep(lambda: 1 // 0, failed=lambda error: None, stopping=stopping)


@pytest.mark.parametrize(
    ("instances", "size", "expected"),
    [
        (0, 0, 0),
        (50, 600_000, 50),  # many small ones
        (2, 30 << 20, 30),  # few large ones are as much work
        (1, (1 << 20) - 1, 1),
    ],
)
def test_large_instances_count_for_many(instances: int, size: int, expected: int) -> None:
    assert amount(instances, size) == expected
