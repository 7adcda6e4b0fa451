"""gateway.dicom.iod against highdicom's rendering of PS3.3 and against facts of the standard."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from gateway.dicom.dictionary import tag_of
from gateway.dicom.iod import element_type, is_known_sop_class

ROOT = Path(__file__).parents[3]
CR, CT, ENHANCED_CT = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("1", "2", "2.1"))
SC, RT_PLAN, PDF = (f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("7", "481.5", "104.1"))
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
WAVEFORM_PR = "1.2.840.10008.5.1.4.1.1.9.100.1"
ORDER = ("1", "1C", "2", "2C", "3")


def tags(*keywords: str) -> tuple[int, ...]:
    found = [tag_of(keyword) for keyword in keywords]
    assert None not in found, keywords
    return tuple(tag for tag in found if tag is not None)


@pytest.mark.parametrize(
    ("sop_class", "keywords", "expected"),
    [
        (CT, ["PatientName"], "2"),
        (CT, ["StudyInstanceUID"], "1"),
        (CT, ["StudyDate"], "2"),
        (CT, ["SeriesDate"], "3"),
        (CT, ["ContentDate"], "2C"),
        (SC, ["ContentDate"], "2C"),
        (RT_PLAN, ["RTPlanLabel"], "1"),
        (RT_PLAN, ["RTPlanDate"], "2"),  # Table E.1-1 says X/D of it
        (PDF, ["EncapsulatedDocument"], "1"),
        (PDF, ["DocumentTitle"], "2"),
        (ENHANCED_CT, ["ContentDate"], "1"),
        (CR, ["AcquisitionDateTime"], "3"),
        (ENHANCED_CT, ["AcquisitionDateTime"], "1C"),
        # below sequences
        (CT, ["ReferencedImageSequence", "ReferencedSOPInstanceUID"], "1"),
        (CT, ["RequestAttributesSequence", "RequestedProcedureID"], "1C"),
        (ENHANCED_CT, ["PerFrameFunctionalGroupsSequence", "FrameContentSequence", "FrameComments"], "3"),
        # content items of content items of content items
        (BASIC_TEXT_SR, ["ContentSequence", "RelationshipType"], "1"),
        (BASIC_TEXT_SR, ["ContentSequence"] * 4 + ["RelationshipType"], "1"),
        # a sequence of the IOD in another place means what it means in its own
        (CT, ["DeviceSequence", "ReferencedImageSequence", "ReferencedSOPInstanceUID"], "1"),
        # attributes and sequences that the IOD does not have
        (CT, ["RTPlanLabel"], "3"),
        (CT, ["BeamSequence", "BeamName"], "3"),
    ],
)
def test_types(sop_class: str, keywords: list[str], expected: str) -> None:
    *path, tag = tags(*keywords)
    assert element_type(sop_class, tuple(path), tag) == expected


def test_unknown_and_private() -> None:
    assert element_type("1.2.3.4", (), 0x00100010) is None
    assert not is_known_sop_class("1.2.3.4")
    assert is_known_sop_class(CT)
    assert element_type(CT, (), 0x00091001) == "3"
    assert element_type(CT, (0x00091001,), 0x00100010) == "3"


def test_an_iod_that_is_not_known_wholly_knows_no_absence() -> None:
    assert element_type(WAVEFORM_PR, (), 0x00100010) == "2"
    assert element_type(WAVEFORM_PR, (), tags("RTPlanLabel")[0]) is None


def source(name: str) -> Any:
    return json.loads((files("highdicom") / "_standard" / f"{name}.json").read_text(encoding="utf-8"))


def test_every_attribute_of_the_source_has_its_strictest_type() -> None:
    classes, iods, modules = (source(f"{name}_map") for name in ("sop_class_iod", "iod_module", "module_attribute"))
    # Every class, and a sample of its attributes: all of them take a minute.
    choose = random.Random(11)
    for uid, iod in classes.items():
        strictest: dict[tuple[int, ...], str] = {}
        for module in iods[iod]:
            for attribute in modules.get(module["key"], ()):
                place = tuple(tag_of(keyword) or 0 for keyword in (*attribute["path"], attribute["keyword"]))
                if attribute["type"] in ORDER and 0 not in place:
                    known = strictest.get(place, "3")
                    strictest[place] = min(known, attribute["type"], key=ORDER.index)
        for place in choose.sample(sorted(strictest), min(150, len(strictest))):
            assert element_type(uid, place[:-1], place[-1]) == strictest[place], (uid, place)


def test_the_table_is_what_the_generator_writes(tmp_path: Path) -> None:
    written = tmp_path / "iod-types.txt"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "scripts" / "generate-iod-types"), str(written)]
    subprocess.run(command, check=True, cwd=ROOT, env=environ)
    assert written.read_bytes() == (files("gateway.dicom") / "data" / "iod-types.txt").read_bytes()
