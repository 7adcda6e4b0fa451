"""Instances, programs and outputs for the tests of the cleaning options."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.dicom.segments import copy_to
from gateway.profile import Program, load_profile, shipped_profiles
from gateway.verify import Verifier

KEY = ProjectKey(b"a secret for the cleaning tests.")
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def program(directory: Path, *layers: str, extra: str = "") -> Program:
    """The basic profile with ``layers`` on top, and lines of YAML besides."""
    path = directory / "cleaning.yaml"
    used = ", ".join(("basic", *layers))
    path.write_text(f"profile: cleaning\ndescribes: for tests\nuse: [{used}]\n{extra}", encoding="utf-8")
    return load_profile(path, search=[directory, shipped_profiles()])


def item(**values: Any) -> Dataset:
    """One item, or what an instance has besides identity."""
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def instance(sop_class: str, **values: Any) -> Dataset:
    """An instance of Maria Garcia Lopez."""
    base = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": "1.2.276.0.7230010.3.1.4.501",
        "StudyInstanceUID": "1.2.276.0.7230010.3.1.2.501",
        "SeriesInstanceUID": "1.2.276.0.7230010.3.1.3.501",
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "García López^María",
        "PatientID": "HC-4471823",
        "PatientBirthDate": "19620514",
        "StudyDate": "20240315",
        "AccessionNumber": "RX2024001882",
        "ReferringPhysicianName": "Etxebarria^Iñaki",
        "InstitutionName": "Hospital de la Ribera",
    }
    return item(**{**base, **values})


def deidentified(source: Dataset, using: Program, directory: Path, *, implicit: bool = False) -> Dataset:
    """The verified output of ``source``."""
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    path = directory / "original.dcm"
    source.save_as(path, enforce_file_format=True)
    with open_instance(path, work=directory, limits=Limits(), max_reencode_bytes=1 << 20) as opened:
        output = Deidentifier(using, KEY).apply(opened)
        Verifier(using).check(opened, output.segments)
        buffer = io.BytesIO()
        copy_to(output.segments, buffer)
    buffer.seek(0)
    return pydicom.dcmread(buffer)
