"""Numbers of content items: measurements and counts stay, what may be somebody's number goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.profile import Program
from tests.unit.deid.cleaning import COMPREHENSIVE_SR, CT, deidentified, instance, item, program


@pytest.fixture(scope="module")
def using(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "clean-structured-content", "clean-descriptors")


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def number(value: str, unit: str | None, concept: tuple[str, str, str], **others: Any) -> Dataset:
    measured = item(NumericValue=value, **others)
    if unit is not None:
        measured.MeasurementUnitsCodeSequence = [code(unit, "UCUM", unit)]
    return item(
        RelationshipType="CONTAINS",
        ValueType="NUM",
        ConceptNameCodeSequence=[code(*concept)],
        MeasuredValueSequence=[measured],
    )


#: A concept that measures, and one that nobody knows.
LENGTH = ("G-D7FE", "SRT", "Length")
UNKNOWN = ("77", "99X", "Hospital")


@pytest.mark.parametrize(
    ("value", "unit", "concept", "stays"),
    [
        # measured, of whatever concept
        ("123456", "mm", LENGTH, True),
        ("1234567", "Bq/ml", UNKNOWN, True),
        ("12.5", "mm", UNKNOWN, True),
        ("3516000", "msec", UNKNOWN, True),  # as devices write units
        # without a unit, too short or no whole number
        ("12345", "1", UNKNOWN, True),
        ("12345", None, UNKNOWN, True),
        ("123456.78", "1", UNKNOWN, True),
        ("0.000123", "1", UNKNOWN, True),
        ("1.5e7", "{ratio}", UNKNOWN, False),
        # without a unit, as long as an identifier
        ("123456", "1", UNKNOWN, False),
        ("123456", None, UNKNOWN, False),
        ("-123456", "1", UNKNOWN, False),
        ("123456.0", "1", UNKNOWN, False),
        ("004712", "1", UNKNOWN, False),
        ("123456", "{MRN}", UNKNOWN, False),
        ("123456", "no units", UNKNOWN, False),
        ("12\\123456", "1", UNKNOWN, False),
        # of a concept that is known and counts, or does not
        ("123456", "1", ("121401", "DCM", "Derivation"), False),
        ("123456", "1", ("113768", "DCM", "Number of Pulses"), True),
        ("123456", "{pulses}", ("113768", "DCM", "Number of Pulses"), True),
        # no age, for nothing says that it is one
        ("91", "1", UNKNOWN, True),
        ("150", None, ("113768", "DCM", "Number of Pulses"), True),
        # the header's own, whatever is said of it
        ("4471823", "mm", LENGTH, False),
        ("4471823", "1", ("113768", "DCM", "Number of Pulses"), False),
    ],
)
def test_numbers(tmp_path: Path, using: Program, value: str, unit: str | None, concept: Any, stays: bool) -> None:
    values: Any = value.split("\\") if "\\" in value else value
    source = instance(
        COMPREHENSIVE_SR,
        ValueType="CONTAINER",
        ContentSequence=[number(values, unit, concept), number("7", "mm", LENGTH)],
    )
    found = deidentified(source, using, tmp_path).ContentSequence
    left = [str(one.MeasuredValueSequence[0].NumericValue) for one in found]
    assert left == ([str(source.ContentSequence[0].MeasuredValueSequence[0].NumericValue), "7"] if stays else ["7"])


def test_the_number_once_more(tmp_path: Path, using: Program) -> None:
    """Floating Point Value and Rational Numerator Value hold it, too."""
    hidden = [
        number("1", "1", UNKNOWN, FloatingPointValue=1234567.0),
        number("1", "1", UNKNOWN, RationalNumeratorValue=1234567, RationalDenominatorValue=1),
        number("1.5", "1", UNKNOWN, FloatingPointValue=1.5),
    ]
    found = deidentified(
        instance(COMPREHENSIVE_SR, ValueType="CONTAINER", ContentSequence=hidden), using, tmp_path
    ).ContentSequence
    assert [str(one.MeasuredValueSequence[0].NumericValue) for one in found] == ["1.5"]


def test_lists_of_content_items_and_annotations(tmp_path: Path, using: Program) -> None:
    def numeric(value: str, **others: Any) -> Dataset:
        return item(ConceptNameCodeSequence=[code(*UNKNOWN)], NumericValue=value, **others)

    unit = {"MeasurementUnitsCodeSequence": [code("mm", "UCUM", "mm")]}
    source = instance(
        CT,
        AcquisitionContextSequence=[
            numeric("123456", ValueType="NUMERIC"),
            numeric("123456", ValueType="NUMERIC", **unit),
        ],
        WaveformAnnotationSequence=[numeric("123456"), numeric("123456", **unit), numeric("12")],
    )
    found = deidentified(source, using, tmp_path)
    assert [str(one.NumericValue) for one in found.AcquisitionContextSequence] == ["123456"]
    assert [str(one.NumericValue) for one in found.WaveformAnnotationSequence] == ["123456", "12"]


def test_what_is_referred_to_becomes_a_dummy(tmp_path: Path, using: Program) -> None:
    source = instance(
        COMPREHENSIVE_SR,
        ValueType="CONTAINER",
        ContentSequence=[
            number("123456", "1", UNKNOWN),
            item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1, 1]),
        ],
    )
    found = deidentified(source, using, tmp_path).ContentSequence
    assert len(found) == 2
    assert len(found[0].MeasuredValueSequence) == 0
