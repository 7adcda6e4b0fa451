"""Dates move by one number of days per patient, and nothing else about them changes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.deid.dates import PLACEHOLDERS, dated_value, patient_shift, shift_value, truncate_value
from gateway.deid.project_key import ProjectKey
from gateway.profile import Action, Origin, Shift, TimeOfDay, Truncation, Verb
from gateway.verify import harmless_words

KEY = ProjectKey(b"k" * 32)


@pytest.mark.parametrize(
    ("vr", "value", "days", "expected"),
    [
        (b"DA", b"20240229", 1, b"20240301"),  # a leap day
        (b"DA", b"20230301", -1, b"20230228"),  # no leap year
        (b"DA", b"20240301", -1, b"20240229"),  # a leap year
        (b"DA", b"19000301", -1, b"19000228"),  # 1900 had no leap day
        (b"DA", b"20000301", -1, b"20000229"),  # 2000 had one
        (b"DA", b"20240101 ", -1, b"20231231"),  # padding
        (b"DA", b"18440215", 10, b"18440225"),  # long ago
        (b"DA", b"00020101", -365, b"00010101"),  # a year of four digits
        (b"DA", b"2024.02.29", 1, b"20240301"),  # ACR-NEMA
        (b"DA", b"2024-02-29", 1, b"20240301"),  # ISO 8601, as some devices write
        (b"DA", b"20240229\\20240301", 1, b"20240301\\20240302"),  # several values
        (b"DA", b"20240229\\\\", 1, b"20240301\\\\"),  # empty ones stay empty
        (b"DA", b"", 1, b""),  # nothing
        (b"DA", b"20240228-20240301", 1, b"20240229-20240302"),  # a range
        (b"DA", b"20240228-", 1, b"20240229-"),  # open ranges
        (b"DA", b"-20240228", 1, b"-20240229"),
        (b"DA", b"19000101", 5, b"19000101"),  # a placeholder would tell the shift
        (b"DA", b"19700101", 5, b"19700106"),  # somebody may have been born then
        (b"DA", b"20240230", 1, None),  # no date
        (b"DA", b"2024022", 1, None),
        (b"DA", b"202402", 1, None),  # DA has no shorter form
        (b"DA", b"20240229\\x", 1, None),  # one is none
        (b"DA", b"2024-0229", 1, None),
        (b"DA", b"-", 1, None),
        (b"DA", b"1-2-3", 1, None),
        (b"DA", b"00010102", -5, None),  # out of the calendar
        (b"DA", b"99991230", 5, None),
        (b"DA", b"MOCKBURY", 1, None),  # a name
        (b"DA", "２０２４０２２９".encode(), 1, None),  # digits of another script
        (b"DT", b"20240229101112.123456+0100", 1, b"20240301101112.123456+0100"),  # precision and offset stay
        (b"DT", b"20240229235960", 1, b"20240301235960"),  # a leap second
        (b"DT", b"20240229-0500", 1, b"20240301-0500"),  # an offset, not a range
        (b"DT", b"2024022910", -29, b"2024013110"),
        (b"DT", b"20240229", 1, b"20240301"),
        (b"DT", b"202402", 1, b"202402"),  # February 1st becomes February 2nd
        (b"DT", b"202402", -1, b"202401"),  # and January 31st
        (b"DT", b"2024", -1, b"2023"),
        (b"DT", b"2024-0500", -1, b"2023-0500"),
        (b"DT", b"20240228101112-20240229", 1, b"20240229101112-20240301"),  # ranges
        (b"DT", b"20240228-", 1, b"20240229-"),
        (b"DT", b"2023-2024", -1, b"2022-2023"),  # no offset is that large
        (b"DT", b"20240229101112+1400", 1, b"20240301101112+1400"),  # the largest
        (b"DT", b"20240229101112+1500", 1, None),
        (b"DT", b"20240229101112+0160", 1, None),
        (b"DT", b"19000101000000", 5, b"19000101000000"),  # a placeholder with its clock
        (b"DT", b"2024022925", 1, None),  # no hour
        (b"DT", b"20241301", 1, None),  # no month
        (b"DT", b"202402291", 1, None),
        (b"TM", b"101112.5", 9, b"101112.5"),  # times stay
        (b"TM", b"10:11:12", 9, b"10:11:12"),  # also those of ACR-NEMA
        (b"TM", b"0900-1000", 9, b"0900-1000"),
        (b"TM", b"MOCKBURY", 9, None),
        (b"AS", b"045Y", 9, b"045Y"),  # no shift changes an age
        (b"AS", b"45", 9, None),
        (b"LO", b"20240229", 1, b"20240301"),  # a date that a private element keeps as text
        (b"SH", b"+0100", 1, b"+0100"),  # an offset from UTC
        (b"LO", b"202402", 1, None),  # six digits are no certain date
        (b"LO", b"20240229101112.5+0100", 1, b"20240301101112.5+0100"),  # a DT as text
        (b"LO", b"2024022910", 1, b"2024030110"),  # with the hour alone
        (b"LO", b"2024+0100", 1, b"2024+0100"),  # with the year and an offset, which is more than a number
        (b"LO", b"2024022", 1, None),  # seven digits are none
        (b"LT", b"20240229", 1, b"20240301"),  # all VRs of text
        (b"ST", b"20240229", 1, b"20240301"),
        (b"UC", b"20240229", 1, b"20240301"),
        (b"UT", b"20240229", 1, b"20240301"),
        (b"UN", b"20240229", 1, b"20240301"),
        (b"SH", b"20240229", 1, b"20240301"),
        (b"LO", b"seen 20240229", 1, None),  # text is for clean
        (b"OB", b"20240229", 1, None),
    ],
)  # fmt: skip
def test_shifted(vr: bytes, value: bytes, days: int, expected: bytes | None) -> None:
    assert shift_value(vr, value, days) == expected


@pytest.mark.parametrize(
    ("vr", "value", "to", "expected"),
    [
        (b"DA", b"20240229", "year", b"20240101"),  # DA has no shorter form
        (b"DA", b"20240229", "month", b"20240201"),
        (b"DA", b"2024.02.29\\20231231", "month", b"20240201\\20231201"),
        (b"DA", b"11111111", "year", b"11111111"),  # a placeholder
        (b"DA", b"20240230", "year", None),
        (b"DT", b"20240229101112+0100", "year", b"2024"),  # the offset tells a region, and goes
        (b"DT", b"20240229101112", "month", b"202402"),
        (b"DT", b"2024", "month", b"2024"),  # no more than there was
        (b"DT", b"20240230", "year", None),
        (b"TM", b"101112", "year", None),
    ],
)
def test_truncated(vr: bytes, value: bytes, to: str, expected: bytes | None) -> None:
    assert truncate_value(vr, value, to) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verb", "options", "vr", "expected"),
    [
        (Verb.SHIFT_DATE, None, b"DT", b"20240301101112"),
        (Verb.SHIFT_DATE, TimeOfDay("hour"), b"DT", b"2024030110"),  # moved, and cut
        (Verb.TRUNCATE_DATE, Truncation("month"), b"DT", b"202402"),
        (Verb.TRUNCATE_DATE, None, b"DT", b"2024"),  # to the year, if nothing is said
        (Verb.KEEP, TimeOfDay("remove"), b"DT", b"20240229"),
        (Verb.KEEP, TimeOfDay("hour"), b"OB", b"20240229101112"),  # no VR of times: as it is, without padding
    ],
)
def test_what_a_rule_makes_of_a_value(verb: Verb, options: object, vr: bytes, expected: bytes) -> None:
    rule = Action(verb, Origin("tested", "", "", 1), options=options)  # type: ignore[arg-type]
    assert dated_value(rule, vr, b"20240229101112\0", 1) == expected


def test_placeholders_neither_move_nor_are_cut() -> None:
    assert sorted(PLACEHOLDERS) == [
        "00010101", "11111111", "16010101", "17530101", "18000101", "18581117", "18991230", "19000101",
    ]  # fmt: skip
    for one in PLACEHOLDERS:
        assert shift_value(b"DA", one.encode(), 5) == truncate_value(b"DA", one.encode(), "year") == one.encode()


def test_placeholders_are_known_to_the_verifier() -> None:
    assert [one for one in PLACEHOLDERS if not harmless_words.is_placeholder_date(one)] == []


ranges = st.tuples(st.integers(-4000, 4000), st.integers(0, 4000)).map(lambda pair: Shift(pair[0], pair[0] + pair[1]))
patients = st.tuples(st.just("id"), st.text(max_size=8), st.text(max_size=3))
days = st.dates(date(1900, 1, 2), date(2900, 1, 1)).filter(lambda day: f"{day:%Y%m%d}" not in PLACEHOLDERS)


@given(ranges.filter(lambda shift: shift.choices > 0), patients)
def test_the_shift_is_in_its_range_and_never_none(shift: Shift, patient: tuple[str, ...]) -> None:
    found = patient_shift(shift, KEY, patient)
    assert shift.first <= found <= shift.last
    assert found != 0
    # Another process, another node: the same.
    assert found == patient_shift(shift, ProjectKey(b"k" * 32), patient)


def test_every_shift_occurs_about_equally_often() -> None:
    shift, counts = Shift(-3, 2), dict.fromkeys((-3, -2, -1, 1, 2), 0)
    for number in range(1000):
        counts[patient_shift(shift, KEY, ("id", str(number), ""))] += 1
    assert all(150 < count < 250 for count in counts.values())
    other = ProjectKey(b"x" * 32)
    assert any(patient_shift(shift, KEY, ("id", str(one), "")) != patient_shift(shift, other, ("id", str(one), ""))
               for one in range(20))  # fmt: skip


@given(st.lists(days, min_size=2, max_size=6), st.integers(-5000, 5000).filter(bool))
def test_order_and_intervals_are_exact(originals: list[date], shift: int) -> None:
    """Whether they stand in DA or DT, in one element or in several."""
    alone = [_day(shift_value(b"DA", f"{day:%Y%m%d}".encode(), shift)) for day in originals]
    together = shift_value(b"DA", "\\".join(f"{day:%Y%m%d}" for day in originals).encode(), shift)
    moments = [_day(shift_value(b"DT", f"{day:%Y%m%d}101112.5+0100".encode(), shift)) for day in originals]
    assert alone == moments == [_day(part) for part in (together or b"").split(b"\\")]
    assert [new - old for new, old in zip(alone, originals, strict=True)] == [timedelta(shift)] * len(originals)


def _day(value: bytes | None) -> date:
    assert value is not None
    return date(int(value[:4]), int(value[4:6]), int(value[6:8]))
