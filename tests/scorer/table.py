"""Table E.1-1 of PS3.15 as the scorer reads it, ``data/ps3.15-e.1-1.csv``: the Basic Profile and every option."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_CSV: Final = Path(__file__).parent / "data" / "ps3.15-e.1-1.csv"

#: Action codes of the Basic Profile (PS3.15 E.3.1).
CODES: Final = frozenset({"D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"})
#: Option -> its column of the table.
COLUMNS: Final = {
    "retain-safe-private": "retain_safe_private",
    "retain-uids": "retain_uids",
    "retain-device-identity": "retain_device",
    "retain-institution-identity": "retain_institution",
    "retain-patient-characteristics": "retain_patient_chars",
    "retain-longitudinal-full-dates": "retain_long_full_dates",
    "retain-longitudinal-modified-dates": "retain_long_modified_dates",
    "clean-descriptors": "clean_descriptors",
    "clean-structured-content": "clean_structured_content",
    "clean-graphics": "clean_graphics",
}
#: Profile or option -> its code in CID 7050, De-identification Method.
METHODS: Final = {
    "basic": "113100",
    "clean-graphics": "113103",
    "clean-structured-content": "113104",
    "clean-descriptors": "113105",
    "retain-longitudinal-full-dates": "113106",
    "retain-longitudinal-modified-dates": "113107",
    "retain-patient-characteristics": "113108",
    "retain-device-identity": "113109",
    "retain-uids": "113110",
    "retain-safe-private": "113111",
    "retain-institution-identity": "113112",
}
_PRIVATE: Final = "(gggg,eeee) gggg odd"
_CURVE: Final = "(50xx,xxxx)"
_OVERLAY: Final = {0x3000: "(60xx,3000)", 0x4000: "(60xx,4000)"}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the table says of an element under some options.

    ``code`` is the Basic Profile's, or K or C where an option says so; ``options`` are those that say it, and
    ``basic`` is the Basic Profile's code in any case.
    """

    code: str
    basic: str
    options: frozenset[str] = frozenset()

    @property
    def keeps_items(self) -> bool:
        """Whether a sequence with this ruling still holds the original's items, each with the profile applied."""
        return self.code in ("K", "C", "X/Z/U*")


@cache
def basic_actions() -> dict[int, str]:
    """Tag -> action code of the Basic Profile, for the rows that name one element."""
    return {tag: row["basic"] for row in _rows().values() if (tag := _tag(row["tag"])) is not None}


def action(tag: int) -> str | None:
    """The action code for ``tag`` by the row that names it, its pattern or its group; None if no row does."""
    found = ruling(tag, frozenset({"basic"}))
    return None if found is None else found.code


@cache
def ruling(tag: int, options: frozenset[str]) -> Ruling | None:
    """What the table says of ``tag`` when ``options`` apply on top of the Basic Profile; None if no row names it.

    Where two options disagree, the one that cleans prevails over the one that keeps.
    """
    row = _rows().get(_row_name(tag))
    if row is None:
        return None
    cells = {option: row[COLUMNS[option]] for option in options if option in COLUMNS and row[COLUMNS[option]]}
    if not cells:
        return Ruling(row["basic"], row["basic"])
    code = "C" if "C" in cells.values() else "K"
    return Ruling(code, row["basic"], frozenset(option for option, cell in cells.items() if cell == code))


def tags() -> list[int]:
    """Every tag that a row names, in order."""
    return sorted(basic_actions())


def _row_name(tag: int) -> str:
    group, element = tag >> 16, tag & 0xFFFF
    if group & 1:
        return _PRIVATE
    # Repeating groups are even and end at 1E (PS3.5 7.6).
    if 0x5000 <= group <= 0x501E:
        return _CURVE
    if 0x6000 <= group <= 0x601E and element in _OVERLAY:
        return _OVERLAY[element]
    return f"({group:04X},{element:04X})"


@cache
def _rows() -> dict[str, dict[str, str]]:
    with _CSV.open(encoding="utf-8", newline="") as file:
        return {row["tag"]: row for row in csv.DictReader(file)}


def _tag(text: str) -> int | None:
    try:
        return int(text[1:5] + text[6:10], 16) if len(text) == len("(gggg,eeee)") else None
    except ValueError:
        return None
