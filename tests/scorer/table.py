"""Table E.1-1 of PS3.15 as the scorer reads it: ``data/ps3.15-e.1-1.csv``, its Basic Profile column."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Final

_CSV: Final = Path(__file__).parent / "data" / "ps3.15-e.1-1.csv"

#: Action codes of the Basic Profile (PS3.15 E.3.1).
CODES: Final = frozenset({"D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"})


@cache
def basic_actions() -> dict[int, str]:
    """Tag -> action code of the Basic Profile, for the rows that name one element."""
    return {tag: row["basic"] for row in _rows() if (tag := _tag(row["tag"])) is not None}


def action(tag: int) -> str | None:
    """The action code for ``tag`` by the row that names it, its pattern or its group; None if no row does."""
    if tag >> 16 & 1:
        return "X"
    # Repeating groups are even and end at 1E (PS3.5 7.6).
    if 0x5000 <= tag >> 16 <= 0x501E:
        return "X"
    if 0x6000 <= tag >> 16 <= 0x601E and tag & 0xFFFF in (0x3000, 0x4000):
        return "X"
    return basic_actions().get(tag)


def tags() -> list[int]:
    """Every tag that a row names, in order."""
    return sorted(basic_actions())


def _rows() -> list[dict[str, str]]:
    with _CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _tag(text: str) -> int | None:
    try:
        return int(text[1:5] + text[6:10], 16) if len(text) == len("(gggg,eeee)") else None
    except ValueError:
        return None
