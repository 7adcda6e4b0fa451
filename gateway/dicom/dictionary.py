"""The data dictionary: what the standard says of a tag (PS3.6).

pydicom's dictionary is the base; ``data/newer-elements.csv`` adds what the standard gained since that release.
Repeating groups (50xx, 60xx) and the 0020,31xx, 0028,04xy families come from pydicom's repeaters table.
"""

from __future__ import annotations

import csv
import re
from importlib.resources import files
from typing import Final, NamedTuple

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary


class Entry(NamedTuple):
    """One row of PS3.6: ``vr`` is the standard's text, such as ``US or SS``."""

    vr: str
    vm: str
    name: str
    retired: bool
    keyword: str


#: The VR that an ambiguous dictionary entry is read as when the encoding does not carry one.
_AMBIGUOUS: Final = {
    "US or SS": b"US",
    "OB or OW": b"OW",
    "US or OW": b"OW",
    "US or SS or OW": b"OW",
    "NONE": b"UN",
    "OB/OW": b"OW",
}


def _newer_elements() -> dict[int, Entry]:
    text = (files("gateway.dicom") / "data" / "newer-elements.csv").read_text(encoding="utf-8")
    return {
        int(row["tag"], 16): Entry(row["vr"], row["vm"], row["name"], row["retired"] == "Y", row["keyword"])
        for row in csv.DictReader(text.splitlines())
    }


_ENTRIES: Final[dict[int, Entry]] = {
    **_newer_elements(),
    **{tag: Entry(vr, vm, name, bool(retired), keyword) for tag, (vr, vm, name, retired, keyword) in
       DicomDictionary.items()},
}  # fmt: skip
_REPEATERS: Final[list[tuple[int, int, Entry]]] = [
    (
        int(re.sub(r"[0-9A-F]", "F", mask).replace("x", "0"), 16),
        int(mask.replace("x", "0"), 16),
        Entry(vr, vm, name, bool(retired), keyword),
    )
    for mask, (vr, vm, name, retired, keyword) in RepeatersDictionary.items()
]
_BY_KEYWORD: Final[dict[str, int]] = {entry.keyword: tag for tag, entry in _ENTRIES.items() if entry.keyword}


def _plain_vr(vr: str) -> bytes:
    return _AMBIGUOUS.get(vr) or vr.encode("ascii")


#: Tag -> VR as two bytes for every element of the standard outside repeating groups.
VR_OF: Final[dict[int, bytes]] = {tag: _plain_vr(entry.vr) for tag, entry in _ENTRIES.items()}


def entry(tag: int) -> Entry | None:
    """The dictionary row of ``tag``, or None if the standard does not know it (private tags are never known)."""
    exact = _ENTRIES.get(tag)
    if exact is not None or tag & 0x00010000:
        return exact
    return next((row for mask, value, row in _REPEATERS if tag & mask == value), None)


def vr_of(tag: int) -> bytes:
    """The VR of ``tag`` as two bytes; ``UN`` for private and unknown tags (PS3.5 6.2.2)."""
    known = VR_OF.get(tag)
    if known is None:
        row = entry(tag)
        known = _plain_vr(row.vr) if row is not None else b"UN"
    return known


def is_known(tag: int) -> bool:
    """Whether the standard defines ``tag``."""
    return tag in VR_OF or entry(tag) is not None


def tag_of(keyword: str) -> int | None:
    """The tag with this keyword, or None."""
    return _BY_KEYWORD.get(keyword)


def keyword_of(tag: int) -> str:
    """The keyword of ``tag``, empty if there is none."""
    row = entry(tag)
    return row.keyword if row is not None else ""


def keywords() -> list[str]:
    """Every keyword of the standard, for nearest-word suggestions."""
    return sorted(_BY_KEYWORD)


def repeating_of(keyword: str) -> tuple[int, int] | None:
    """Mask and value of the repeating group element with this keyword: ``tag & mask == value``; None if there is none.

    The mask leaves the parity of the group open; odd groups are private, whatever the mask says.
    """
    return next(((mask, value) for mask, value, row in _REPEATERS if row.keyword == keyword), None)
