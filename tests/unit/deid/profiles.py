"""Profiles written in a test, and instances treated by them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from gateway.deid import Deidentified, Deidentifier, ProjectKey
from gateway.deid.number_source import NumberSource
from gateway.deid.trace import Trace
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.segments import copy_to
from gateway.profile import Program, load_profile, shipped_profiles
from gateway.profile.situation import decided
from gateway.verify import Verifier

CT = "1.2.840.10008.5.1.4.1.1.2"
KEY = ProjectKey(b"k" * 32)
_programs: dict[tuple[str, str], Program] = {}


def program(folder: Path, text: str, *, use: str = "basic") -> Program:
    """The profile with these rules on top of the layers ``use``; tables that it names are in ``folder``."""
    if ".csv" not in text:
        if (text, use) not in _programs:
            _programs[text, use] = _loaded(folder, text, use)
        return _programs[text, use]
    return _loaded(folder, text, use)


def _loaded(folder: Path, text: str, use: str) -> Program:
    file = folder / "tested.yaml"
    file.write_text(f"profile: tested\nuse: [{use}]\n{text}\n", encoding="utf-8")
    return load_profile(str(file), search=[shipped_profiles()])


def dataset(sop_class: str = CT, /, **values: Any) -> Dataset:
    """An instance with ``values`` besides what every instance has."""
    found = Dataset()
    found.SOPClassUID = sop_class
    found.SOPInstanceUID = "1.2.276.0.7230010.3.4"
    found.StudyInstanceUID = "1.2.276.0.7230010.3"
    found.SeriesInstanceUID = "1.2.276.0.7230010.3.1"
    found.PatientID = "MRN-4711"
    found.PatientName = "MOCKBURY^TESTARIO"
    with disable_value_validation():
        for keyword, value in values.items():
            setattr(found, keyword, value)
    return found


def item(**values: Any) -> Dataset:
    """A sequence item."""
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def stored(folder: Path, source: Dataset, *, syntax: str = ExplicitVRLittleEndian) -> Path:
    """``source`` as a modality stores it."""
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = UID(syntax)
    path = folder / "in.dcm"
    with disable_value_validation():
        source.save_as(path, enforce_file_format=True, overwrite=True)
    return path


def opened(path: Path) -> Instance:
    """The file as the pipeline opens it."""
    return open_instance(path, work=path.parent, limits=Limits(), max_reencode_bytes=1 << 24)


class Treated:
    """The output of one instance as pydicom reads it, with what the engine says of it."""

    def __init__(self, dataset: Dataset, output: Deidentified, trace: Trace, content: bytes) -> None:
        self.dataset = dataset
        self.content = content
        self.output = output
        self.trace = trace


def treat(
    folder: Path,
    using: Program,
    source: Dataset,
    *,
    syntax: str = ExplicitVRLittleEndian,
    sender: Mapping[str, str] | None = None,
    key: ProjectKey = KEY,
    numbers: NumberSource | None = None,
    verify: bool = True,
) -> Treated:
    """De-identify and, unless the test is about an output that must not leave, verify."""
    trace = Trace()
    deidentifier = Deidentifier(using, key, numbers=numbers)
    with opened(stored(folder, source, syntax=syntax)) as instance:
        truths = decided(using, instance, sender)
        output = deidentifier.apply(instance, truths, trace=trace)
        assert deidentifier.apply(instance, truths).segments == output.segments
        if verify:
            Verifier(using).check(instance, output.segments, truths)
        file = io.BytesIO()
        copy_to(output.segments, file)
    file.seek(0)
    return Treated(pydicom.dcmread(file), output, trace, file.getvalue())
