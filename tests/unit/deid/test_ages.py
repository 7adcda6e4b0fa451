"""An age in a content item is treated as Patient's Age is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.unit.deid.profiles import dataset, item, program, treat

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
USE = "basic, retain-patient-characteristics, clean-structured-content"
TOPPED = "attributes:\n  - generalise: {PatientAge: {top: 090Y}}"
STEPS = "attributes:\n  - generalise: {PatientAge: {bins: 5Y, top: 080Y}}"
OPEN = "attributes:\n  - generalise: {PatientAge: {bins: 10Y}}"
KEPT = "version: '1'"
GONE = "attributes:\n  - remove: [PatientAge]"
AT_TOP = "attributes:\n  - generalise: {/PatientAge: {top: 090Y}}"

SUBJECT_AGE = ("121033", "DCM", "Subject Age")


def coded(value: str, scheme: str, meaning: str) -> list[Dataset]:
    return [item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def units(unit: str | None) -> dict[str, Any]:
    return {} if unit is None else {"MeasurementUnitsCodeSequence": coded(unit, "UCUM", unit)}


def number(concept: tuple[str, str, str], value: str, unit: str | None, **values: Any) -> Dataset:
    measured = item(NumericValue=value, **units(unit), **values)
    return item(
        RelationshipType="CONTAINS",
        ValueType="NUM",
        ConceptNameCodeSequence=coded(*concept),
        MeasuredValueSequence=[measured],
    )


def report(*items: Dataset) -> Dataset:
    return dataset(
        COMPREHENSIVE_SR,
        Modality="SR",
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=coded("126000", "DCM", "Imaging Measurement Report"),
        ContentSequence=list(items),
    )


@pytest.mark.parametrize(
    ("rules", "concept", "value", "unit", "expected"),
    [
        # topped, as it is below the top, and on it
        (TOPPED, SUBJECT_AGE, "93", "a", ("90", "a")),
        (TOPPED, SUBJECT_AGE, "61", "a", ("61", "a")),
        (TOPPED, SUBJECT_AGE, "89.9", "a", ("89", "a")),
        (TOPPED, SUBJECT_AGE, "90", "a", ("90", "a")),
        # in months, weeks, days, and without a unit
        (TOPPED, SUBJECT_AGE, "1116", "mo", ("90", "a")),
        (TOPPED, SUBJECT_AGE, "18", "mo", ("1", "a")),
        (TOPPED, SUBJECT_AGE, "4853", "wk", ("90", "a")),
        (TOPPED, SUBJECT_AGE, "33968", "d", ("90", "a")),
        (TOPPED, SUBJECT_AGE, "3", "d", ("0", "a")),
        (TOPPED, SUBJECT_AGE, "93", None, ("90", "a")),
        (TOPPED, SUBJECT_AGE, "93", "1", ("90", "a")),
        (TOPPED, SUBJECT_AGE, "9.3E1", "a", ("90", "a")),
        # steps, with another top and without
        (STEPS, SUBJECT_AGE, "63", "a", ("60", "a")),
        (STEPS, SUBJECT_AGE, "81", "a", ("80", "a")),
        (OPEN, SUBJECT_AGE, "93", "a", ("90", "a")),
        (OPEN, SUBJECT_AGE, "103", "a", ("100", "a")),
        # a unit that is none of time
        (TOPPED, SUBJECT_AGE, "93", "mm", None),
        # a profile that keeps, removes, or has a rule for one place
        (KEPT, SUBJECT_AGE, "93", "a", ("93", "a")),
        (GONE, SUBJECT_AGE, "61", "a", None),
        (AT_TOP, SUBJECT_AGE, "93", "a", ("90", "a")),
        # ages of other schemes, and of a site's own
        (TOPPED, ("397669002", "SCT", "Age"), "93", "a", ("90", "a")),
        (TOPPED, ("30525-0", "LN", "Age"), "93", "a", ("90", "a")),
        (TOPPED, ("E8", "99LOC", "Edad"), "93", "a", ("90", "a")),
        (GONE, ("397669002", "SCT", "Age"), "61", "a", None),
        (GONE, ("E8", "99LOC", "Edad"), "61", "a", None),
        # a time longer than a life under a concept that nobody knows may be an age
        (TOPPED, ("E9", "99LOC", "Valor"), "93", "a", ("90", "a")),
        (TOPPED, ("E9", "99LOC", "Valor"), "1116", "mo", ("90", "a")),
        (GONE, ("E9", "99LOC", "Valor"), "93", "a", ("90", "a")),
        # what is none stays
        (TOPPED, ("11885-1", "LN", "Gestational Age by LMP"), "30", "wk", ("30", "wk")),
        (GONE, ("11885-1", "LN", "Gestational Age by LMP"), "30", "wk", ("30", "wk")),
        (TOPPED, ("111520", "DCM", "Age at Menopause"), "51", "a", ("51", "a")),
        (TOPPED, ("M1", "99LOC", "Diametro"), "93", "mm", ("93", "mm")),
        (TOPPED, ("M1", "99LOC", "Dosis"), "40000", "d", ("40000", "d")),
    ],
)
def test_ages_in_content_items(
    tmp_path: Path, rules: str, concept: tuple[str, str, str], value: str, unit: str | None, expected: Any
) -> None:
    using = program(tmp_path, rules, use=USE)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        found = treat(tmp_path, using, report(number(concept, value, unit)), syntax=syntax).dataset
        if expected is None:
            # The item goes; the tree holds a dummy instead of nothing.
            assert [one.ValueType for one in found.ContentSequence] == ["TEXT"]
            continue
        measured = found.ContentSequence[0].MeasuredValueSequence[0]
        assert (str(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue) == expected


def test_an_age_is_not_left_in_another_form(tmp_path: Path) -> None:
    using = program(tmp_path, TOPPED, use=USE)
    found = treat(tmp_path, using, report(number(SUBJECT_AGE, "93", "a", FloatingPointValue=93.4))).dataset
    assert "FloatingPointValue" not in found.ContentSequence[0].MeasuredValueSequence[0]


def test_ages_below_other_items(tmp_path: Path) -> None:
    using = program(tmp_path, TOPPED, use=USE)
    container = item(
        RelationshipType="CONTAINS",
        ValueType="CONTAINER",
        ConceptNameCodeSequence=coded("121070", "DCM", "Findings"),
        ContentSequence=[number(SUBJECT_AGE, "93", "a")],
    )
    found = treat(tmp_path, using, report(container)).dataset
    assert found.ContentSequence[0].ContentSequence[0].MeasuredValueSequence[0].NumericValue == 90


@pytest.mark.parametrize(("rules", "expected"), [(TOPPED, 90), (KEPT, 93), (GONE, None)])
def test_ages_in_the_acquisition_context(tmp_path: Path, rules: str, expected: int | None) -> None:
    using = program(tmp_path, rules, use=f"{USE}, clean-descriptors")
    context = item(
        ValueType="NUMERIC",
        ConceptNameCodeSequence=coded(*SUBJECT_AGE),
        NumericValue="93",
        FloatingPointValue=93.4,
        **units("a"),
    )
    found = treat(tmp_path, using, dataset(AcquisitionContextSequence=[context])).dataset
    items = found.get("AcquisitionContextSequence") or []
    assert [one.NumericValue for one in items] == ([] if expected is None else [expected])
    assert all("FloatingPointValue" not in one for one in items) or expected == 93
