"""What is written is decoded by two libraries: an error that one makes and reads as it made it does not go out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from gateway.dicom.encoded import Limits
from gateway.dicom.segments import FileRange
from gateway.errors import DecodersDisagree, DecodingTooLong, LeakSuspected, PixelsUnreadable
from gateway.pixels import decoder
from gateway.pixels.areas import Area
from gateway.pixels.decoder import ANSWER, Codec, Operation, Outcome, load, serve
from gateway.pixels.editing import Edit
from gateway.pixels.pixel_check import check_pixels
from gateway.pixels.pixel_treatment import PixelOutcome
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.transcode import TranscodingWord, transcode
from gateway.settings.pixel_settings import PixelSettings
from tests.fixtures.treating import image, noise, opened, program, stored, treat
from tests.unit.pixels.stored import JPEG_LS

WORDS: tuple[TranscodingWord, ...] = ("jpeg-ls", "jpeg-2000", "htj2k", "rle")
CODECS = (Codec.JPEG_LS, Codec.JPEG_2000, Codec.HTJ2K, Codec.RLE)
#: Grey and colour.
IMAGES = [noise(40, 60), noise(40, 60, 3, dtype="uint8", below=256)]
#: An encoder that changes a sample, and the decoder of the same library, which changes it back.
SHARED_ERROR = """
def _changed(array):
    array = array.copy(order="C")
    array.reshape(-1)[AT] ^= 1
    return array

def _encoder(work):
    return lambda codecs, array, claims: work(codecs, _changed(array), claims)

def _decoder(work):
    return lambda codecs, data, claims: _changed(work(codecs, data, claims))

for _codec in _ENCODERS:
    _ENCODERS[_codec] = _encoder(_ENCODERS[_codec])
    _DECODERS[_codec] = _decoder(_DECODERS[_codec])
"""
#: The second library refuses whatever comes.
REFUSES = """
def _refuse(*_):
    raise ValueError
for _codec in _ENCODERS:
    _OTHER_DECODERS[_codec] = _refuse
"""
#: Neither of them takes it.
BOTH_REFUSE = """
def _refuse(*_):
    raise ValueError
_seen = []
def _once(work):
    def decode(*given):
        # The writer's own proof succeeds.
        if _seen:
            raise ValueError
        _seen.append(True)
        return work(*given)
    return decode
for _codec in _ENCODERS:
    _OTHER_DECODERS[_codec] = _refuse
    _DECODERS[_codec] = _once(_DECODERS[_codec])
"""
#: It does not come to an end.
ENDLESS = """
def _endless(*_):
    while True:
        pass
for _codec in _ENCODERS:
    _OTHER_DECODERS[_codec] = _endless
"""


@contextmanager
def faulty(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, **settings: Any) -> Iterator[Sandbox]:
    """A decoder process whose codecs have a fault."""
    text = Path(decoder.__file__).read_text(encoding="utf-8")
    place = folder / "faulty"
    place.mkdir()
    file = place / "decoder.py"
    main = '\nif __name__ == "__main__":'
    assert text.count(main) == 1
    file.write_text(text.replace(main, fault + main), encoding="utf-8")
    monkeypatch.setattr(decoder, "__file__", str(file))
    with Sandbox(PixelSettings.model_validate(settings)) as sandbox:
        yield sandbox


def masked(folder: Path, pixels: np.ndarray[Any, Any], word: str, sandbox: Sandbox) -> None:
    """The whole way of an image with a mask on it, written as ``word``."""
    path = stored(folder, image(pixels))
    rules = f"pixels:\n  - encode: {word}\n  - mask: [[0, 0, 20, 10]]\n"
    treat(path, program(folder, rules), sandbox=sandbox)


def delivered(folder: Path, pixels: np.ndarray[Any, Any], word: TranscodingWord, sandbox: Sandbox) -> None:
    """The image on its way to a destination that wants ``word``."""
    path = stored(folder, image(pixels))
    (folder / "out").mkdir()
    parts = [FileRange(path, 0, path.stat().st_size)]
    transcode(parts, folder / "out" / "out.dcm", word=word, limits=Limits(), sandbox=sandbox)


def test_there_is_one_for_everything_that_is_written() -> None:
    assert set(decoder._OTHER_DECODERS) == set(decoder._ENCODERS) == set(CODECS)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("pixels", IMAGES, ids=["grey", "colour"])
def test_it_is_of_another_library(monkeypatch: pytest.MonkeyPatch, codec: Codec, pixels: np.ndarray[Any, Any]) -> None:
    samples = 3 if pixels.ndim == 3 else 1
    claims = [40, 60, samples, pixels.itemsize, 0, 8 * pixels.itemsize, samples == 3]
    _, stream = serve(load(), Operation.ENCODE, codec, claims, bytearray(pixels.tobytes()))
    stream = bytearray(stream)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    for name in dir(imagecodecs):
        if name.endswith("_decode"):
            monkeypatch.setattr(imagecodecs, name, fail)
    codecs = load()
    usual, _ = serve(codecs, Operation.DECODE, codec, claims, stream)
    assert ANSWER.unpack(usual)[0] == Outcome.REFUSED
    other, content = serve(codecs, Operation.DECODE_OTHERWISE, codec, claims, stream)
    assert ANSWER.unpack(other)[0] == Outcome.DONE
    assert bytes(content) == pixels.tobytes()


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("pixels", IMAGES, ids=["grey", "colour"])
def test_both_read_what_is_written(
    tmp_path: Path, sandbox: Sandbox, word: TranscodingWord, pixels: np.ndarray[Any, Any]
) -> None:
    masked(tmp_path, pixels, word, sandbox)
    delivered(tmp_path, pixels, word, sandbox)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "fault",
    [
        # outside the mask
        SHARED_ERROR.replace("AT", "-1"),
        # and in it
        SHARED_ERROR.replace("AT", "0"),
        REFUSES,
    ],
    ids=["outside", "inside", "refuses"],
)
@pytest.mark.parametrize("way", [masked, delivered])
def test_a_disagreement_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: TranscodingWord, fault: str, way: Any
) -> None:
    with faulty(tmp_path, monkeypatch, fault) as sandbox, pytest.raises(DecodersDisagree) as raised:
        way(tmp_path, IMAGES[0], word, sandbox)
    assert raised.value.code == "decoders-disagree"
    assert "frame 1" in str(raised.value)
    assert not list(tmp_path.glob("check-*"))


def test_what_neither_reads_is_no_disagreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(tmp_path, monkeypatch, BOTH_REFUSE) as sandbox, pytest.raises(PixelsUnreadable):
        masked(tmp_path, IMAGES[0], "rle", sandbox)


@pytest.mark.parametrize("way", [masked, delivered])
def test_one_that_does_not_end_is_no_disagreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Any) -> None:
    with faulty(tmp_path, monkeypatch, ENDLESS, decode_seconds=1) as sandbox, pytest.raises(DecodingTooLong):
        way(tmp_path, IMAGES[0], "rle", sandbox)


def test_what_both_see_is_a_leak(tmp_path: Path, sandbox: Sandbox) -> None:
    path = stored(tmp_path, image(IMAGES[0]))
    using = program(tmp_path, "pixels:\n  - encode: jpeg-ls\n  - mask: [[0, 0, 20, 10]]\n")
    treated = treat(path, using, sandbox=sandbox).dataset
    assert treated.file_meta.TransferSyntaxUID == JPEG_LS
    treated.save_as(tmp_path / "out.dcm", enforce_file_format=True)
    outcome = PixelOutcome(None, Edit(areas=(Area(0, 0, 20, 11),)), ())
    output = [(tmp_path / "out.dcm").read_bytes()]
    with opened(path) as instance, pytest.raises(LeakSuspected, match="not blank"):
        check_pixels(instance, output, outcome, work=tmp_path, limits=Limits(), sandbox=sandbox)
