"""Whether the ledger takes writes: asked often, written seldom, and never waited for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gateway.errors import LedgerBusy, LedgerFull, LedgerUnavailable
from gateway.service.ledger_pulse import Pulse

FULL = LedgerFull(operation="be written", server="x", state="SQLITE_FULL", reason="x")


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Ledger:
    """A ledger that may fail or hang."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.beats = 0
        self.gate = threading.Event()
        self.gate.set()

    def beat(self) -> None:
        self.beats += 1
        self.gate.wait()
        if self.error is not None:
            raise self.error

    @contextmanager
    def hanging(self) -> Iterator[None]:
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()


def test_many_questions_are_one_write() -> None:
    clock, ledger = Clock(), Ledger()
    pulse = Pulse(ledger.beat, clock=clock)
    assert [pulse.problem() for _ in range(50)] == [None] * 50
    assert ledger.beats == 1
    clock.now += 2.1
    assert pulse.problem() is None
    assert ledger.beats == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FULL, "ledger-full"),
        (LedgerUnavailable(operation="be written", reason="x"), "ledger-unavailable"),
        (RuntimeError("DOE^JOHN"), "ledger-unavailable"),  # whatever it is, the ledger was not written
    ],
)
def test_a_failure_is_told_and_passes(error: Exception, code: str) -> None:
    clock, ledger = Clock(), Ledger()
    pulse = Pulse(ledger.beat, clock=clock)
    ledger.error = error
    found = pulse.problem()
    assert found is not None
    assert found.code == code
    assert "DOE" not in found.message
    ledger.error = None
    clock.now += 2.1
    assert pulse.problem() is None


def test_a_ledger_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.service.ledger_pulse._PATIENCE_SECONDS", 0.01)
    clock, ledger = Clock(), Ledger()
    pulse = Pulse(ledger.beat, clock=clock)
    assert pulse.problem() is None
    with ledger.hanging():
        # For a moment what was found last is good enough; then it counts as a failure.
        clock.now += 5
        assert pulse.problem() is None
        clock.now += 21
        assert isinstance(pulse.problem(), LedgerBusy)
        # However often it is asked, one write hangs.
        assert ledger.beats == 2
    _until(lambda: pulse.problem() is None)


def test_what_was_found_before_the_ledger_failed_somebody_is_not_believed() -> None:
    clock, ledger, failed = Clock(), Ledger(), Clock()
    failed.now = 0.0
    pulse = Pulse(ledger.beat, failed_at=failed, clock=clock)
    assert pulse.problem() is None
    # A worker says that its work pauses, the moment after.
    ledger.error, failed.now = FULL, clock.now + 0.1
    clock.now += 0.2
    assert pulse.problem() is FULL
    # While it fails, it is asked no oftener than else.
    failed.now += 0.2
    clock.now += 0.2
    assert pulse.problem() is FULL
    assert ledger.beats == 2
    ledger.error = None
    clock.now += 2.1
    assert pulse.problem() is None
    assert ledger.beats == 3


def test_a_write_that_had_begun_before_a_failure_does_not_refute_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.service.ledger_pulse._PATIENCE_SECONDS", 0.01)
    clock, ledger, failed = Clock(), Ledger(), Clock()
    failed.now = 0.0
    pulse = Pulse(ledger.beat, failed_at=failed, clock=clock)
    assert pulse.problem() is None
    with ledger.hanging():
        clock.now += 3
        assert pulse.problem() is None
        failed.now = clock.now + 0.1
        clock.now += 0.2
        # Somebody knows better than the write that is under way.
        assert isinstance(pulse.problem(), LedgerBusy)
    _until(lambda: pulse.problem() is None)
    # That write, and one that began after the failure.
    assert ledger.beats == 3


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come true")
