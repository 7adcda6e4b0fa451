"""Times of day are cut wherever they stand, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.deid.dates import coarse_value
from gateway.profile import Program
from tests.unit.deid.cleaning import COMPREHENSIVE_SR, CT, deidentified, instance, item, program


@pytest.mark.parametrize(
    ("vr", "value", "hour", "remove"),
    [
        (b"TM", b"143522.123456", b"14", b""),
        (b"TM", b"1435", b"14", b""),
        (b"TM", b"14", b"14", b""),
        (b"TM", b"000000.000 ", b"00", b""),  # midnight, padded
        (b"TM", b"235960", b"23", b""),  # a leap second
        (b"TM", b"14:35:22.5", b"14", b""),  # ACR-NEMA
        (b"TM", b"143522\\150001\\", b"14\\15\\", b""),  # several values
        (b"TM", b"143522-150001", b"14-15", b""),  # ranges
        (b"TM", b"-1500", b"-15", b""),
        (b"TM", b"", b"", b""),
        (b"TM", b"2435", None, None),  # no time
        (b"TM", b"about 14:35", None, None),
        (b"DT", b"20240315143522.123456+0100", b"2024031514+0100", b"20240315"),
        (b"DT", b"20240315143522", b"2024031514", b"20240315"),
        (b"DT", b"202403151435-0500", b"2024031514-0500", b"20240315"),  # an offset to the west is no range
        (b"DT", b"20240315", b"20240315", b"20240315"),  # no time of day
        (b"DT", b"2024+0100", b"2024+0100", b"2024"),
        (b"DT", b"20240315143522-20240315150001", b"2024031514-2024031515", b"20240315-20240315"),
        (b"DT", b"20240315143522+0100\\202403161200", b"2024031514+0100\\2024031612", b"20240315\\20240316"),
        (b"DT", b"20240315T143522", None, None),  # no DT
        # text that is a date and time and nothing else, in private elements
        (b"LO", b"20240315143522.00 ", b"2024031514", b"20240315"),
        (b"UN", b"20240315143522\0", b"2024031514", b"20240315"),
        (b"UN", b"143522.5", b"14", b""),  # where nobody knows the VR
        (b"UN", b"1435", b"1435", b"1435"),
        (b"LO", b"143522", b"143522", b"143522"),
        (b"SH", b"20240315", b"20240315", b"20240315"),
        (b"LO", b"201203151435", b"2012031514", b"20120315"),
        (b"LO", b"2012031514", b"2012031514", b"2012031514"),  # rather a number
        (b"LO", b"TA 03:20", b"TA 03:20", b"TA 03:20"),  # how long a scan took
        (b"LO", b"99991315143522", b"99991315143522", b"99991315143522"),
    ],
)
def test_values(vr: bytes, value: bytes, hour: bytes | None, remove: bytes | None) -> None:
    assert (coarse_value(vr, value, "hour"), coarse_value(vr, value, "remove")) == (hour, remove)


KEPT = """\
attributes:
  - keep: [RadiopharmaceuticalStartTime, "(0019,xx11) ACME"]
    because: needed
  - keep: ["(0019,xxxx) ACME"]
    because: a block
  - keep: ["(0021,xxxx) ACME"]
    because: a block
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Program]:
    """Dates and times -> program."""
    folder = tmp_path_factory.mktemp("profiles")
    layers = {"full": "retain-longitudinal-full-dates", "modified": "retain-longitudinal-modified-dates"}
    return {
        (dates, times): program(
            folder,
            *([layers[dates]] if dates in layers else []),
            "clean-descriptors",
            "clean-structured-content",
            extra=f"times: {times}\n{KEPT}",
        )
        for dates in ("removed", *layers)
        for times in ("keep", "hour", "remove")
    }


def image() -> Dataset:
    """An image with times everywhere."""
    found = instance(
        CT,
        StudyTime="143522.123",
        SeriesTime="144001",
        AcquisitionTime="143601",
        ContentTime="143701",
        AcquisitionDateTime="20240315143601.5+0100",
        TimezoneOffsetFromUTC="+0100",
        StudyDescription="TORAX PA 14:35",
        SeriesDescription="TORAX 2:30 PM",
        RadiopharmaceuticalInformationSequence=[
            item(
                RadiopharmaceuticalStartTime="120311",
                RadiopharmaceuticalStopTime="120411",
                RadiopharmaceuticalStartDateTime="20240315120311",
            )
        ],
    )
    for group in (0x0019, 0x0021):
        block = found.private_block(group, "ACME", create=True)
        block.add_new(0x10, "TM", "120311")
        block.add_new(0x11, "TM", "120411")
        block.add_new(0x12, "LO", "TA 03:20")
        block.add_new(0x13, "SQ", [item(ContentTime="120511")])
    return found


def report() -> Dataset:
    """A document with a time and a moment."""

    def content(kind: str, code: str, **values: Any) -> Dataset:
        name = item(CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning="x")
        return item(RelationshipType="CONTAINS", ValueType=kind, ConceptNameCodeSequence=[name], **values)

    return instance(
        COMPREHENSIVE_SR,
        ValueType="CONTAINER",
        ContentSequence=[
            content("TIME", "111061", Time="143522"),
            content("DATETIME", "111526", DateTime="20240315143522"),
            content("DATETIME", "111469", DateTime="20240315143522"),
            content("TEXT", "121071", TextValue="Nodule at 14:35"),
        ],
    )


def times(found: Dataset) -> Iterator[str]:
    """Every TM and every DT with more than a day."""
    for element in found.iterall():
        if element.VR == "TM" or (element.VR == "DT" and len(str(element.value)) > 8):
            yield f"{element.tag} {element.value}"


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(("dates", "left"), [("full", "20240315"), ("modified", "")])
def test_hours_are_left(
    programs: dict[tuple[str, str], Program], tmp_path: Path, dates: str, left: str, implicit: bool
) -> None:
    found = deidentified(image(), programs[dates, "hour"], tmp_path, implicit=implicit)
    assert (found.StudyTime, found.SeriesTime, found.AcquisitionTime, found.ContentTime) == ("14", "14", "14", "14")
    assert found.AcquisitionDateTime.startswith(left)
    assert found.AcquisitionDateTime[8:] == "14+0100"
    assert (found.StudyDescription, found.SeriesDescription) == ("TORAX PA", "TORAX")
    inner = found.RadiopharmaceuticalInformationSequence[0]
    # Of these one is kept by its name.
    assert (inner.RadiopharmaceuticalStartTime, inner.RadiopharmaceuticalStopTime) == ("120311", "12")
    assert inner.RadiopharmaceuticalStartDateTime[8:] == "12"
    named, block = found.private_block(0x0019, "ACME"), found.private_block(0x0021, "ACME")
    # Where the VR is not written, a private element is bytes.
    values = [str(one[byte].value).strip("b' ") for one in (named, block) for byte in (0x10, 0x11, 0x12)]
    assert values == ["12", "120411", "TA 03:20", "12", "12", "TA 03:20"]
    if not implicit:
        assert block[0x13].value[0].ContentTime == "12"
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"


def test_only_dates_are_left(programs: dict[tuple[str, str], Program], tmp_path: Path) -> None:
    found = deidentified(image(), programs["full", "remove"], tmp_path)
    # Of Type 2, of Type 3, and no time without an offset.
    assert (found.StudyTime, "SeriesTime" in found, "TimezoneOffsetFromUTC" in found) == ("", False, False)
    assert found.AcquisitionDateTime == "20240315"
    assert [one for one in times(found) if not one.endswith(" ")] == ["(0019,1011) 120411", "(0018,1072) 120311"]
    assert 0x10 not in found.private_block(0x0019, "ACME")


@pytest.mark.parametrize(
    ("dates", "setting", "expected"),
    [
        ("full", "keep", ["143522", "20240315143522", "20240315143522"]),
        ("full", "hour", ["14", "2024031514", "2024031514"]),
        ("full", "remove", ["000000", "20240315", "20240315"]),  # of Type 1 a dummy
        ("modified", "hour", ["14", "14", "14"]),
        ("modified", "remove", ["000000", "", ""]),
    ],
)
def test_content_items(
    programs: dict[tuple[str, str], Program], tmp_path: Path, dates: str, setting: str, expected: list[str]
) -> None:
    found = deidentified(report(), programs[dates, setting], tmp_path)
    values = [str(one.get("Time") or one.get("DateTime")) for one in found.ContentSequence if one.ValueType != "TEXT"]
    assert [one[8:] if dates == "modified" and len(one) >= 8 else one for one in values] == expected
    assert all("14:35" not in one.get("TextValue", "") for one in found.ContentSequence)


@pytest.mark.parametrize("setting", ["keep", "hour", "remove"])
def test_without_dates_there_are_no_times(
    programs: dict[tuple[str, str], Program], tmp_path: Path, setting: str
) -> None:
    source = image()
    del source[0x00190010:0x00220000]
    found = deidentified(source, programs["removed", setting], tmp_path)
    assert all(one.split()[-1] in ("000000", "120311") or one.endswith(" ") for one in times(found))


@pytest.mark.parametrize("value", ["14:99", "14 hours", "20240315143522"])
def test_what_is_no_time_goes(programs: dict[tuple[str, str], Program], tmp_path: Path, value: str) -> None:
    source = image()
    del source.StudyTime
    source.add_new(0x00080030, "LO", value)
    assert not deidentified(source, programs["full", "hour"], tmp_path).StudyTime
