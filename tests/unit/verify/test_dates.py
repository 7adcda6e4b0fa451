"""Dates are found however they are written."""

from __future__ import annotations

import pytest

from gateway.dicom.identifying import Kind
from gateway.verify.dates_in_text import Dates, date_digits, dates_in
from gateway.verify.needles import needles

BIRTH = "19310427"


@pytest.mark.parametrize(
    "text",
    [
        "19310427",  # as DICOM writes it
        "born19310427x",  # letters beside it
        "19310427093000",  # with a clock
        "193104270930",  # with hours and minutes
        "1931-04-27T09:30",  # ISO 8601
        "27/04/1931",  # day first
        "4/27/1931",  # month first
        "1931 4 27",  # without zeros
        "27.4.31",  # two digits of the year
        "27-04-31",
        "31/04/27",  # year first
        "27 04 31",  # pairs with blanks
        "27_04_1931",  # underscores
        "27041931",  # no separators, day first
        "04271931",  # month first
        "310427",  # six digits
        "270431",
        "27 abril 1931",  # Spanish
        "27 de abril de 1931",
        "27 DE ABRIL DEL 1931",
        "27abr31",
        "27-abr-1931",
        "27 d'abril de 1931",  # Catalan
        "27 Apr 1931",  # English
        "27th of April 1931",
        "April 27th, 1931",
        "Apr 27 31",
        "1931 Apr 27",
        "le 27 avril 1931",  # French
        "27 de Abril de 1931",  # Portuguese
        "27. April 1931",  # German
        "27 aprile 1931",  # Italian
        "27 IV 1931",  # Roman numerals
        "27 de 04 de 1931",
        "TORAX_27ABR1931_PA",  # inside other words
        "２７/０４/１９３１",  # wide digits
        "٢٧/٠٤/١٩٣١",  # Arabic digits
    ],
)
def test_a_date_of_birth_is_found(text: str) -> None:
    (needle,) = needles(Kind.BIRTH_DATE, BIRTH)
    assert needle.is_among(dates_in(text))


@pytest.mark.parametrize(
    ("date", "text"),
    [
        ("19310101", "1 gener 1931"),  # ca
        ("19310201", "1er février 1931"),  # fr
        ("19310301", "1 març 1931"),  # ca
        ("19310301", "1. März 1931"),  # de
        ("19310301", "1 março 1931"),  # pt
        ("19310501", "1 maig 1931"),  # ca
        ("19310501", "1 mai 31"),  # fr, de
        ("19310601", "1 giugno 1931"),  # it
        ("19310701", "1 juliol 1931"),  # ca
        ("19310801", "1 août 1931"),  # fr
        ("19310901", "1 setembro 1931"),  # pt
        ("19310901", "1 setiembre 1931"),  # es
        ("19311001", "1 ottobre 1931"),  # it
        ("19311001", "1 Okt 1931"),  # de
        ("19311201", "1 de desembre 1931"),  # ca
        ("19311201", "1 Dezember 1931"),  # de
        ("19311201", "1 décembre 1931"),  # fr
    ],
)
def test_months_in_all_languages(date: str, text: str) -> None:
    assert date in dates_in(text).plain


@pytest.mark.parametrize(
    "text",
    [
        "1.27.4.31",  # four numbers: a version
        "27.4.31.5",
        "127.4.31",  # a longer number in front
        "27.4.310",  # a longer number behind
        "27.4-31",  # two separators
        "27 4 31",  # blanks between single digits: any row of numbers
        "27 04 31 55",  # a longer row
        "1931",  # a year
        "27 abril",  # no year
        "27 1931",
        "april 31",
        "2704193",  # seven digits
        "119310427",  # inside a longer number
        "1931042712",  # a clock of two digits is none
        "27 abrilito 1931",  # no month
    ],
)
def test_other_numbers_are_no_date(text: str) -> None:
    (needle,) = needles(Kind.BIRTH_DATE, BIRTH)
    assert not needle.is_among(dates_in(text))


@pytest.mark.parametrize("text", ["270431", "04271931", "310427"])
def test_digits_alone_are_dates_of_birth_only(text: str) -> None:
    (needle,) = needles(Kind.DATE, BIRTH)
    assert not needle.is_among(dates_in(text))


def test_three_numbers_are_no_sure_date() -> None:
    (needle,) = needles(Kind.DATE, "20240315")
    assert needle.is_among(dates_in("15.3.24"))
    assert not needle.is_among(dates_in("15.3.24 2024-03-15"), surely=True)
    assert needle.is_among(dates_in("15 March 2024"), surely=True)


@pytest.mark.parametrize("number", range(1, 13))
def test_roman_months_have_whole_years(number: int) -> None:
    roman = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")[number - 1]
    assert f"1931{number:02d}04" in dates_in(f"4 {roman} 1931").plain
    # Two letters and two numbers are anything: "4 I 31", "3 V 12".
    assert dates_in(f"4 {roman} 31").plain == frozenset()
    # Nor does a month in Roman numerals stand first.
    assert f"1931{number:02d}04" not in dates_in(f"{roman} 4 1931").plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18000101", {"18000101"}),  # the first year that counts
        ("17991231", set()),
        ("19311231", {"19311231"}),  # the last day
        ("19311301", set()),  # no such month
        ("19311232", set()),  # no such day
        ("19310001", set()),
        ("19310100", set()),
        ("1 April 31", {"19310401", "20310401"}),  # both centuries
    ],
)
def test_plain_dates(text: str, expected: set[str]) -> None:
    assert dates_in(text).plain == expected


def test_short_dates_behind_others() -> None:
    """A row of numbers in front is no date, what comes behind it may be one."""
    assert dates_in("1.2.3.04 and 27.4.31").loose >= {"19310427", "20310427"}
    assert dates_in("a.27.4.31").loose >= {"19310427"}  # a letter before the separator
    assert dates_in("127.4.31").loose == frozenset()


def test_dates_of_two_texts() -> None:
    both = Dates(frozenset("a"), frozenset("b"), frozenset("c")) | Dates(frozenset("d"), frozenset("e"), frozenset("f"))
    assert both == Dates(frozenset("ad"), frozenset("be"), frozenset("cf"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("19310427", "19310427"),
        ("1931.04.27", "19310427"),  # ACR-NEMA
        ("1931-04-27T0930", "19310427"),  # ISO 8601
        ("1931/04/27", "19310427"),
        ("193104270930", "19310427"),  # what stands behind it
        ("1931-4-27 0", ""),  # without zeros it is not whole
        ("19311301", ""),
        ("19310432", ""),
        ("19310400", ""),
        ("19310012", ""),
        ("1931042", ""),
        ("1931042x", ""),
        ("", ""),
    ],
)
def test_the_date_that_a_value_begins_with(text: str, expected: str) -> None:
    assert date_digits(text) == expected
