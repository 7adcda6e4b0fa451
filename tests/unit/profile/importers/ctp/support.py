"""Scripts of CTP written for tests, in both forms, and what becomes of an instance under the profile made of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.deid import Deidentifier, ProjectKey
from gateway.deid.acceptance import decide
from gateway.dicom.dictionary import tag_of
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.dicom.segments import copy_to
from gateway.profile import Program, load_profile
from gateway.profile.importers.ctp import Imported, import_ctp
from gateway.profile.situation import decided, situation

CT = "1.2.840.10008.5.1.4.1.1.2"
FORMS = ("xml", "properties")


@dataclass(frozen=True)
class Script:
    """A DicomAnonymizer script, before it has a form."""

    elements: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    remove: tuple[str, ...] = ("privategroups", "curves", "overlays")

    def text(self, form: str) -> str:
        return self._xml() if form == "xml" else self._properties()

    def _xml(self) -> str:
        lines = ["<script>"]
        lines += [f'<p t="{name}">{escape(value)}</p>' for name, value in self.parameters.items()]
        for element, script in self.elements.items():
            name = escape(element, {'"': "&quot;"})
            lines.append(f'<e en="T" t="{_digits(name)}" n="{name}">{escape(script)}</e>')
        lines += [f'<k en="T" t="{group}">kept</k>' for group in self.keep]
        lines += [f'<r en="T" t="{what}">gone</r>' for what in self.remove]
        return "\n".join([*lines, "</script>"])

    def _properties(self) -> str:
        lines = [f"param.{name}={_escaped(value)}" for name, value in self.parameters.items()]
        for element, script in self.elements.items():
            digits = _digits(element)
            lines.append(f"set.[{digits[:4]},{digits[4:]}]{element}={_escaped(script)}")
        lines += [f"keep.{name if name.startswith('safe') else f'group{int(name, 16):x}'}=" for name in self.keep]
        lines += [f"remove.{what}=" for what in self.remove]
        return "\n".join(lines)


def _digits(element: str) -> str:
    """The element as the script files write it: gggg and eeee, or gggg and the private creator with the offset."""
    tag = tag_of(element)
    return element if tag is None else f"{tag:08x}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")


class Numbers:
    """Numbers in the order in which tokens come."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def number(self, purpose: str, token: str) -> int:
        return self._known.setdefault((purpose, token), len(self._known) + 1)


def import_script(directory: Path, script: Script, form: str = "xml", *, lookup: str = "") -> Imported:
    """Import the script in one of its forms."""
    path = directory / ("script.xml" if form == "xml" else "script.properties")
    path.write_text(script.text(form), encoding="utf-8")
    table = None
    if lookup:
        table = directory / "lookup.properties"
        table.write_text(lookup, encoding="utf-8")
    return import_ctp(path, None, table, "imported")


def load(directory: Path, imported: Imported) -> Program:
    """The program of an imported profile."""
    for name, text in imported.tables.items():
        (directory / name).write_text(text, encoding="utf-8")
    path = directory / "imported.yaml"
    path.write_text(imported.profile_text, encoding="utf-8")
    return load_profile(path)


def instance(**values: Any) -> Dataset:
    """A CT instance with these values."""
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4", "1.2.3", "1.2.3.1"
    dataset.PatientID, dataset.PatientName = "MRN-4711", "TESTER^TINA"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def item(**values: Any) -> Dataset:
    """A sequence item with these values."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def apply(directory: Path, program: Program, dataset: Dataset) -> Dataset:
    """What the engine makes of the instance."""
    with open_instance(_saved(directory, dataset), work=directory, limits=Limits(), max_reencode_bytes=1 << 20) as one:
        output = Deidentifier(program, ProjectKey(b"k" * 32), numbers=Numbers()).apply(one, decided(program, one))
        buffer = io.BytesIO()
        copy_to(output.segments, buffer)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


def decision(directory: Path, program: Program, dataset: Dataset) -> str:
    """What the accept rules say of the instance."""
    with open_instance(_saved(directory, dataset), work=directory, limits=Limits(), max_reencode_bytes=1 << 20) as one:
        return decide(program, one).kind


def values(directory: Path, dataset: Dataset, keywords: Iterable[str]) -> Mapping[str, object]:
    """What conditions see of the instance."""
    with open_instance(_saved(directory, dataset), work=directory, limits=Limits(), max_reencode_bytes=1 << 20) as one:
        return situation(one, keywords)


def _saved(directory: Path, dataset: Dataset) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = directory / "in.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def shown(dataset: Dataset, keyword: str) -> str | None:
    """The text of an element, empty if it has no value, None if it is not there."""
    if keyword not in dataset:
        return None
    value = dataset[keyword].value
    if value is None:
        return ""
    return (
        "\\".join(str(one) for one in value) if isinstance(value, (list, pydicom.multival.MultiValue)) else str(value)
    )
