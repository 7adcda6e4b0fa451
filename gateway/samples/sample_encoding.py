"""Samples as bytes: files of PS3.10 in the encodings that modalities use, regular and less so."""

from __future__ import annotations

from array import array
from copy import deepcopy
from enum import Enum
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_data_element
from pydicom.pixels.encoders.base import RLELosslessEncoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from gateway.dicom.tag import PIXEL_DATA

__all__ = ["CODESTREAMS", "Encoding", "codestream", "encode"]

#: The files of ``data/`` that hold compressed phantoms; ``scripts/generate-sample-codestreams`` makes them.
CODESTREAMS: Final = {
    "mr.jls": JPEGLSLossless,
    "dx.j2k": JPEG2000Lossless,
    "us-0.jpg": JPEGBaseline8Bit,
    "us-1.jpg": JPEGBaseline8Bit,
    "us-2.jpg": JPEGBaseline8Bit,
}
#: Public elements that ``Encoding.UNKNOWN`` writes with VR UN: a text, a name, an id and sequences (PS3.5 6.2.2).
_AS_UNKNOWN: Final = (
    0x00080081,
    0x00081070,
    0x00101000,
    0x00102154,
    0x00081200,
    0x00082218,
    0x00400275,
)


class Encoding(Enum):
    """How a sample is written: a transfer syntax and a habit of some writers."""

    EXPLICIT = (ExplicitVRLittleEndian, "explicit VR")
    IMPLICIT = (ImplicitVRLittleEndian, "implicit VR")
    BIG_ENDIAN = (ExplicitVRBigEndian, "big endian")
    DEFLATED = (DeflatedExplicitVRLittleEndian, "deflated")
    RLE = (RLELossless, "RLE")
    JPEG_LS = (JPEGLSLossless, "JPEG-LS")
    JPEG_2000 = (JPEG2000Lossless, "JPEG 2000")
    JPEG = (JPEGBaseline8Bit, "JPEG")
    UNDEFINED_LENGTHS = (ExplicitVRLittleEndian, "undefined lengths")
    IMPLICIT_UNDEFINED_LENGTHS = (ImplicitVRLittleEndian, "implicit VR, undefined lengths")
    UNKNOWN = (ExplicitVRLittleEndian, "public elements as UN")

    def __init__(self, transfer_syntax: UID, label: str) -> None:
        self.transfer_syntax = transfer_syntax
        self.label = label


def encode(dataset: Dataset, meta: FileMetaDataset, encoding: Encoding, *, preamble: bytes) -> bytes:
    """The file of ``dataset``: preamble, file meta information and data set.

    Parameters
    ----------
    dataset
        explicit little endian in memory, pixel data native; it is not changed
    meta
        identifying elements of group 2 to write; the required ones are filled in
    encoding
        transfer syntax and habit
    preamble
        128 bytes (PS3.10 7.1)
    """
    written = deepcopy(dataset)
    file_meta = deepcopy(meta)
    file_meta.TransferSyntaxUID = encoding.transfer_syntax
    file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    match encoding:
        case Encoding.RLE:
            _run_lengths(written)
        case Encoding.JPEG_LS:
            _encapsulated(written, [codestream("mr.jls")])
        case Encoding.JPEG_2000:
            _encapsulated(written, [codestream("dx.j2k")])
        case Encoding.JPEG:
            _encapsulated(written, [codestream(f"us-{frame}.jpg") for frame in range(int(dataset.NumberOfFrames))])
            written.PhotometricInterpretation = "YBR_FULL_422"
            written.LossyImageCompression, written.LossyImageCompressionRatio = "01", "8"
            written.LossyImageCompressionMethod = "ISO_10918_1"
        case Encoding.BIG_ENDIAN:
            _swap_words(written)
        case Encoding.UNDEFINED_LENGTHS | Encoding.IMPLICIT_UNDEFINED_LENGTHS:
            _delimit(written)
        case Encoding.UNKNOWN:
            _hide(written)
    written.file_meta, written.preamble = file_meta, preamble
    buffer = BytesIO()
    dcmwrite(buffer, written, enforce_file_format=True)
    return buffer.getvalue()


@cache
def codestream(name: str) -> bytes:
    """A compressed phantom of ``data/``."""
    return (files("gateway.samples") / "data" / name).read_bytes()


def _encapsulated(dataset: Dataset, frames: list[bytes]) -> None:
    """Replace the pixel data by ``frames`` in fragments (PS3.5 A.4)."""
    pixels = DataElement(PIXEL_DATA, "OB", encapsulate(frames))
    pixels.is_undefined_length = True
    dataset[PIXEL_DATA] = pixels


def _run_lengths(dataset: Dataset) -> None:
    frame = RLELosslessEncoder.encode(
        dataset.PixelData,
        encoding_plugin="pydicom",
        rows=dataset.Rows,
        columns=dataset.Columns,
        samples_per_pixel=dataset.SamplesPerPixel,
        bits_allocated=dataset.BitsAllocated,
        bits_stored=dataset.BitsStored,
        pixel_representation=dataset.PixelRepresentation,
        photometric_interpretation=dataset.PhotometricInterpretation,
        number_of_frames=1,
    )
    _encapsulated(dataset, [frame])


def _swap_words(dataset: Dataset) -> None:
    """Swap the bytes of every OW value: pydicom writes them as they are."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _swap_words(item)
        elif element.VR == "OW":
            words = array("H", element.value)
            words.byteswap()
            element.value = words.tobytes()


def _delimit(dataset: Dataset) -> None:
    """Give every sequence and item an undefined length (PS3.5 7.5)."""
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _delimit(item)


def _hide(dataset: Dataset) -> None:
    """Turn some public elements into VR UN, sequences into UN of implicit little endian with undefined length."""
    encodings = convert_encodings(dataset.SpecificCharacterSet)
    for tag in _AS_UNKNOWN:
        if tag not in dataset:
            continue
        element = dataset[tag]
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, True
        write_data_element(buffer, element, encodings)
        value, nested = buffer.getvalue()[8:], element.VR == "SQ"
        # pydicom gives a known tag its own VR back: only after it is made can an element have another.
        hidden = DataElement(element.tag, "OB", value)
        hidden.VR, hidden.is_undefined_length = "UN", nested
        dataset[tag] = hidden
