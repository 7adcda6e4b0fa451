"""Differential test: every file that pydicom and pydicom-data ship, read by the gateway and by pydicom.

Either both list the same elements with the same VRs and values at every depth, or the gateway refuses the file for the
reason that the table ``REFUSED`` gives.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from gateway.dicom.encoded import Buffer, Element, Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.tag import PIXEL_DATA
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.dicom.vr import pad
from gateway.errors import GatewayError

_PYDICOM = Path(pydicom.__file__).parent / "data"
_DATA_STORE = Path(str(files("data_store"))) / "data"

_NO_DATA_SET = ("NotDicom", "no transfer syntax is declared and the bytes are no little endian data set")
_DIRECTORY = ("MediaDirectory", "a DICOMDIR lists instances")
_WIDE_WORDS = ("UnsupportedEncoding", "big-endian pixel data of 32 bits with VR OW")
_WIDE_BYTES = ("UnsupportedEncoding", "bits with VR OB: its byte order is ambiguous")

#: File -> class of the error and a part of its message. Every file that is not here must be read.
REFUSED = {
    # No DICOM at all: descriptions, dumps, an ICC profile, an archive.
    "charset_files/FileInfo.txt": _NO_DATA_SET,
    "palettes/README.md": _NO_DATA_SET,
    "test_files/README.txt": _NO_DATA_SET,
    "test_files/crayons.icc": _NO_DATA_SET,
    "test_files/dicomdirtests/README.txt": _NO_DATA_SET,
    "test_files/dicomdirtests/TINY_ALPHA/README": _NO_DATA_SET,
    "test_files/rtplan.dump": _NO_DATA_SET,
    "test_files/rtstruct.dump": _NO_DATA_SET,
    "test_files/zipMR.gz": _NO_DATA_SET,
    # A data set that lost its first byte.
    "test_files/no_meta.dcm": _NO_DATA_SET,
    # Big endian is retired, and nothing in the file declares it.
    "test_files/ExplVR_BigEndNoMeta.dcm": _NO_DATA_SET,
    # No transfer syntax is declared, and no SOP Class names what it would be.
    "test_files/meta_missing_tsyntax.dcm": _NO_DATA_SET,
    # Media storage directories.
    "test_files/dicomdirtests/DICOMDIR": _DIRECTORY,
    "test_files/dicomdirtests/DICOMDIR-bigEnd": _DIRECTORY,
    "test_files/dicomdirtests/DICOMDIR-empty.dcm": _DIRECTORY,
    "test_files/dicomdirtests/DICOMDIR-implicit": _DIRECTORY,
    "test_files/dicomdirtests/DICOMDIR-nooffset": _DIRECTORY,
    "test_files/dicomdirtests/DICOMDIR-nopatient": _DIRECTORY,
    "test_files/dicomdirtests/DICOMDIR-reordered": _DIRECTORY,
    "test_files/dicomdirtests/TINY_ALPHA/DICOMDIR": _DIRECTORY,
    # SOP Instance UID stands twice.
    "palettes/winter.dcm": ("DuplicateElement", "(0008,0018) twice"),
    # The values end before their lengths do.
    "test_files/MR_truncated.dcm": ("TruncatedDataSet", "(7FE0,0010)"),
    "test_files/rtplan_truncated.dcm": ("TruncatedDataSet", "(300A,00B0)"),
    "emri_small_jpeg_2k_lossless_too_short.dcm": ("TruncatedDataSet", "(7FE0,0010)"),
    # Samples wider than a word: pydicom and dcmtk read these bytes differently.
    "test_files/rtdose_expb.dcm": _WIDE_WORDS,
    "test_files/rtdose_expb_1frame.dcm": _WIDE_WORDS,
    # OB must not hold samples of more than 8 bits (PS3.5 A.3): byte strings do not swap, but these samples did.
    "SC_rgb_expb_16bit.dcm": _WIDE_BYTES,
    "SC_rgb_expb_16bit_2frame.dcm": _WIDE_BYTES,
    "SC_rgb_expb_32bit.dcm": _WIDE_BYTES,
    "SC_rgb_expb_32bit_2frame.dcm": _WIDE_BYTES,
}


def _files() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for root in (_PYDICOM, _DATA_STORE):
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix not in (".py", ".pyc", ".json"):
                found[path.relative_to(root).as_posix()] = path
    return found


FILES = _files()


def _open(path: Path, work: Path) -> Instance:
    return open_instance(path, work=work, limits=Limits(), max_reencode_bytes=100 << 20)


Row = tuple[str, int, str, bytes]


def _ours(buffer: Buffer, elements: list[Element], *, implicit: bool, place: str = "") -> Iterator[Row]:
    for tag, vr, _, value, end, items in elements:
        if items is None:
            content = bytes(buffer[value:end])
            if tag == PIXEL_DATA and bytes(buffer[value - 4 : value]) == b"\xff\xff\xff\xff":
                content = content[:-8]  # pydicom leaves the sequence delimitation out
            yield place, tag, "" if implicit else vr.decode(), content
        else:
            yield place, tag, "SQ", b"%d items" % len(items)
            for number, item in enumerate(items):
                yield from _ours(buffer, item[4], implicit=item[3], place=f"{place}/{tag:08X}[{number}]")


def _theirs(dataset: Dataset, place: str = "") -> Iterator[Row]:
    # All at once, because looking at one element makes pydicom convert others.
    raws: dict[BaseTag, DataElement | RawDataElement] = {tag: dataset.get_item(tag) for tag in sorted(dataset.keys())}
    for tag, raw in raws.items():
        element = dataset[tag]
        if element.VR == "SQ":
            yield place, int(tag), "SQ", b"%d items" % len(element.value)
            for number, item in enumerate(element.value):
                yield from _theirs(item, f"{place}/{int(tag):08X}[{number}]")
        elif isinstance(raw, RawDataElement):
            yield place, int(tag), raw.VR or "", raw.value or b""
        else:  # Specific Character Set and empty values, which pydicom converts at once
            value = element.value or ""
            text = value if isinstance(value, str) else "\\".join(value)
            yield place, int(tag), "", pad(b"CS", text.encode("ascii"))


def test_the_table_of_refused_files_names_files() -> None:
    assert len(FILES) > 240
    assert set(REFUSED) <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_same_elements_as_pydicom_or_refused(name: str, tmp_path: Path) -> None:
    path = FILES[name]
    if name in REFUSED:
        kind, message = REFUSED[name]
        with pytest.raises(GatewayError) as error:
            _open(path, tmp_path)
        assert type(error.value).__name__ == kind
        assert message in str(error.value)
        assert not list(tmp_path.iterdir())
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(path, force=True)
        with _open(path, tmp_path) as instance:
            if instance.reencoded and theirs.original_encoding[1] is False:
                _same_meaning(theirs, pydicom.dcmread(instance.path, force=True))
                return
            ours = list(_ours(instance.buffer, instance.elements, implicit=instance.implicit))
        expected = list(_theirs(theirs))
    assert [row[:2] for row in ours] == [row[:2] for row in expected]
    for (place, tag, vr, value), (_, _, their_vr, their_value) in zip(ours, expected, strict=True):
        assert not (vr and their_vr) or vr in their_vr.split(" or "), (place, tag)
        # A value of odd length gets its padding.
        assert value in (their_value, their_value + b"\0" * (len(their_value) & 1)), (place, tag)
    assert not list(tmp_path.iterdir())


def _same_meaning(original: Dataset, rewritten: Dataset) -> None:
    """Big endian: the values as numbers and texts are the same, and so are the samples of pixel data."""
    rewritten.file_meta = pydicom.dataset.FileMetaDataset()
    rewritten.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    if "PixelData" in original:
        assert np.array_equal(original.pixel_array, rewritten.pixel_array)
    for element in original.iterall():
        if element.VR == "OW" and element.value:  # pydicom leaves the words as they are in the file
            element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
    for dataset in (original, rewritten):
        dataset.pop("PixelData", None)
        for tag in [tag for tag in dataset if tag.tag.element == 0]:
            del dataset[tag.tag]
    assert [element.VR for element in original.iterall()] == [element.VR for element in rewritten.iterall()]
    assert original == rewritten


def test_transfer_syntax_is_the_one_declared(tmp_path: Path) -> None:
    """Where nothing is re-encoded and the declaration holds, it is passed on as it is."""
    with _open(FILES["test_files/JPEG2000.dcm"], tmp_path) as instance:
        syntax = transfer_syntax(instance.transfer_syntax)
    assert syntax is not None
    assert syntax.encapsulated
