"""The breaker: one delivery tries a destination that is down, and the others wait."""

from __future__ import annotations

import pytest

from gateway.deliver.base import Outcome
from gateway.metrics import Metrics
from gateway.service.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(first_seconds: float = 5.0) -> tuple[Breaker, Clock, Metrics]:
    clock, metrics = Clock(), Metrics()
    return Breaker("archive", first_seconds=first_seconds, metrics=metrics, clock=clock), clock, metrics


def failed(code: str, **named: float) -> Outcome:
    return Outcome(1, "failed", code, **named)  # type: ignore[arg-type]


def up(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("gateway_destination_up", {"destination": "archive"})


@pytest.mark.parametrize(
    ("outcome", "opens"),
    [
        (failed("unreachable"), True),
        (failed("credentials"), True),
        (failed("tls"), True),
        (failed("busy"), True),
        (failed("not-found"), True),
        (failed("timeout"), True),
        (Outcome(1, "sent", "unreachable"), True),  # it was to be asked
        (Outcome(1, "sent", "waiting"), False),
        (Outcome(1, "confirmed", "stored"), False),
        (failed("rejected"), False),  # an answer about this instance
        (failed("server-error"), False),
        (Outcome(1, "dead", "too-large"), False),
        (failed("spool-unreadable"), False),  # our own
    ],
)
def test_what_concerns_the_destination_as_a_whole(outcome: Outcome, *, opens: bool) -> None:
    breaker, _, metrics = make()
    assert breaker.share() == "all"
    breaker.told([outcome])
    assert breaker.is_open is opens
    assert up(metrics) == (0 if opens else 1)


def test_one_tries_and_the_others_wait() -> None:
    breaker, clock, metrics = make()
    breaker.told([failed("unreachable")])
    assert breaker.share() == "nothing"
    clock.now += 5
    assert breaker.share() == "one"
    assert breaker.share() == "nothing"  # while that one is under way
    clock.now += 100
    assert breaker.share() == "nothing"
    breaker.told([failed("unreachable")])
    assert breaker.share() == "nothing"
    clock.now += 10
    assert breaker.share() == "one"
    breaker.told([Outcome(1, "confirmed", "stored")])
    assert breaker.share() == "all"
    assert up(metrics) == 1


def test_after_a_weekend_it_is_tried_within_half_a_minute() -> None:
    breaker, clock, _ = make()
    breaker.told([failed("unreachable")])
    tries = 0
    for _ in range(2 * 24 * 3600):
        clock.now += 1
        if breaker.share() == "one":
            tries += 1
            breaker.told([failed("unreachable")])
    assert 2 * 24 * 120 <= tries <= 2 * 24 * 240 + 10
    clock.now += 30
    assert breaker.share() == "one"


def test_it_waits_as_long_as_it_is_asked_to() -> None:
    breaker, clock, _ = make()
    breaker.told([failed("busy", retry_after=120.0)])
    clock.now += 119
    assert breaker.share() == "nothing"
    clock.now += 1
    assert breaker.share() == "one"


def test_what_was_under_way_does_not_lengthen_the_wait() -> None:
    breaker, clock, _ = make()
    for _ in range(8):  # connections that failed together
        breaker.told([failed("unreachable")])
    clock.now += 5
    assert breaker.share() == "one"


@pytest.mark.parametrize("untried", [True, False])
def test_without_an_answer_the_next_one_tries(*, untried: bool) -> None:
    breaker, clock, _ = make()
    breaker.told([failed("unreachable")])
    clock.now += 5
    assert breaker.share() == "one"
    if untried:  # nothing was due
        breaker.untried()
    else:  # its stored bytes are damaged
        breaker.told([Outcome(1, "dead", "spool-corrupt")])
    assert breaker.is_open
    assert breaker.share() == "one"


def test_an_outage_in_the_midst_of_a_batch() -> None:
    breaker, _, _ = make()
    breaker.told([Outcome(1, "confirmed", "stored"), failed("unreachable")])
    assert breaker.is_open


def test_people_are_told_when_it_changes() -> None:
    clock, told = Clock(), list[tuple[str, str]]()

    def tell(name: str, code: str) -> None:
        told.append((name, code))

    breaker = Breaker("archive", first_seconds=5, metrics=Metrics(), tell=tell, clock=clock)
    stored = Outcome(1, "confirmed", "stored")
    # What an earlier process has found may be over.
    breaker.told([failed("spool-unreadable")])
    assert told == []
    breaker.told([stored])
    breaker.told([stored])
    assert told == [("archive", "")]
    breaker.told([failed("unreachable")])
    breaker.told([failed("unreachable")])
    breaker.told([failed("credentials")])
    assert told[1:] == [("archive", "unreachable"), ("archive", "credentials")]
    breaker.told([stored])
    assert told[3:] == [("archive", "")]
