"""Value representations: what the standard says of each VR (PS3.5 6.2)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from gateway.errors import UnsupportedEncoding


@dataclass(frozen=True, slots=True)
class ValueRepresentation:
    """The facts of one VR.

    Attributes
    ----------
    code
        two capital letters
    header
        bytes of the element header in explicit VR: 8 with a 16-bit length, 12 with a 32-bit length (PS3.5 7.1.2)
    unit
        bytes that swap together when the byte order changes; 1 for text and byte strings (PS3.5 7.3)
    padding
        the byte that makes a value even (PS3.5 6.2)
    text
        whether a value is a character string
    longest
        most characters of one value (PN: of one component group), or bytes of one number; None if unlimited
    specific
        whether Specific Character Set governs it; other text is in the default repertoire (PS3.5 6.1.2.3)
    several
        whether a backslash (text) or the length (numbers) separates several values (PS3.5 6.4)
    """

    code: str
    header: int
    unit: int
    padding: bytes
    text: bool
    longest: int | None
    specific: bool
    several: bool


def _table() -> dict[bytes, ValueRepresentation]:
    text = (files("gateway.dicom") / "data" / "value-representations.csv").read_text(encoding="utf-8")
    return {
        row["vr"].encode("ascii"): ValueRepresentation(
            code=row["vr"],
            header=int(row["header"]),
            unit=int(row["unit"]),
            padding=bytes.fromhex(row["padding"]),
            text=row["text"] == "Y",
            longest=int(row["longest"]) if row["longest"] else None,
            specific=row["repertoire"] == "specific",
            several=row["several"] == "Y",
        )
        for row in csv.DictReader(text.splitlines())
    }


#: VR as two bytes -> its facts.
VALUE_REPRESENTATIONS: Final[dict[bytes, ValueRepresentation]] = _table()

#: VR -> header size in explicit VR, apart for the speed of the walk.
HEADER_SIZE: Final[dict[bytes, int]] = {code: facts.header for code, facts in VALUE_REPRESENTATIONS.items()}


def pad(vr: bytes, value: bytes) -> bytes:
    """``value`` with the padding byte of ``vr`` behind it where its length is odd (PS3.5 6.2).

    Raises
    ------
    UnsupportedEncoding
        ``vr`` is no VR of the standard, or an odd length cannot be right for it
    """
    facts = VALUE_REPRESENTATIONS.get(vr)
    if facts is None:
        raise UnsupportedEncoding(reason=f"0x{vr.hex()} is no value representation")
    if not len(value) & 1:
        return value
    if facts.unit > 1 or facts.code == "SQ":
        raise UnsupportedEncoding(reason=f"a value of VR {facts.code} cannot have the odd length {len(value)}")
    return value + facts.padding
