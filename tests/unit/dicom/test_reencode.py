"""Deflated, big-endian and irregular data sets become explicit VR little endian, or are refused."""

from __future__ import annotations

import resource
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pydicom
import pytest

from gateway.dicom import reencode
from gateway.dicom.encoded import Limits, walk
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.reencode import WorkFile
from gateway.errors import (
    GatewayError,
    LimitExceeded,
    MalformedDataSet,
    SpoolUnavailable,
    TruncatedDataSet,
    UnsupportedEncoding,
)
from tests.unit.dicom.encoding import ITEM, SEQUENCE_END, UNDEFINED, explicit, implicit, item, part10, sequence

DEFLATED, BIG, LITTLE, JPEG = (
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.4.50",
)
CLASS = explicit(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0")
NAME = explicit(0x00100010, "PN", b"DOE^JANE")
BITS, PIXELS = 0x00280100, 0x7FE00010

Opener = Callable[..., Instance]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.fixture
def opened(tmp_path: Path, work: Path) -> Opener:
    """Opens a file of these bytes."""

    def open_bytes(data: bytes, *, most: int = 1 << 20, limits: Limits | None = None) -> Instance:
        path = tmp_path / "in.dcm"
        path.write_bytes(data)
        return open_instance(path, work=work, limits=limits or Limits(), max_reencode_bytes=most)

    return open_bytes


def deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(9, wbits=-15)
    return engine.compress(data) + engine.flush()


def big(tag: int, vr: str, value: bytes = b"", *, length: int | None = None) -> bytes:
    return explicit(tag, vr, value, length=length, order=">")


def values(instance: Instance) -> dict[int, tuple[bytes, bytes]]:
    return {
        tag: (vr, instance.buffer[value:end])
        for _, (tag, vr, _, value, end, items) in walk(instance.elements)
        if items is None
    }


class TestDeflated:
    """PS3.5 A.5."""

    def test_inflated(self, opened: Opener, work: Path) -> None:
        with opened(part10(deflate(CLASS + NAME), DEFLATED)) as instance:
            assert instance.text(0x00100010) == "DOE^JANE"
            assert (instance.reencoded, instance.implicit, instance.transfer_syntax) == (True, False, LITTLE)
            assert instance.meta.transfer_syntax == DEFLATED
            assert instance.path.parent == work
            assert instance.path.read_bytes() == CLASS + NAME
            assert stat.S_IMODE(instance.path.stat().st_mode) == 0o600
        assert not list(work.iterdir())

    @pytest.mark.parametrize(
        "behind",
        [
            b"\0",
            # the trailer of gzip
            pack("<II", zlib.crc32(CLASS + NAME), len(CLASS + NAME)),
            pack("<II", zlib.crc32(CLASS + NAME), len(CLASS + NAME)) + b"\0",
        ],
    )
    def test_padding_and_trailer(self, opened: Opener, behind: bytes) -> None:
        with opened(part10(deflate(CLASS + NAME) + behind, DEFLATED)) as instance:
            assert instance.text(0x00100010) == "DOE^JANE"

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            (deflate(CLASS + NAME)[:-3], TruncatedDataSet),
            (b"", TruncatedDataSet),
            (CLASS + NAME, MalformedDataSet),
            (zlib.compress(CLASS + NAME), MalformedDataSet),
            (deflate(CLASS + NAME) + b"x", MalformedDataSet),
            (deflate(CLASS + NAME) + b"\0\0", MalformedDataSet),
            (deflate(CLASS + NAME) + pack("<II", 1, len(CLASS + NAME)), MalformedDataSet),
            (deflate(CLASS + NAME) + pack("<II", zlib.crc32(CLASS + NAME), 46) + b"xx", MalformedDataSet),
            (deflate(CLASS + NAME[:-2]), TruncatedDataSet),
        ],
    )
    def test_refused_and_removed(self, opened: Opener, work: Path, data: bytes, error: type[GatewayError]) -> None:
        with pytest.raises(error):
            opened(part10(data, DEFLATED))
        assert not list(work.iterdir())

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
    def test_wherever_pieces_end(self, opened: Opener, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
        """Streams and what follows them, with pieces of the input and of the output ending anywhere."""
        monkeypatch.setattr(reencode, "_CHUNK", size)
        plain = CLASS + NAME + explicit(0x00104000, "LT", b"ab" * 300)
        trailer = pack("<II", zlib.crc32(plain), len(plain))
        for behind in (b"", b"\0", trailer, trailer + b"\0"):
            with opened(part10(deflate(plain) + behind, DEFLATED)) as instance:
                assert instance.path.read_bytes() == plain
        for behind in (b"x", b"\0\0", trailer + b"\0\0", trailer + b"x", trailer * 2):
            with pytest.raises(MalformedDataSet, match="something follows"):
                opened(part10(deflate(plain) + behind, DEFLATED))
        for cut in range(1, 12):
            with pytest.raises(TruncatedDataSet, match="deflated"):
                opened(part10(deflate(plain)[:-cut], DEFLATED))

    def test_output_that_is_due_when_the_input_has_ended(self, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The last input byte may hold a match longer than a piece of output."""
        monkeypatch.setattr(reencode, "_CHUNK", 2)
        for count in range(1, 60):
            plain = b"ab" * count
            data = deflate(plain)
            with WorkFile(work, 1 << 20) as file:
                reencode.inflate(data, 0, len(data), file)
            assert file.path.read_bytes() == plain
            file.remove()

    def test_a_bomb_stops_at_the_limit(self, opened: Opener, work: Path) -> None:
        engine = zlib.compressobj(9, wbits=-15)
        bomb = b"".join([*(engine.compress(bytes(1 << 20)) for _ in range(200)), engine.flush()])
        assert len(bomb) < 250_000
        with pytest.raises(LimitExceeded, match="5000000 re-encoded bytes"):
            opened(part10(bomb, DEFLATED), most=5_000_000)
        assert not list(work.iterdir())

    def test_referenced_pixel_data_stays_referenced(self, opened: Opener) -> None:
        with opened(part10(deflate(CLASS), "1.2.840.10008.1.2.4.95")) as instance:
            assert instance.transfer_syntax == "1.2.840.10008.1.2.4.94"


class TestBigEndian:
    """PS3.5 A.3; numbers in order of their VR."""

    @pytest.mark.parametrize(
        ("vr", "before", "after"),
        [
            ("US", "0001 0203", "0100 0302"),
            ("SS", "FFFE", "FEFF"),
            ("AT", "0010 0020", "1000 2000"),
            ("OW", "0001 0203", "0100 0302"),
            ("UL", "00010203 04050607", "03020100 07060504"),
            ("SL", "00010203", "03020100"),
            ("FL", "00010203", "03020100"),
            ("OF", "00010203 04050607", "03020100 07060504"),
            ("OL", "00010203", "03020100"),
            ("FD", "0001020304050607", "0706050403020100"),
            ("OD", "0001020304050607", "0706050403020100"),
            ("OV", "0001020304050607", "0706050403020100"),
            ("SV", "0001020304050607", "0706050403020100"),
            ("UV", "0001020304050607", "0706050403020100"),
            ("OB", "00010203", "00010203"),
            ("UN", "00010203", "00010203"),
            ("LO", "41424344", "41424344"),
            ("UT", "41424344", "41424344"),
        ],
    )
    def test_byte_order(self, opened: Opener, vr: str, before: str, after: str) -> None:
        inner = big(0x00091002, vr, bytes.fromhex(before))
        nested = pack(">HHI", 0xFFFE, 0xE000, len(inner)) + inner
        data = big(0x00091001, vr, bytes.fromhex(before)) + big(0x00091010, "SQ", nested)
        with opened(part10(data, BIG)) as instance:
            assert values(instance) == {
                0x00091001: (vr.encode(), bytes.fromhex(after)),
                0x00091002: (vr.encode(), bytes.fromhex(after)),
            }
            assert (instance.reencoded, instance.implicit, instance.transfer_syntax) == (True, False, LITTLE)

    @pytest.mark.parametrize("vr", ["US", "UL", "FD", "OW", "OV"])
    def test_a_length_that_is_no_multiple_is_refused(self, opened: Opener, work: Path, vr: str) -> None:
        if vr == "US" or vr == "OW":
            data = big(0x00091001, vr, b"abc")  # odd: the walk refuses it
        else:
            data = big(0x00091001, vr, b"abcdef" if vr == "UL" else b"abcdefghij")
        with pytest.raises(MalformedDataSet):
            opened(part10(data, BIG))
        assert not list(work.iterdir())

    def test_group_lengths_are_dropped(self, opened: Opener) -> None:
        with opened(part10(big(0x00100000, "UL", pack(">I", 16)) + big(0x00100010, "PN", b"DOE "), BIG)) as instance:
            assert list(values(instance)) == [0x00100010]

    @pytest.mark.parametrize(
        ("bits", "vr", "after"),
        [(16, "OW", b"\1\0\3\2"), (8, "OW", b"\1\0\3\2"), (1, "OW", b"\1\0\3\2"), (8, "OB", b"\0\1\2\3")],
    )
    def test_pixel_data(self, opened: Opener, bits: int, vr: str, after: bytes) -> None:
        data = big(BITS, "US", pack(">H", bits)) + big(PIXELS, vr, b"\0\1\2\3")
        with opened(part10(data, BIG)) as instance:
            assert values(instance)[PIXELS] == (vr.encode(), after)

    @pytest.mark.parametrize(
        "data",
        [
            # wider than a word, wider than a byte string, no width at all, no VR of pixel data
            big(BITS, "US", pack(">H", 32)) + big(PIXELS, "OW", bytes(4)),
            big(BITS, "US", pack(">H", 16)) + big(PIXELS, "OB", bytes(4)),
            big(PIXELS, "OW", bytes(4)),
            big(BITS, "US") + big(PIXELS, "OW", bytes(4)),
            big(BITS, "US", pack(">H", 8)) + big(PIXELS, "UN", bytes(4)),
        ],
    )
    def test_pixel_data_of_unknown_order_is_refused(self, opened: Opener, work: Path, data: bytes) -> None:
        with pytest.raises(UnsupportedEncoding):
            opened(part10(data, BIG))
        assert not list(work.iterdir())

    def test_large_values_pass_in_pieces(self, opened: Opener) -> None:
        words = bytes(range(256)) * 12_000  # three pieces
        data = big(BITS, "US", pack(">H", 16)) + big(PIXELS, "OW", words)
        with opened(part10(data, BIG), most=1 << 24) as instance:
            swapped = values(instance)[PIXELS][1]
        assert swapped[0::2] == words[1::2]
        assert swapped[1::2] == words[0::2]
        with pytest.raises(LimitExceeded):
            opened(part10(data, BIG), most=len(words))


class TestIrregular:
    """Explicit VR with something else in between."""

    @pytest.mark.parametrize(
        "data",
        [
            CLASS + implicit(0x00100010, b"DOE^JANE"),
            # a VR that does not exist, with the length of one of a later edition
            CLASS + NAME + pack("<HH2sHI", 0x0010, 0x4001, b"XY", 0, 4) + b"abcd",
            # implicit from an item on
            CLASS + sequence(0x00081140, item(implicit(0x00081155, b"1.2.3\0"))) + NAME,
            CLASS + implicit(0x00081140, item(implicit(0x00081155, b"1.2.3\0"), undefined=True)) + NAME,
        ],
    )
    def test_rewritten(self, opened: Opener, work: Path, data: bytes) -> None:
        with opened(part10(data, LITTLE)) as instance:
            assert (instance.reencoded, instance.implicit, instance.transfer_syntax) == (True, False, LITTLE)
            assert instance.text(0x00100010) == "DOE^JANE"
            theirs = pydicom.dcmread(instance.path, force=True)
            assert theirs.PatientName == "DOE^JANE"
            if "ReferencedImageSequence" in theirs:
                assert theirs.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
        assert not list(work.iterdir())

    def test_encapsulated_pixel_data_is_copied(self, opened: Opener) -> None:
        fragments = implicit(ITEM) + implicit(ITEM, b"\xff\xd8\xff\xd9") + SEQUENCE_END
        for pixels in (
            explicit(PIXELS, "OB", fragments, length=UNDEFINED),
            implicit(PIXELS, fragments, length=UNDEFINED),
        ):
            with opened(part10(CLASS + implicit(0x00100010, b"DOE ") + pixels, JPEG)) as instance:
                assert instance.transfer_syntax == JPEG
                assert values(instance)[PIXELS] == (b"OB", fragments)

    def test_what_is_too_long_for_its_vr_is_un(self, opened: Opener) -> None:
        with opened(part10(CLASS + implicit(0x00104000, b"x" * 70_000), LITTLE)) as instance:
            assert values(instance)[0x00104000] == (b"UN", b"x" * 70_000)
            assert instance.text(0x00104000) == "x" * 70_000

    def test_what_still_does_not_walk_is_refused_with_the_first_error(self, opened: Opener, work: Path) -> None:
        with pytest.raises(MalformedDataSet, match=r"irregular at \(0010,0010\)"):
            opened(part10(CLASS + implicit(0x00100010, b"DOE^JANE") + b"\1\2\3", LITTLE))
        assert not list(work.iterdir())


class TestWorkFile:
    """The file beside the spool."""

    def test_removed_when_the_block_fails(self, work: Path) -> None:
        with pytest.raises(LimitExceeded), WorkFile(work, 10) as file:
            file.write(bytes(11))
        assert not list(work.iterdir())

    def test_kept_until_it_is_removed(self, work: Path) -> None:
        with WorkFile(work, 10) as file:
            file.write(b"abc")
        assert file.path.read_bytes() == b"abc"
        file.remove()
        file.remove()
        assert not list(work.iterdir())

    def test_a_directory_that_is_gone(self, work: Path) -> None:
        with pytest.raises(SpoolUnavailable):
            WorkFile(work / "absent", 10)

    @pytest.mark.parametrize("size", [10_000, 8 << 20])
    def test_a_file_that_cannot_grow_is_transient(self, work: Path, size: int) -> None:
        """The system refuses, at the last flush or in between, as it does when the disk is full."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(SpoolUnavailable, match="File too large"), WorkFile(work, 1 << 30) as file:
                file.write(bytes(size))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not list(work.iterdir())
