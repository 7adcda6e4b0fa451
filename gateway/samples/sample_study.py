"""Sample studies: which objects they hold, in which character set and encodings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from gateway.samples.documents import encapsulated_pdf, presentation_state, structure_set, structured_report
from gateway.samples.fake_identity import Identity, Repertoire
from gateway.samples.images import cr_image, ct_series, dx_image, mr_series, segmentation, ultrasound
from gateway.samples.modules import Study
from gateway.samples.planting import Planted, locate, locate_in_preamble
from gateway.samples.sample_encoding import Encoding, encode

__all__ = ["STUDIES", "Sample", "generate"]

_Objects: TypeAlias = list[tuple[Dataset, Encoding]]

#: Modalities of the samples whose images often have text burned in.
_SUSPECT: Final = frozenset(("US",))
#: A TIFF header makes a file readable as TIFF as well (PS3.10 7.1); whatever is in it must not go on.
_DUAL_PURPOSE: Final = b"II*\0"


@dataclass(frozen=True, slots=True)
class Sample:
    """One SOP Instance with all that is known of the identity in it.

    ``number`` is its Instance Number, unique over the run; ``content`` is the whole file of PS3.10. ``may_be_held``
    says that it is of a kind that often has text burned in, so that a profile without pixel rules holds it.
    """

    number: int
    study: int
    title: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    content: bytes
    planted: tuple[Planted, ...]
    may_be_held: bool = False

    def write(self, folder: Path) -> Path:
        """Write the file into ``folder`` and return its path."""
        path = folder / f"{self.number:06}.dcm"
        path.write_bytes(self.content)
        return path


def generate(seed: int, run_id: str, *, studies: int | None = None) -> Iterator[Sample]:
    """Generate sample studies; the same arguments give the same bytes.

    Parameters
    ----------
    seed
        decides every value
    run_id
        marks the instances, at most 40 letters, digits and hyphens; another run has other UIDs
    studies
        how many; by default one of each kind (``STUDIES``), more than that begin again with other patients
    """
    random = Random(f"{seed}/{run_id}")  # noqa: S311 - repeatable values are wanted
    numbers = count(1)
    for number in range(len(STUDIES) if studies is None else studies):
        repertoire, build = STUDIES[number % len(STUDIES)]
        identity = Identity(random, repertoire)
        study = Study.begin(identity, run_id)
        for dataset, encoding in build(study, numbers):
            yield _sample(number, study, dataset, encoding)


def _sample(number: int, study: Study, dataset: Dataset, encoding: Encoding) -> Sample:
    identity = study.identity
    meta = FileMetaDataset()
    meta.SourceApplicationEntityTitle = identity.application_entity()
    meta.SendingApplicationEntityTitle = identity.application_entity()
    meta.ReceivingApplicationEntityTitle = identity.application_entity()
    meta.PrivateInformationCreatorUID = UID(identity.uid())
    meta.PrivateInformation = identity.plain_name().encode("ascii").ljust(64, b"\0")
    preamble = (_DUAL_PURPOSE + identity.plain_name().encode("ascii")).ljust(128, b"\0")
    issued = identity.issued
    planted = [
        *locate_in_preamble(preamble, issued),
        *locate(meta, issued),
        *locate(dataset, issued),
    ]
    return Sample(
        number=int(dataset.InstanceNumber),
        study=number,
        title=f"{dataset.Modality}, {encoding.label}",
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax=str(encoding.transfer_syntax),
        content=encode(dataset, meta, encoding, preamble=preamble),
        planted=tuple(planted),
        may_be_held=str(dataset.Modality) in _SUSPECT,
    )


def _thorax(study: Study, numbers: Iterator[int]) -> _Objects:
    slices = ct_series(study, numbers, 4)
    encodings = (Encoding.EXPLICIT, Encoding.IMPLICIT, Encoding.DEFLATED, Encoding.RLE)
    return [
        *zip(slices, encodings, strict=True),
        (segmentation(study, numbers, slices), Encoding.EXPLICIT),
        (structure_set(study, numbers, slices), Encoding.IMPLICIT_UNDEFINED_LENGTHS),
        (presentation_state(study, numbers, slices), Encoding.UNDEFINED_LENGTHS),
        (structured_report(study, numbers, slices), Encoding.EXPLICIT),
    ]


def _brain(study: Study, numbers: Iterator[int]) -> _Objects:
    slices = mr_series(study, numbers, 4)
    encodings = (Encoding.BIG_ENDIAN, Encoding.UNDEFINED_LENGTHS, Encoding.JPEG_LS, Encoding.UNKNOWN)
    return list(zip(slices, encodings, strict=True))


def _chest(study: Study, numbers: Iterator[int]) -> _Objects:
    return [(dx_image(study, numbers), Encoding.JPEG_2000)]


def _radiograph(study: Study, numbers: Iterator[int]) -> _Objects:
    image = cr_image(study, numbers)
    return [(image, Encoding.IMPLICIT), (structured_report(study, numbers, [image]), Encoding.DEFLATED)]


def _abdomen(study: Study, numbers: Iterator[int]) -> _Objects:
    return [(ultrasound(study, numbers), Encoding.JPEG), (ultrasound(study, numbers), Encoding.UNKNOWN)]


def _letter(study: Study, numbers: Iterator[int]) -> _Objects:
    return [(encapsulated_pdf(study, numbers), Encoding.EXPLICIT)]


#: One of each kind: the character set of its names, and what builds it.
STUDIES: Final[tuple[tuple[Repertoire, Callable[[Study, Iterator[int]], _Objects]], ...]] = (
    (Repertoire.LATIN_1, _thorax),
    (Repertoire.UNICODE, _brain),
    (Repertoire.LATIN_1, _chest),
    (Repertoire.JAPANESE, _radiograph),
    (Repertoire.UNICODE, _abdomen),
    (Repertoire.LATIN_1, _letter),
)
