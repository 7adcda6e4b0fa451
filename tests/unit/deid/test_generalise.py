"""Values become coarser, never finer, and stay valid."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deid.generalise import generalise
from gateway.profile import Bins, Prefix, Rounding


@pytest.mark.parametrize(
    ("options", "value", "expected"),
    [
        (Bins(5, 90), "043Y", "040Y"),  # the first year of the bin
        (Bins(5, 90), "045Y", "045Y"),
        (Bins(5, 90), "089Y", "085Y"),
        (Bins(5, 90), "090Y", "090Y"),  # over 89 is one group
        (Bins(5, 90), "112Y", "090Y"),
        (Bins(5), "112Y", "110Y"),  # no top
        (Bins(1, 90), "043Y", "043Y"),  # years as they are
        (Bins(5, 90), "011M", "000Y"),  # other units
        (Bins(5, 90), "061M", "005Y"),
        (Bins(1, 90), "052W", "000Y"),  # 364 days
        (Bins(1, 90), "053W", "001Y"),
        (Bins(1, 90), "366D", "001Y"),
        (Bins(1, 90), "365D", "000Y"),  # a year has 365.25
        (Bins(7, 30), "029Y", "028Y"),  # a top that is no multiple
        (Bins(7, 30), "030Y", "030Y"),
        (Bins(5, 90), "43Y", None),  # no age
        (Bins(5, 90), "043X", None),
        (Rounding(Decimal(5)), "72.5", "75"),  # halves go up
        (Rounding(Decimal(5)), "72.4", "70"),
        (Rounding(Decimal(5)), "-72.5", "-70"),
        (Rounding(Decimal("0.05")), "1.83", "1.85"),
        (Rounding(Decimal("0.05")), "1.8", "1.8"),
        (Rounding(Decimal(10)), "4", "0"),
        (Rounding(Decimal(10)), "-4", "0"),  # and not -0
        (Rounding(Decimal(5)), "7.25E1", "75"),  # exponents
        (Rounding(Decimal(100)), "1234567890123456789", "1.23456789E+18"),  # DS has 16 characters
        (Rounding(Decimal(5)), "heavy", None),
        (Rounding(Decimal(5)), "NaN", None),
        (Rounding(Decimal(5)), "1E999", "1.00000000E+999"),  # no measurement, and a valid DS
        (Prefix(3), "46022", "460"),  # a postcode
        (Prefix(3), "SW1A 1AA", "SW1"),
        (Prefix(5), "SW1A 1AA", "SW1A"),  # no blank at the end
        (Prefix(9), "46022", "46022"),
    ],
)
def test_generalised(options: Bins | Rounding | Prefix, value: str, expected: str | None) -> None:
    assert generalise(options, value) == expected


@given(st.integers(0, 999), st.integers(1, 99), st.integers(1, 120))
def test_ages_stay_in_their_bin(years: int, width: int, top: int) -> None:
    found = generalise(Bins(width, top), f"{years:03d}Y")
    assert found is not None
    binned = int(found[:3])
    assert binned == top if years >= top else binned <= years < binned + width
    assert generalise(Bins(width, top), found) in (found, f"{top:03d}Y" if binned == top else found)


@given(st.decimals(-10_000, 10_000, places=2), st.sampled_from(["0.05", "0.5", "1", "5", "10"]))
def test_numbers_move_by_half_a_step_at_most(number: Decimal, step: str) -> None:
    found = generalise(Rounding(Decimal(step)), str(number))
    assert found is not None
    assert abs(Decimal(found) - number) <= Decimal(step) / 2
    assert Decimal(found) % Decimal(step) == 0
    assert len(found) <= 16
