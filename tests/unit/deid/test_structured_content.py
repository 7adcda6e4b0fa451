"""Structured reports keep their structure and lose what identifies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.deid.content_items import Fate, treatment
from gateway.profile import Program
from tests.unit.deid.cleaning import BASIC_TEXT_SR, COMPREHENSIVE_SR, CT, deidentified, instance, item, program

UIDS, DEVICE, INSTITUTION, CHARACTERISTICS, FULL_DATES, MODIFIED_DATES, DESCRIPTORS = (
    "113110", "113109", "113112", "113108", "113106", "113107", "113105",
)  # fmt: skip


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "clean-structured-content")


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "clean-descriptors", "clean-structured-content")


def code(value: str, meaning: str, scheme: str = "DCM") -> list[Dataset]:
    return [item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def node(
    value_type: str, concept: tuple[str, str] | None = None, /, relationship: str = "CONTAINS", **values: Any
) -> Dataset:
    found = item(RelationshipType=relationship, ValueType=value_type, **values)
    if concept is not None:
        found.ConceptNameCodeSequence = code(*concept)
    return found


def by_reference(*identifier: int, relationship: str = "INFERRED FROM") -> Dataset:
    return item(RelationshipType=relationship, ReferencedContentItemIdentifier=list(identifier))


def report(*children: Dataset, sop_class: str = COMPREHENSIVE_SR) -> Dataset:
    return instance(
        sop_class,
        Modality="SR",
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=code("126000", "Informe de María"),
        ContentSequence=list(children),
    )


def shape(dataset: Dataset) -> list[Any]:
    """Value types of the tree, children in a list behind their parent."""
    found: list[Any] = []
    for one in dataset.get("ContentSequence", []):
        found.append(one.get("ValueType", "reference"))
        below = shape(one)
        if below:
            found.append(below)
    return found


@pytest.mark.parametrize(
    ("options", "concept", "value_type", "expected"),
    [
        # X alone, X with an option that cleans it, D, and X/D, which is a dummy
        ((), ("DCM", "121106"), "TEXT", Fate.REMOVE),
        ((DESCRIPTORS,), ("DCM", "121106"), "TEXT", Fate.CLEAN),
        ((), ("DCM", "112347"), "TEXT", Fate.DUMMY),
        ((DESCRIPTORS,), ("DCM", "112347"), "TEXT", Fate.DUMMY),
        ((), ("DCM", "121071"), "TEXT", Fate.DUMMY),
        # K by each option that can keep
        ((UIDS,), ("DCM", "113795"), "IMAGE", Fate.KEEP),
        ((DEVICE,), ("DCM", "113877"), "TEXT", Fate.KEEP),
        ((INSTITUTION,), ("DCM", "113873"), "TEXT", Fate.KEEP),
        ((CHARACTERISTICS,), ("DCM", "121033"), "NUM", Fate.KEEP),
        ((FULL_DATES,), ("DCM", "126201"), "DATE", Fate.KEEP),
        # C of a date is the rule for its attribute, which shifts it
        ((MODIFIED_DATES,), ("DCM", "126201"), "DATE", Fate.RULES),
        # of K and C, C: Equipment Identification
        ((DEVICE, DESCRIPTORS), ("DCM", "121122"), "TEXT", Fate.CLEAN),
        # options that say nothing of the item
        ((UIDS, CHARACTERISTICS), ("DCM", "121030"), "TEXT", Fate.DUMMY),
        ((FULL_DATES,), ("DCM", "121031"), "DATE", Fate.REMOVE),
        # not in the table: text is cleaned, all else is left to the attribute's rule
        ((), ("99LOCAL", "1"), "TEXT", Fate.CLEAN),
        ((), ("99LOCAL", "1"), "PNAME", Fate.RULES),
        ((), ("DCM", "121106"), "NUM", Fate.RULES),
    ],
)
def test_treatment(options: tuple[str, ...], concept: tuple[str, str], value_type: str, expected: Fate) -> None:
    assert treatment(options, *concept, value_type).fate is expected


@pytest.mark.parametrize("implicit", [False, True])
def test_items_by_their_concepts_and_types(descriptors: Program, tmp_path: Path, *, implicit: bool) -> None:
    source = report(
        # listed: Finding is cleaned, Accession Number goes, Subject Name gets a dummy, Study Instance UID another UID
        node("TEXT", ("121071", "Finding"), TextValue="Nódulo pulmonar derecho, García López"),
        node("TEXT", ("121022", "Accession Number"), TextValue="RX2024001882"),
        node("PNAME", ("121029", "Subject Name"), PersonName="García López^María"),
        node("UIDREF", ("110180", "Study Instance UID"), UID="1.2.276.0.7230010.3.1.2.501"),
        # not listed: text is cleaned, and goes if nothing is left
        node("TEXT", ("T1", "Nota de Etxebarria"), TextValue="torax normal"),
        node("TEXT", ("T2", "Nota"), TextValue="María"),
        node("PNAME", ("P1", "Quien"), PersonName="Etxebarria^Iñaki"),
        node("DATE", ("D1", "Cuando"), Date="20240315"),
        # Subject Age is a characteristic; a measurement that says nothing of anybody stays with its unit
        node("NUM", ("121033", "Subject Age"), MeasuredValueSequence=[item(NumericValue="61")]),
        node(
            "NUM",
            ("M1", "Diámetro"),
            MeasuredValueSequence=[
                item(NumericValue="12", MeasurementUnitsCodeSequence=code("mm", "de María", "UCUM"))
            ],
        ),
        node("CODE", ("C1", "Hallazgo"), ConceptCodeSequence=code("69536005", "Cabeza de García", "SCT")),
    )
    output = deidentified(source, descriptors, tmp_path, implicit=implicit)
    assert output.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurement Report"
    items = output.ContentSequence
    assert shape(output) == ["TEXT", "PNAME", "UIDREF", "TEXT", "PNAME", "DATE", "NUM", "CODE"]
    finding, subject, study, note, who, when, measured, coded = items
    assert finding.TextValue == "Nódulo pulmonar derecho"
    assert (subject.PersonName, who.PersonName) == ("DEIDENTIFIED", "DEIDENTIFIED")
    assert output.StudyInstanceUID == study.UID
    assert (note.TextValue, note.ConceptNameCodeSequence[0].CodeMeaning) == ("torax normal", "Nota")
    assert when.Date == "19000101"
    unit = measured.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    assert (measured.MeasuredValueSequence[0].NumericValue, unit.CodeMeaning) == (12, "mm")
    assert coded.ConceptCodeSequence[0].CodeMeaning == "Head"


def test_text_goes_without_clean_descriptors(content: Program, tmp_path: Path) -> None:
    source = report(
        node("TEXT", ("121106", "Comment"), TextValue="torax normal"),
        node("TEXT", ("121071", "Finding"), TextValue="torax normal"),
    )
    output = deidentified(source, content, tmp_path)
    assert shape(output) == ["TEXT"]
    assert output.ContentSequence[0].TextValue == "DEIDENTIFIED"


def test_identifiers_stay_apart(content: Program, tmp_path: Path) -> None:
    fetus = ("11951-1", "Fetus ID", "LN")
    source = report(*(node("TEXT", TextValue=text, ConceptNameCodeSequence=code(*fetus)) for text in ("A", "B", "A")))
    one, two, three = deidentified(source, content, tmp_path).ContentSequence
    assert one.TextValue == three.TextValue != two.TextValue
    assert len(one.TextValue) == 16


def test_references_follow_their_targets(descriptors: Program, tmp_path: Path) -> None:
    source = report(
        node("TEXT", ("121022", "Accession Number"), TextValue="RX2024001882"),
        node(
            "CONTAINER",
            ("121070", "Findings"),
            ContentSequence=[
                node("TEXT", ("T1", "Nota"), TextValue="García"),
                node("TEXT", ("T1", "Nota"), TextValue="torax", ContentSequence=[by_reference(1, 3)]),
            ],
        ),
        node("NUM", ("M1", "Diámetro"), MeasuredValueSequence=[]),
        node("TEXT", ("T1", "Nota"), TextValue="normal", ContentSequence=[by_reference(1, 2, 2), by_reference(1)]),
    )
    output = deidentified(source, descriptors, tmp_path)
    assert shape(output) == ["CONTAINER", ["TEXT", ["reference"]], "NUM", "TEXT", ["reference", "reference"]]
    container, _, last = output.ContentSequence
    inner = container.ContentSequence[0].ContentSequence[0]
    assert list(inner.ReferencedContentItemIdentifier) == [1, 2]
    first, root = last.ContentSequence
    assert list(first.ReferencedContentItemIdentifier) == [1, 1, 1]
    assert root.ReferencedContentItemIdentifier == 1


def test_targets_become_dummies_and_do_not_go(descriptors: Program, tmp_path: Path) -> None:
    source = report(
        node("TEXT", ("121022", "Accession Number"), TextValue="RX2024001882"),
        node(
            "TEXT",
            ("121020", "Placer Number"),
            TextValue="RX2024001882",
            ContentSequence=[
                node("NUM", ("121033", "Subject Age"), MeasuredValueSequence=[item(NumericValue="61")]),
                node("CODE", ("121032", "Subject Sex"), ConceptCodeSequence=code("F", "Female")),
                node("TEXT", ("T1", "Nota"), TextValue="torax"),
            ],
        ),
        node(
            "TEXT", ("T1", "Nota"), TextValue="normal", ContentSequence=[by_reference(1, 2, 1), by_reference(1, 2, 2)]
        ),
        # leads nowhere
        node("TEXT", ("T1", "Nota"), TextValue="normal", ContentSequence=[by_reference(1, 9)]),
    )
    output = deidentified(source, descriptors, tmp_path)
    assert shape(output) == ["TEXT", ["NUM", "CODE"], "TEXT", ["reference", "reference"], "TEXT"]
    target = output.ContentSequence[0]
    assert "RX2024001882" not in target.TextValue
    assert len(target.ContentSequence[0].MeasuredValueSequence) == 0
    assert target.ContentSequence[1].ConceptCodeSequence[0].CodingSchemeDesignator == "99DEID"
    assert [list(one.ReferencedContentItemIdentifier) for one in output.ContentSequence[1].ContentSequence] == [
        [1, 1, 1],
        [1, 1, 2],
    ]


def test_a_region_keeps_what_it_was_drawn_on(descriptors: Program, tmp_path: Path) -> None:
    image = node("IMAGE", ("121080", "Best illustration"), relationship="SELECTED FROM")
    image.ReferencedSOPSequence = [item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.276.0.7230010.3.1.4.9")]
    region = node("SCOORD", ("111030", "Image Region"), GraphicType="POINT", ContentSequence=[image])
    region.GraphicData = [1.0, 2.0]
    output = deidentified(report(region), descriptors, tmp_path)
    assert shape(output) == ["SCOORD", ["IMAGE"]]
    kept = output.ContentSequence[0].ContentSequence[0].ReferencedSOPSequence[0]
    assert kept.ReferencedSOPClassUID == CT
    assert kept.ReferencedSOPInstanceUID.startswith("2.25.")


def test_a_report_of_which_nothing_is_left_stays_valid(content: Program, tmp_path: Path) -> None:
    source = report(node("TEXT", ("121022", "Accession Number"), TextValue="RX2024001882"), sop_class=BASIC_TEXT_SR)
    output = deidentified(source, content, tmp_path)
    assert [one.TextValue for one in output.ContentSequence] == ["DEIDENTIFIED"]


def test_an_item_in_another_character_set(descriptors: Program, tmp_path: Path) -> None:
    source = report(node("TEXT", ("T1", "Nota"), TextValue="x"))
    source.ContentSequence[0].SpecificCharacterSet = "ISO_IR 192"
    source.ContentSequence[0].TextValue = "tórax Müller"
    output = deidentified(source, descriptors, tmp_path)
    assert output.ContentSequence[0].TextValue == "tórax"


def test_dates_by_the_profile(tmp_path: Path) -> None:
    source = report(
        node("DATE", ("126201", "Acquisition Date"), Date="20240315"),
        node("TIME", ("126202", "Acquisition Time"), Time="101500"),
        # a date of birth is none of the events
        node("DATE", ("121031", "Subject Birth Date"), Date="19620514"),
    )
    full = program(tmp_path, "clean-structured-content", "retain-longitudinal-full-dates")
    kept = deidentified(source, full, tmp_path).ContentSequence
    assert [kept[0].Date, kept[1].Time, len(kept)] == ["20240315", "101500", 2]
    modified = program(
        tmp_path,
        "clean-structured-content",
        "retain-longitudinal-modified-dates",
        extra="dates: {shift: per-patient, days: -30..-1}\n",
    )
    moved = deidentified(source, modified, tmp_path).ContentSequence
    assert "20240214" <= moved[0].Date <= "20240314"
    assert [moved[1].Time, len(moved)] == ["101500", 2]
    neither = deidentified(source, program(tmp_path, "clean-structured-content"), tmp_path).ContentSequence
    assert [one.TextValue for one in neither] == ["DEIDENTIFIED"]


def test_acquisition_context_and_specimen_preparation(descriptors: Program, tmp_path: Path) -> None:
    def steps(*items: Dataset) -> Dataset:
        return item(SpecimenPreparationStepContentItemSequence=list(items))

    def plain(value_type: str, concept: tuple[str, str], **values: Any) -> Dataset:
        found = node(value_type, concept, **values)
        del found.RelationshipType
        return found

    source = instance(
        CT,
        AcquisitionContextSequence=[
            plain("TEXT", ("T1", "Nota"), TextValue="torax García"),
            plain("TEXT", ("T1", "Nota"), TextValue="García"),
            plain("PNAME", ("P1", "Quien"), PersonName="Etxebarria^Iñaki"),
            plain("CODE", ("C1", "Vista"), ConceptCodeSequence=code("69536005", "x", "SCT")),
        ],
        SpecimenDescriptionSequence=[
            item(
                SpecimenIdentifier="S1",
                SpecimenUID="1.2.276.0.7230010.3.1.4.77",
                SpecimenPreparationSequence=[
                    steps(plain("TEXT", ("121041", "Specimen Identifier"), TextValue="S-4471823")),
                    steps(
                        plain("TEXT", ("121041", "Specimen Identifier"), TextValue="S-4471823"),
                        plain("TEXT", ("111703", "Processing step description"), TextValue="biopsia García"),
                    ),
                ],
            )
        ],
    )
    output = deidentified(source, descriptors, tmp_path)
    assert [one.ValueType for one in output.AcquisitionContextSequence] == ["TEXT", "PNAME", "CODE"]
    assert output.AcquisitionContextSequence[0].TextValue == "torax"
    (step,) = output.SpecimenDescriptionSequence[0].SpecimenPreparationSequence
    (description,) = step.SpecimenPreparationStepContentItemSequence
    assert description.TextValue == "biopsia"


def test_waveform_annotations(descriptors: Program, tmp_path: Path) -> None:
    source = instance(
        "1.2.840.10008.5.1.4.1.1.9.1.1",
        Modality="ECG",
        WaveformAnnotationSequence=[
            item(UnformattedTextValue="ECG normal García", ReferencedWaveformChannels=[1, 0]),
            item(UnformattedTextValue="García", ReferencedWaveformChannels=[1, 0]),
            item(ConceptNameCodeSequence=code("69536005", "García", "SCT"), ReferencedWaveformChannels=[1, 0]),
        ],
    )
    first, second = deidentified(source, descriptors, tmp_path).WaveformAnnotationSequence
    assert first.UnformattedTextValue == "ECG normal"
    assert second.ConceptNameCodeSequence[0].CodeMeaning == "Head"
