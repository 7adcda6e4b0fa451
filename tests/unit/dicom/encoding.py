"""Encoded elements for tests, well formed or not: independent of the code under test."""

from __future__ import annotations

from struct import pack

UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)
LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")


def explicit(tag: int, vr: str, value: bytes = b"", *, length: int | None = None, order: str = "<") -> bytes:
    """An element in explicit VR; ``length`` overrides the value's own."""
    length = len(value) if length is None else length
    head = pack(f"{order}HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (pack(f"{order}HI", 0, length) if vr in LONG else pack(f"{order}H", length)) + value


def implicit(tag: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    """An element in implicit VR little endian, or an item."""
    return pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, *, undefined: bool = False) -> bytes:
    """A sequence item of defined or undefined length."""
    return implicit(ITEM, content + ITEM_END, length=UNDEFINED) if undefined else implicit(ITEM, content)


def sequence(tag: int, *items: bytes, undefined: bool = False, vr: str = "SQ") -> bytes:
    """A sequence in explicit VR of defined or undefined length."""
    content = b"".join(items)
    if undefined:
        return explicit(tag, vr, content + SEQUENCE_END, length=UNDEFINED)
    return explicit(tag, vr, content)


def part10(data_set: bytes, transfer_syntax: str, *, sop_class: str = "1.2.840.10008.5.1.4.1.1.7") -> bytes:
    """A file with preamble and the least file meta information."""

    def ui(tag: int, uid: str) -> bytes:
        value = uid.encode()
        return explicit(tag, "UI", value + b"\0" * (len(value) % 2))

    group = ui(0x00020002, sop_class) + ui(0x00020003, "1.2.3.4") + ui(0x00020010, transfer_syntax)
    return bytes(128) + b"DICM" + explicit(0x00020000, "UL", pack("<I", len(group))) + group + data_set
