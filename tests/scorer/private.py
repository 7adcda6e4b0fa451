"""Which private elements are known to be safe: PS3.15 Table E.3.10-1, and what an instance declares of its own.

``data/ps3.15-e.3.10-1.csv`` holds the table; Private Data Element Characteristics Sequence (0008,0300) is the
declaration (PS3.3 C.12.1.1.7).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from pydicom import Dataset

from tests.scorer.reading import Leaf, normal_creator

_CSV: Final = Path(__file__).parent / "data" / "ps3.15-e.3.10-1.csv"


@dataclass(frozen=True, slots=True)
class SafeElement:
    """A row of the table: ``offset`` is the element's number within its block, its last two digits."""

    group: int
    offset: int
    creator: str
    vr: str
    multiplicity: str


@cache
def safe_elements() -> tuple[SafeElement, ...]:
    """The rows of the table."""
    with _CSV.open(encoding="utf-8", newline="") as file:
        return tuple(
            SafeElement(
                int(row["Group"], 16), int(row["Element"][-2:], 16), row["Private Creator"], row["VR"], row["VM"]
            )
            for row in csv.DictReader(file)
        )


@cache
def _table() -> frozenset[tuple[int, int, str]]:
    return frozenset((one.group, one.offset, one.creator.upper()) for one in safe_elements())


class SafeList:
    """What is safe in one instance.

    Parameters
    ----------
    declared: the items of its (0008,0300)
    """

    def __init__(self, declared: Iterable[Dataset] = ()) -> None:
        self._blocks: set[tuple[int, str]] = set()
        self._elements: set[tuple[int, int, str]] = set()
        self._identifying: set[tuple[int, int, str]] = set()
        for item in declared:
            group, creator = (
                int(item.get("PrivateGroupReference") or 0),
                normal_creator(item.get("PrivateCreatorReference")),
            )
            status = item.get("BlockIdentifyingInformationStatus")
            if status == "SAFE":
                self._blocks.add((group, creator))
            elif status == "MIXED":
                self._elements.update(
                    (group, one & 0xFF, creator) for one in _many(item, "NonidentifyingPrivateElements")
                )
            for action in item.get("DeidentificationActionSequence") or []:
                self._identifying.update(
                    (group, one & 0xFF, creator) for one in _many(action, "IdentifyingPrivateElements")
                )

    def __contains__(self, leaf: Leaf) -> bool:
        """Whether a private element may stay as it is."""
        group, offset = leaf.tag >> 16, leaf.tag & 0xFF
        key = (group, offset, leaf.creator)
        if not leaf.creator or key in self._identifying:
            return False
        return key in _table() or (group, leaf.creator) in self._blocks or key in self._elements

    def treats(self, leaf: Leaf) -> bool:
        """Whether the instance declares what has to be done with the element."""
        return bool(leaf.creator) and (leaf.tag >> 16, leaf.tag & 0xFF, leaf.creator) in self._identifying


def _many(item: Dataset, keyword: str) -> Sequence[int]:
    value = item.get(keyword)
    if value is None:
        return []
    return [int(value)] if isinstance(value, int) else [int(one) for one in value]
