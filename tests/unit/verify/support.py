"""Originals and outputs for the tests of the verify room."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from gateway.dicom.encoded import Limits
from gateway.dicom.file_meta import FileMeta, write_file_meta
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.segments import Segment, copy_to
from gateway.profile import Program
from gateway.verify import harvest
from gateway.verify.output_reader import read_output
from gateway.verify.program_rules import Rules
from gateway.verify.verifier import Checks

CT = "1.2.840.10008.5.1.4.1.1.2"
SOP_INSTANCE = "1.2.276.0.7230010.3.1.4.100"


def original(**values: object) -> Dataset:
    """An identified instance with ``values`` besides what every instance has."""
    found = Dataset()
    found.SOPClassUID = CT
    found.SOPInstanceUID = SOP_INSTANCE
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def item(**values: object) -> Dataset:
    """A sequence item."""
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def encoded(dataset: Dataset, *, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The bytes of a data set alone."""
    file = io.BytesIO()
    dataset.save_as(file, implicit_vr=syntax != ExplicitVRLittleEndian, little_endian=True, enforce_file_format=False)
    return file.getvalue()


def write(path: Path, dataset: Dataset, *, syntax: str = ExplicitVRLittleEndian) -> Path:
    """A Part 10 file as a modality or PACS writes it."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.save_as(path, enforce_file_format=True)
    return path


def opened(path: Path) -> Instance:
    """The file as the pipeline opens it."""
    return open_instance(path, work=path.parent, limits=Limits(), max_reencode_bytes=1 << 24)


def output_of(dataset: Dataset, *, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """``dataset`` as if the engine had written it."""
    meta = FileMeta(
        transfer_syntax=syntax,
        sop_class_uid=str(dataset.get("SOPClassUID", CT)),
        sop_instance_uid=str(dataset.get("SOPInstanceUID", "")),
    )
    bare = Dataset()
    bare._dict.update(dataset._dict)
    return write_file_meta(meta) + encoded(bare, syntax=syntax)


def joined(segments: Sequence[Segment]) -> bytes:
    """The output file that segments make."""
    file = io.BytesIO()
    copy_to(segments, file)
    return file.getvalue()


def scan(
    program: Program, instance: Instance, segments: Sequence[Segment], *, dates: frozenset[str] = frozenset()
) -> list[str]:
    """The hits of the leak scan alone, as text; ``dates`` are those that the program is known to have written."""
    checks = Checks(program.specialise([False] * len(program.conditions)))
    harvested, output = harvest(instance, Rules(program)), read_output(instance, segments)
    hits = checks._scanner.hits(
        output, instance.buffer, checks.needles(harvested, output, dates), checks.uids(harvested)
    )
    return [str(hit) for hit in hits]
