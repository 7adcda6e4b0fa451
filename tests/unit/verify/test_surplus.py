"""The verifier reads the output's Pixel Data by itself: what was not taken away does not leave (promise P13)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.segments import FileRange, Segment
from gateway.dicom.tag import PIXEL_DATA
from gateway.errors import LeakSuspected
from gateway.verify import Verifier
from gateway.verify.surplus_bytes import _Joined
from tests.fixtures.treating import CT, image, noise, opened, program, stored

KEY = ProjectKey(b"k" * 32)


@pytest.mark.parametrize("excess", [b"", b"\0", b"ab", b"MOCKBURY"])
def test_native_excess(tmp_path: Path, excess: bytes) -> None:
    source = image(noise(41, 63, dtype="uint8", below=250), CT)
    source.PixelData = source.PixelData[:-1] + (excess or b"\0")
    using = program(tmp_path, "")
    with opened(stored(tmp_path, source)) as instance:
        output = Deidentifier(using, KEY).apply(instance)
        if len(excess) > 1:
            with pytest.raises(LeakSuspected, match="longer than its description"):
                Verifier(using).check(instance, output.segments)
        else:
            Verifier(using).check(instance, output.segments)


def test_a_change_that_leaves_something(tmp_path: Path) -> None:
    """What a change of pixels writes is read as well, wherever its pieces lie."""
    source = image(noise(40, 60, dtype="uint8", below=250), CT)
    using = program(tmp_path, "")
    path = stored(tmp_path, source, "1.2.840.10008.1.2.4.80")
    with opened(path) as instance:
        place = path.read_bytes().index(b"\xff\xd8\xff")
        end = path.read_bytes().rindex(b"\xff\xd9") + 2
        start = path.read_bytes().index(b"\xff\xf7", place)
        for comment in (b"", b"\xff\xfe\0\x04ab"):
            length = 2 + len(comment) + end - start
            head = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0"
            parts: tuple[Segment, ...] = (
                head + (length + length % 2).to_bytes(4, "little") + b"\xff\xd8" + comment,
                FileRange(instance.path, start, end - start),
                bytes(length % 2) + b"\xfe\xff\xdd\xe0\0\0\0\0",
            )
            change = PixelChange(transfer_syntax=instance.transfer_syntax, elements={PIXEL_DATA: parts})
            output = Deidentifier(using, KEY).apply(instance, pixels=change)
            if comment:
                with pytest.raises(LeakSuspected, match="beside the pixels"):
                    Verifier(using).check(instance, output.segments, pixels=change)
            else:
                Verifier(using).check(instance, output.segments, pixels=change)


def test_pieces_are_read_as_one(tmp_path: Path) -> None:
    path = stored(tmp_path, image(noise(4, 4), CT))
    other = tmp_path / "other"
    other.write_bytes(b"0123456789")
    with opened(path) as instance, ExitStack() as stack:
        whole = path.read_bytes()
        parts = (b"ab", FileRange(path, 140, 7), FileRange(other, 3, 4), b"z")
        joined = _Joined(parts, instance, stack)
        expected = b"ab" + whole[140:147] + b"3456" + b"z"
        assert len(joined) == len(expected)
        for start in range(len(expected)):
            for stop in range(start, len(expected) + 3):
                assert joined[start:stop] == expected[start:stop]
