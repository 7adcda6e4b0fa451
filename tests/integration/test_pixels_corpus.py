"""Every compressed image of pydicom and pydicom-data is blackened, and is what it was outside: no codec is skipped."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from gateway.errors import InstanceError
from gateway.pixels.areas import Area
from gateway.pixels.description import describe
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.profile import Program
from tests.fixtures.corpus import corpus_files, corpus_name
from tests.fixtures.dcmtk import dciodvfy_errors
from tests.fixtures.tools import tool
from tests.fixtures.treating import image, noise, opened, program, stored, treat

#: A rectangle that lies in every image of the corpus.
MASK: Final = "pixels:\n  - mask: [[0, 0, 3, 2]]\n"
VOUCH: Final = "pixels:\n  - pass: true\n    because: test images\n"
#: Compressed files that hold the instance, and why.
HELD: Final = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "coded by another part than its transfer syntax has",
}
#: Without loss, sub-sampled colour becomes YBR_FULL by pixel, which ultrasound images do not have uncompressed.
UP_SAMPLED: Final = "Unrecognized enumerated value = <YBR_FULL>"
BY_PIXEL: Final = "</PlanarConfiguration(0028,0006)[1]> - Unrecognized enumerated value = <0>"
#: Native files up to this size, in bytes, are tried too.
SMALL: Final = 30_000
#: What may differ between an output with blackened pixels and one without.
CHANGES: Final = frozenset(
    (
        "PixelData", "PhotometricInterpretation", "PlanarConfiguration", "BurnedInAnnotation", "ImageType",
        "DerivationDescription", "DerivationCodeSequence", "IconImageSequence", "SmallestImagePixelValue",
        "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries",
        "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
        "DeidentificationMethod", "DeidentificationMethodCodeSequence", "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
    )
)  # fmt: skip


@cache
def compressed() -> tuple[Path, ...]:
    """The corpus's files with compressed pixels that pydicom can read at all."""
    found = []
    for path in corpus_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = pydicom.dcmread(path, defer_size=1024)
            except Exception:  # noqa: BLE001 - whatever pydicom says, it is no such file
                continue
        syntax = dataset.file_meta.get("TransferSyntaxUID", "")
        if syntax and UID(syntax).is_encapsulated and "PixelData" in dataset:
            found.append(path)
    return tuple(found)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Program]:
    """A profile that blackens, and one that lets every image pass as it is."""
    folder = tmp_path_factory.mktemp("profiles")
    return program(folder, MASK), program(folder, VOUCH)


def test_there_are_files_of_every_codec() -> None:
    found = {pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID for path in compressed()}
    assert {str(syntax).rsplit(".", 1)[-1] for syntax in found} >= {"50", "51", "70", "80", "81", "90", "91", "5"}
    assert len(compressed()) > 40


@pytest.mark.filterwarnings("ignore")  # pydicom on the values of broken files
@pytest.mark.parametrize("path", compressed(), ids=corpus_name)
def test_blackened_inside_and_untouched_outside(
    tmp_path: Path, sandbox: Sandbox, programs: tuple[Program, Program], path: Path
) -> None:
    source = tmp_path / "in.dcm"
    source.write_bytes(path.read_bytes())
    if path.name in HELD:
        with pytest.raises(InstanceError, match=HELD[path.name]):
            treat(source, programs[0], sandbox=sandbox)
        return
    masked = treat(source, programs[0], sandbox=sandbox)
    assert masked.outcome.areas == (Area(0, 0, 3, 2),)
    received, photometric = frames_of(source, sandbox)
    output = tmp_path / "out.dcm"
    masked.dataset.save_as(output, enforce_file_format=True)
    sent = plain(output, tmp_path)
    assert (sent.Rows, sent.Columns, int(sent.get("NumberOfFrames", 1))) == (*received.shape[1:3], len(received))
    assert sent.PhotometricInterpretation == photometric
    assert sent.BurnedInAnnotation == "NO"
    values = np.frombuffer(sent.PixelData[: received.nbytes], received.dtype).reshape(received.shape)
    stored_bits, unsigned = sent.BitsAllocated - sent.BitsStored, received.dtype.kind == "u"
    # dcmtk leaves the bits above a signed sample empty
    values = values if unsigned else values << stored_bits >> stored_bits
    assert len(np.unique(values[:, :2, :3].reshape(-1, *received.shape[3:]), axis=0)) == 1
    outside = np.ones(received.shape, dtype=bool)
    outside[:, :2, :3] = False
    assert np.array_equal(values[outside], received[outside])

    vouched = treat(source, programs[1], sandbox=sandbox).dataset
    assert differing(vouched, masked.dataset) <= CHANGES
    other = tmp_path / "vouched.dcm"
    vouched.save_as(other, enforce_file_format=True)
    added = set(dciodvfy_errors(output)) - set(dciodvfy_errors(other))
    assert all(UP_SAMPLED in line or BY_PIXEL in line for line in added)
    assert not added or vouched.PhotometricInterpretation == "YBR_FULL_422"


def frames_of(path: Path, sandbox: Sandbox) -> tuple[np.ndarray[Any, Any], str]:
    with opened(path) as instance:
        description = describe(instance)
        assert description is not None
        with open_frames(instance, description, sandbox=sandbox) as frames:
            return np.stack(list(frames)), frames.photometric_interpretation


def plain(path: Path, folder: Path) -> Dataset:
    """The output as dcmtk decodes it, by other codecs than the gateway's."""
    output = pydicom.dcmread(path)
    if output.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian:
        return output
    assert output.file_meta.TransferSyntaxUID == JPEGLSLossless
    decoded = folder / "plain.dcm"
    subprocess.run([tool("dcmdjpls"), "--color-by-pixel", str(path), str(decoded)], check=True, capture_output=True)
    return pydicom.dcmread(decoded)


def differing(one: Dataset, other: Dataset) -> set[str]:
    tags = {element.tag for element in (*one, *other)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            pydicom.datadict.keyword_for_tag(tag) or str(tag) for tag in tags if one.get(tag) != other.get(tag)
        }  # fmt: skip


#: One syntax of every family.
SYNTAXES: Final = (JPEGLSLossless, JPEG2000Lossless, RLELossless, JPEGLosslessSV1)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: UID(uid).name)
def test_burned_in_text_is_gone_in_every_syntax(tmp_path: Path, sandbox: Sandbox, syntax: str) -> None:
    pixels = noise(2, 128, 160, below=3000)
    clean = pixels.copy()
    picture = Image.new("L", (160, 20))
    ImageDraw.Draw(picture).text((4, 4), "MOCKBURY TESTARIO 1931", fill=255)
    glyphs = np.asarray(picture) > 128
    pixels[:, 108:][:, glyphs] = 4095
    rules = "pixels:\n  - mask: [[0, -20, -, -]]\n"
    source = stored(tmp_path, image(pixels, BitsStored=12), syntax)
    found = treat(source, program(tmp_path, rules), sandbox=sandbox)
    output = tmp_path / "out.dcm"
    found.dataset.save_as(output, enforce_file_format=True)
    written = np.frombuffer(plain(output, tmp_path).PixelData, "uint16").reshape(pixels.shape)
    assert int(glyphs.sum()) > 300
    assert not written[:, 108:].any()
    assert np.array_equal(written[:, :108], clean[:, :108])


def test_no_file_of_the_corpus_passes_half_treated(
    tmp_path: Path, sandbox: Sandbox, programs: tuple[Program, Program]
) -> None:
    """Native images too: each is blackened and found to be so by the second look, or held with a reason."""
    treated, held = 0, set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in corpus_files():
            if path in compressed() or path.stat().st_size > SMALL:
                continue
            source = tmp_path / "in.dcm"
            source.write_bytes(path.read_bytes())
            try:
                found = treat(source, programs[0], sandbox=sandbox)
            except InstanceError:
                held.add(path.name)
                continue
            has_pixels = any(keyword in found.dataset for keyword in ("PixelData", "FloatPixelData"))
            assert (found.outcome.change is not None) is has_pixels
            treated += has_pixels
    assert treated >= 50
    assert len(held) <= 30
