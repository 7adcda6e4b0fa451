"""Series of which a sample was looked at: once a slice had text, the others are made anew. On whatever database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.ledger import InstanceState, Ledger
from tests.unit.ledger.build import at, claim, deidentified, finish, held, outcome, received, state_of, take


def slices(ledger: Ledger, *numbers: int) -> list[int]:
    """Claimed instances; their row ids."""
    ledger.instances.record([received(number) for number in numbers])
    return [one.instance_id for one in claim(ledger)]


def unlooked(number: int, series: str = "s", **changes: Any) -> Any:
    return deidentified(number, sop_key=f"sop-{number}", content_key="c", sampled_series=series, **changes)


def with_text(number: int, series: str = "s", **changes: Any) -> Any:
    return deidentified(number, sop_key=f"sop-{number}", content_key="c", text_series=series, **changes)


def remade(ledger: Ledger) -> list[dict[str, Any]]:
    entries = [json.loads(record.document) for record in ledger.audit.trail()]
    return [one["facts"] for one in entries if one["action"] == "series-remade"]


class SamplingContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    @pytest.mark.parametrize("is_held", [False, True])
    def test_what_went_before_is_made_anew(self, ledger: Ledger, is_held: bool) -> None:
        first, other, last = slices(ledger, 1, 2, 3)
        finish(ledger, unlooked(first), unlooked(other, "another"))
        assert not ledger.sampling.series_has_text("lungs", "s")
        text = held(last, text_series="s") if is_held else with_text(last)
        finish(ledger, text)
        assert ledger.sampling.series_has_text("lungs", "s")
        assert (state_of(ledger, first), state_of(ledger, other)) == ("received", "deidentified")
        assert remade(ledger) == [{"series": "s", "instances": 1, "left": 0}]
        assert ledger.accounts.draw().balanced
        # It goes through again, this time looked at, and out.
        (again,) = claim(ledger, seconds=1)
        assert (again.instance_id, again.attempts) == (first, 1)
        finish(ledger, deidentified(first, sop_key=f"sop-{first}", content_key="c"))
        assert state_of(ledger, first) == "deidentified"
        assert ledger.accounts.draw().balanced

    def test_what_comes_later_or_at_the_same_time_is_made_anew(self, ledger: Ledger) -> None:
        """A worker that has not heard of it yet passes a slice unlooked: it does not go out."""
        first, same, late = slices(ledger, 1, 2, 3)
        finish(ledger, with_text(first), unlooked(same))
        assert (state_of(ledger, first), state_of(ledger, same)) == ("deidentified", "received")
        finish(ledger, unlooked(late))
        assert state_of(ledger, late) == "received"
        assert ledger.accounts.draw().balanced

    def test_a_delivered_slice_is_delivered_again(self, ledger: Ledger) -> None:
        first, last = slices(ledger, 1, 2)
        finish(ledger, unlooked(first))
        (delivery,) = take(ledger)
        ledger.deliveries.record("deliverer", [outcome(delivery.delivery_id)], now=at(1))
        assert state_of(ledger, first) == InstanceState.DELIVERED.value
        finish(ledger, with_text(last))
        assert state_of(ledger, first) == "received"
        assert ledger.accounts.draw().balanced

    def test_what_is_just_being_delivered_is_told_of(self, ledger: Ledger) -> None:
        first, last, more = slices(ledger, 1, 2, 3)
        finish(ledger, unlooked(first))
        take(ledger)
        finish(ledger, with_text(last))
        assert state_of(ledger, first) == "deidentified"
        finish(ledger, with_text(more))
        # Once.
        assert remade(ledger) == [{"series": "s", "instances": 0, "left": 1}]

    def test_projects_have_nothing_in_common(self, ledger: Ledger) -> None:
        first, last = slices(ledger, 1, 2)
        finish(ledger, unlooked(first))
        finish(ledger, with_text(last, project="other"))
        assert state_of(ledger, first) == "deidentified"
