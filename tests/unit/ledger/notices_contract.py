"""What people are going to be told: nothing is lost, nothing is told that nobody wants. On whatever database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger import HeldAbout, Ledger
from gateway.ledger.notices import Notice, Occurrence, Want
from tests.unit.ledger.build import START, at, claim, deidentified, finish, held, outcome, received, take

EVENTS = ("study-complete", "held", "delivery-dead", "destination-down", "destination-up", "disk-low")


@contextmanager
def wanting(ledger: Ledger, *events: str) -> Iterator[None]:
    """As if the ledger had been opened for somebody who wants to be told."""
    before = ledger._database._wanted
    ledger._database._wanted = frozenset(events)
    try:
        yield
    finally:
        ledger._database._wanted = before


def want(*names: str, told: bool = False) -> Callable[[Occurrence], Iterable[Want]]:
    return lambda _: [Want(notifier=name, gather_seconds=10, names=told) for name in names or ("desk",)]


def sum_up(ledger: Ledger, *names: str, told: bool = False) -> int:
    return ledger.notices.sum_up(want(*names, told=told))


def due(ledger: Ledger, notifier: str = "desk", *, seconds: float = 10**9) -> Notice | None:
    return ledger.notices.due(notifier, now=at(seconds), longest_seconds=1800)


def the_due(ledger: Ledger, notifier: str = "desk") -> Notice:
    found = due(ledger, notifier)
    assert found is not None
    return found


def hold(ledger: Ledger, *numbers: int, code: str = "rule-failed", series: str = "") -> list[int]:
    ledger.instances.record([received(number) for number in numbers])
    ids = [one.instance_id for one in claim(ledger)]
    about = HeldAbout(study_key="k", series_key=series, maker="", model="", modality="CT", rows=1, columns=1, frames=1)
    finish(ledger, *(held(number, code=code, about=about if series else None) for number in ids))
    return ids


class NoticesContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_nothing_is_written_of_what_nobody_wants(self, ledger: Ledger) -> None:
        with wanting(ledger, "delivery-dead"):
            hold(ledger, 1)
        assert sum_up(ledger) == 0
        assert due(ledger) is None

    def test_what_is_held_is_summed_up(self, ledger: Ledger) -> None:
        with wanting(ledger, *EVENTS):
            first = hold(ledger, 1, 2, 3, series="one")
            second = hold(ledger, 4, series="two", code="leak-suspected")
            assert sum_up(ledger) == 4
            assert sum_up(ledger) == 0
            found = the_due(ledger)
            assert (found.event, found.project, found.number) == ("held", "lungs", 0)
            tally = found.tally
            assert (tally.count, sorted(tally.series)) == (4, ["one", "two"])
            assert tally.codes == {"rule-failed": 3, "leak-suspected": 1}
            assert tally.instances == [*first, *second]
            # Not at once: what follows comes into the same message.
            assert due(ledger, seconds=9.9) is None
            hold(ledger, 5)
            sum_up(ledger)
            assert the_due(ledger).tally.count == 5
            assert due(ledger, seconds=10) is not None

    def test_a_hundred_of_one_kind_are_a_hundred(self, ledger: Ledger) -> None:
        """Transitions of one kind are written by one statement."""
        with wanting(ledger, *EVENTS):
            hold(ledger, *range(100))
            sum_up(ledger)
            assert the_due(ledger).tally.count == 100
            assert len(the_due(ledger).tally.instances) == 50

    def test_each_is_told_by_itself(self, ledger: Ledger) -> None:
        with wanting(ledger, *EVENTS):
            hold(ledger, 1)
            sum_up(ledger, "desk", "other")
            ledger.notices.begin(the_due(ledger), {"id": "1"})
            ledger.notices.taken(the_due(ledger), now=at(20), every_seconds=900)
            assert due(ledger) is None
            assert the_due(ledger, "other").tally.count == 1

    def test_a_message_under_way_is_what_it_is(self, ledger: Ledger) -> None:
        """It is sent again as it was; what happens meanwhile is of the next one."""
        with wanting(ledger, *EVENTS):
            hold(ledger, 1)
            sum_up(ledger)
            ledger.notices.begin(the_due(ledger), {"id": "1", "text": "one"})
            hold(ledger, 2, 3)
            sum_up(ledger)
            again = the_due(ledger)
            assert again.sending == {"id": "1", "text": "one"}
            assert (again.number, again.tally.count) == (1, 2)
            ledger.notices.failed(again, due_at=at(500))
            assert due(ledger, seconds=499) is None
            assert the_due(ledger).tries == 1
            ledger.notices.taken(the_due(ledger), now=at(600), every_seconds=900)
            # The next one of its kind comes when its time has come, with all that happened.
            assert due(ledger, seconds=1499) is None
            following = the_due(ledger)
            assert (following.sending, following.tally.count, following.tries) == (None, 2, 0)
            assert following.sent_at == at(600)

    def test_after_a_quiet_time_the_first_is_told_soon(self, ledger: Ledger) -> None:
        with wanting(ledger, *EVENTS):
            hold(ledger, 1)
            sum_up(ledger)
            ledger.notices.begin(the_due(ledger), {"id": "1"})
            ledger.notices.taken(the_due(ledger), now=START - timedelta(days=2), every_seconds=900)
            hold(ledger, 2)
            sum_up(ledger)
            assert due(ledger, seconds=9.9) is None
            assert due(ledger, seconds=10) is not None

    @pytest.mark.parametrize("taken", [False, True])  # whether one has been told before the clock was set right
    def test_a_clock_that_was_a_day_ahead_keeps_nothing_back(self, ledger: Ledger, taken: bool) -> None:
        with wanting(ledger, *EVENTS):
            hold(ledger, 1)
            sum_up(ledger)
            ledger.notices.failed(the_due(ledger), due_at=at(86_400 + 1800))
            if taken:
                ledger.notices.begin(the_due(ledger), {"id": "1"})
                ledger.notices.taken(the_due(ledger), now=at(86_400), every_seconds=900)
                hold(ledger, 2)
                sum_up(ledger)
            assert due(ledger, seconds=86_400) is None
            assert due(ledger, seconds=0) is not None

    def test_a_clock_that_was_a_day_ahead_makes_no_study_wait(self, ledger: Ledger) -> None:
        wanted = Want(notifier="desk", gather_seconds=0, names=False)
        with wanting(ledger, *EVENTS):
            ledger.instances.record([received(1)])
            finish(ledger, deidentified(claim(ledger)[0].instance_id))
            ledger.deliveries.record("deliverer", [outcome(take(ledger)[0].delivery_id)], now=at(86_400))
            sum_up(ledger)
            complete = [
                ledger.notices.complete_studies(wanted, quiet_seconds=60, destinations=["archive"], now=at(seconds))
                for seconds in (0, 30, 61)
            ]
            # Nobody knows how long it has been quiet: as long as it must be, from now on.
            assert complete == [0, 0, 1]

    def test_what_cannot_be_summed_up_stays(self, ledger: Ledger) -> None:
        def fail(_: Occurrence) -> Iterable[Want]:
            raise LedgerUnavailable(operation="x", reason="killed")

        with wanting(ledger, *EVENTS):
            hold(ledger, 1, 2)
            with pytest.raises(LedgerUnavailable):
                ledger.notices.sum_up(fail)
            assert sum_up(ledger) == 2

    def test_what_nobody_wants_any_more_goes(self, ledger: Ledger) -> None:
        with wanting(ledger, *EVENTS):
            hold(ledger, 1)
            assert ledger.notices.sum_up(lambda _: []) == 1
            assert due(ledger) is None
            hold(ledger, 2)
            sum_up(ledger)
            assert ledger.notices.waiting() == {"desk": 1}
            assert ledger.notices.forget(["other"]) == 1
            assert ledger.notices.waiting() == {}

    def test_deliveries_that_are_given_up(self, ledger: Ledger) -> None:
        with wanting(ledger, *EVENTS):
            ledger.instances.record([received(1)])
            finish(ledger, *(deidentified(one.instance_id) for one in claim(ledger)))
            (taken,) = take(ledger)
            ledger.deliveries.record("deliverer", [outcome(taken.delivery_id, "dead")], now=START)
            sum_up(ledger, told=True)
            found = the_due(ledger)
            assert (found.event, found.project, found.tally.codes) == ("delivery-dead", "lungs", {"http-503": 1})
            assert found.tally.studies == ["2.25.1"]
            assert found.tally.patients == ["SUBJECT-1"]

    @pytest.mark.parametrize("told", [False, True])
    def test_a_study_is_complete_when_nothing_of_it_is_open(self, ledger: Ledger, told: bool) -> None:
        wanted = Want(notifier="desk", gather_seconds=0, names=told)

        def complete(seconds: float) -> int:
            sum_up(ledger, told=told)
            return ledger.notices.complete_studies(wanted, quiet_seconds=60, destinations=["archive"], now=at(seconds))

        with wanting(ledger, *EVENTS):
            ledger.instances.record([received(number) for number in (1, 2, 3)])
            finish(ledger, *(deidentified(one.instance_id) for one in claim(ledger)))
            first, *others = take(ledger)
            ledger.deliveries.record("deliverer", [outcome(first.delivery_id)], now=at(0))
            assert complete(30) == 0  # it is not quiet
            assert complete(70) == 0  # two are open
            ledger.deliveries.record("deliverer", [outcome(one.delivery_id) for one in others], now=at(80))
            assert complete(100) == 0
            assert complete(141) == 1
            assert complete(10**6) == 0
            found = the_due(ledger)
            assert (found.event, found.project, found.tally.count) == ("study-complete", "lungs", 1)
            assert found.tally.studies == (["2.25.1"] if told else [])
            assert found.tally.patients == (["SUBJECT-1"] if told else [])

    def test_a_study_with_a_dead_delivery_is_complete_when_a_person_has_decided(self, ledger: Ledger) -> None:
        wanted = Want(notifier="desk", gather_seconds=0, names=False)
        with wanting(ledger, *EVENTS):
            ledger.instances.record([received(number) for number in (1, 2)])
            finish(ledger, *(deidentified(one.instance_id) for one in claim(ledger)))
            first, last = take(ledger)
            outcomes = [outcome(first.delivery_id), outcome(last.delivery_id, "dead")]
            ledger.deliveries.record("deliverer", outcomes, now=at(0))
            sum_up(ledger)

            def complete(seconds: float) -> int:
                return ledger.notices.complete_studies(
                    wanted, quiet_seconds=60, destinations=["archive"], now=at(seconds)
                )

            assert complete(100) == 0
            ledger.deliveries.retry(now=at(110))
            (again,) = take(ledger, seconds=120)
            ledger.deliveries.record("deliverer", [outcome(again.delivery_id)], now=at(130))
            sum_up(ledger)
            assert complete(200) == 1

    def test_how_things_stand_is_told_when_it_changes(self, ledger: Ledger) -> None:
        def stands(state: str, event: str, code: str = "") -> bool:
            return ledger.occurrences.stands(
                "destination/archive", state, event=event, destination="archive", code=code, now=START
            )

        with wanting(ledger, *EVENTS):
            # Nobody is told of what has always been well.
            assert not stands("well", "destination-up")
            assert stands("down tls", "destination-down", "tls")
            # Another process finds the same.
            assert not stands("down tls", "destination-down", "tls")
            assert stands("well", "destination-up")
            assert sum_up(ledger) == 2
            events = set()
            while (found := due(ledger)) is not None:
                events.add((found.event, found.project, *found.tally.destinations, *found.tally.codes))
                ledger.notices.begin(found, {})
                ledger.notices.taken(found, now=START, every_seconds=1)
            assert events == {("destination-down", "", "archive", "tls"), ("destination-up", "", "archive")}
