"""PS3.15 Table E.3.10-1: private elements that are known to hold no identity.

The rows come from ``data/e3-10-1.csv``, written by ``scripts/generate-safe-private``; the edition stands in its first
line.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["SAFE_PRIVATE", "SafeElement", "edition"]


class SafeElement(NamedTuple):
    """What the table says of one element: its VR and VM, and what it holds."""

    vr: str
    vm: str
    meaning: str


def _lines() -> list[str]:
    return (files("gateway.profile") / "data" / "e3-10-1.csv").read_text(encoding="utf-8").splitlines()


def edition() -> str:
    """The edition of the standard that the table is of, such as ``2025b``: not always that of Table E.1-1."""
    return _lines()[0].rsplit(" ", 1)[1]


def _table() -> dict[tuple[int, int, str], SafeElement]:
    return {
        (int(row["group"], 16), int(row["offset"], 16), row["creator"].upper()): SafeElement(
            row["vr"], row["vm"], row["meaning"]
        )
        for row in csv.DictReader(_lines()[1:])
    }


#: (group, last byte of the element number, creator in capital letters) -> the element.
SAFE_PRIVATE: Final[Mapping[tuple[int, int, str], SafeElement]] = MappingProxyType(_table())
