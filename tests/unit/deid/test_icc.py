"""An ICC profile keeps its colours and loses every text that could name somebody."""

from __future__ import annotations

import hashlib
from pathlib import Path
from struct import pack

import pytest
from pydicom.dataset import Dataset

from gateway.deid.icc import cleaned
from gateway.profile import Program
from tests.unit.deid.cleaning import deidentified, instance, item, program

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
NAME = "Etxeberria Marisol"
WHITE = b"XYZ \0\0\0\0\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d"
#: 256 values whose bytes are letters for a stretch, as those of a straight curve are.
CURVE = b"curv\0\0\0\0\0\0\1\0" + bytes(value for one in range(256) for value in (one, one))


def text(said: str) -> bytes:
    return b"text\0\0\0\0" + said.encode("latin-1") + b"\0"


def desc(said: str, *, wide: str = "", script: str = "") -> bytes:
    said, wide = said + "\0", wide + "\0" if wide else ""
    return (
        b"desc\0\0\0\0" + pack(">I", len(said)) + said.encode("latin-1") + bytes(4) + pack(">I", len(wide))
        + wide.encode("utf-16-be") + b"\0\0" + bytes([len(script)]) + script.encode("ascii").ljust(67, b"\0")
    )  # fmt: skip


def mluc(*said: str, hidden: bytes = b"") -> bytes:
    table, texts, at = b"", b"", 16 + 12 * len(said)
    for one in said:
        encoded = one.encode("utf-16-be")
        table += pack(">4sII", b"enUS", len(encoded), at + len(texts))
        texts += encoded
    return b"mluc\0\0\0\0" + pack(">II", len(said), 12) + table + texts + hidden


def profile(*tags: tuple[bytes, bytes], version: int = 2, gap: bytes = b"", **fields: bytes) -> bytes:
    """A display profile; ``fields`` is what stands at a byte of its header, such as ``at48``."""
    tags = (*tags, (b"wtpt", WHITE), (b"rTRC", CURVE))
    at, table, values = 132 + 12 * len(tags) + len(gap), b"", b""
    for tag, value in tags:
        table += pack(">4sII", tag, at + len(values), len(value))
        values += value
    header = bytearray(128)
    header[:4], header[8] = pack(">I", at + len(values)), version
    header[12:24], header[24:36], header[36:40] = (
        b"mntrRGB XYZ ",
        bytes((7, 206, 0, 2, 0, 9, 0, 6, 0, 49, 0, 0)),
        b"acsp",
    )
    for place, value in fields.items():
        header[int(place[2:]) : int(place[2:]) + len(value)] = value
    return bytes(header) + pack(">I", len(tags)) + table + gap + values


STAYS = [
    # the profile of Hewlett-Packard that most devices embed; those of an operating system and of two scanners
    profile((b"desc", desc("sRGB IEC61966-2.1", script="sRGB IEC61966-2.1")),
            (b"cprt", text("Copyright (c) 1998 Hewlett-Packard Company")), (b"dmnd", desc("IEC http://www.iec.ch")),
            (b"vued", desc("Reference Viewing Condition in IEC61966-2.1")), at40=b"MSFT", at48=b"IEC sRGB",
            at80=b"HP  "),
    profile((b"desc", mluc("Display P3")), (b"cprt", mluc("Copyright Apple Inc., 2022")), version=4, at4=b"appl"),
    profile((b"desc", mluc("sRGB built-in", "sRGB")), (b"cprt", mluc("No copyright, use freely")), at4=b"lcms"),
    profile((b"desc", desc("Aperio ScanScope AT2")), (b"cprt", text("Copyright 2015, Leica Biosystems"))),
    profile((b"desc", desc("Adobe RGB (1998)")), (b"cprt", text("Copyright 2000 Adobe Systems Incorporated"))),
    # nothing said; flags; without any text
    profile((b"desc", desc("")), (b"cprt", mluc(" "))),
    profile((b"cprt", text("")), at44=b"\0\0\0\3"),
    profile(),
]  # fmt: skip
GOES = [
    # a name, a host, a site or a number in each text and each type of text
    profile((b"desc", desc(NAME))), profile((b"cprt", text("Copyright 2024 " + NAME))), profile((b"dmnd", text(NAME))),
    profile((b"dmdd", mluc(NAME), ), version=4), profile((b"vued", desc(NAME))),
    profile((b"desc", desc("sRGB IEC61966-2.1 48921377"))), profile((b"desc", text("calibrated 27.04.2031"))),
    # in a part of a text that readers seldom show
    profile((b"desc", desc("sRGB", wide=NAME))), profile((b"desc", desc("sRGB", script=NAME))),
    profile((b"desc", mluc("sRGB", NAME))), profile((b"desc", text("sRGB\0" + NAME))),
    profile((b"desc", mluc("sRGB", hidden=NAME.encode()))), profile((b"desc", desc("sRGB") + NAME.encode())),
    profile((b"desc", b"text" + b"MARI" + b"sRGB\0")),
    # in tags of private use, of types of private use, in numbers
    profile((b"MARI", text("sRGB"))), profile((b"mmod", b"mmod\0\0\0\0" + NAME.encode())),
    profile((b"desc", b"ETXE\0\0\0\0" + NAME.encode())), profile((b"targ", text(NAME))),
    profile((b"bkpt", b"XYZ \0\0\0\0" + b"Etxeberria M")), profile((b"bTRC", b"curv\0\0\0\0\0\0\0\0" + NAME.encode())),
    # where no tag is, behind the end, in the header
    profile(gap=NAME.encode()), profile() + NAME.encode(), profile(at100=NAME.encode()), profile(at48=b"ETXEBERR"),
    profile(at56=b"48921377"),
]  # fmt: skip
NO_PROFILE = [
    b"", NAME.encode(), b"\0" * 200, profile()[:200], profile(at0=b"\xff\xff\xff\xff"), profile(at0=bytes(4)),
    profile()[:128] + b"\xff" * 400,
    # values that overlap, or lie in the table or the header
    profile()[:128] + pack(">I4sII4sII", 2, b"wtpt", 160, 20, b"rTRC", 170, 20) + bytes(600),
    profile()[:128] + pack(">I4sII", 1, b"wtpt", 120, 20) + bytes(600),
]  # fmt: skip


@pytest.mark.parametrize("received", STAYS)
def test_a_profile_that_names_nobody_stays(received: bytes) -> None:
    assert cleaned(received) == received
    assert cleaned(received + b"\0") == received + b"\0"


@pytest.mark.parametrize("received", GOES)
def test_what_could_name_somebody_goes_and_colours_stay(received: bytes) -> None:
    left = cleaned(received)
    assert left is not None
    for part in ("Etx", "ETXE", "Mari", "MARI", "4892", "27.04"):
        assert part.encode("ascii") not in left
        assert part.encode("utf-16-be") not in left
    assert left[8:36] == received[8:36]
    assert WHITE in left
    assert CURVE in left
    assert cleaned(left) == left


@pytest.mark.parametrize("received", NO_PROFILE)
def test_what_is_no_profile_is_not_taken_for_one(received: bytes) -> None:
    assert cleaned(received) is None


def test_the_profile_id_is_computed_again() -> None:
    left = cleaned(profile((b"desc", mluc(NAME)), version=4, at84=b"\1" * 16, at64=b"\0\0\0\1"))
    assert left is not None
    without = left[:44] + bytes(4) + left[48:64] + bytes(4) + left[68:84] + bytes(16) + left[100:]
    assert left[84:100] == hashlib.md5(without, usedforsecurity=False).digest()


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"))


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_at_every_depth(basic: Program, tmp_path: Path, *, nested: bool, implicit: bool) -> None:
    received = profile((b"desc", desc(NAME)), (b"cprt", text("No copyright, use freely")))
    values = {"ICCProfile": received}
    source = instance(SLIDE, Modality="SM", **({"OpticalPathSequence": [item(**values)]} if nested else values))
    output = deidentified(source, basic, tmp_path, implicit=implicit)
    left: Dataset = output.OpticalPathSequence[0] if nested else output
    assert left.ICCProfile == (cleaned(received) or b"") + b"\0" * (len(received) % 2)
    assert b"No copyright, use freely" in left.ICCProfile


def test_bytes_that_are_no_profile_do_not_stay(basic: Program, tmp_path: Path) -> None:
    source = instance("1.2.840.10008.5.1.4.1.1.2", Modality="CT", ICCProfile=b"\1\2" + NAME.encode() + b"\0" * 200)
    assert "ICCProfile" not in deidentified(source, basic, tmp_path)
