"""PS3.15 Table E.1-1: what the Basic Profile and each option do with an attribute.

The rows come from ``data/e1-1.csv``, written by ``scripts/generate-attribute-table``; the edition stands in its first
line. The shipped profiles are generated from them by ``scripts/generate-profiles``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from gateway.profile.verb import Verb

#: Column of the Basic Application Level Confidentiality Profile.
BASIC: Final = "basic"

#: Code of Table E.1-1a -> verb.
VERB_OF_CODE: Final[dict[str, Verb]] = {
    "K": Verb.KEEP,
    "X": Verb.REMOVE,
    "Z": Verb.EMPTY,
    "D": Verb.DUMMY,
    "U": Verb.HASH_UID,
    "C": Verb.CLEAN,
    "X/Z": Verb.REMOVE_OR_EMPTY,
    "X/D": Verb.REMOVE_OR_DUMMY,
    "Z/D": Verb.EMPTY_OR_DUMMY,
    "X/Z/D": Verb.REMOVE_OR_EMPTY_OR_DUMMY,
    "X/Z/U*": Verb.REMOVE_OR_EMPTY_OR_HASH_UID,
}

_FACTS: Final = ("mask", "value", "name", "keyword", "retired", "in_standard_iod")
_EXACT: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    mask, value
        the row is about every tag with ``tag & mask == value``
    name, keyword
        as in PS3.6
    retired
        whether the attribute is retired
    in_standard_iod
        whether a composite IOD of the standard uses it
    codes
        column -> action code, without the empty cells
    """

    mask: int
    value: int
    name: str
    keyword: str
    retired: bool
    in_standard_iod: bool
    codes: dict[str, str]

    @property
    def is_pattern(self) -> bool:
        """Whether the row is about several tags."""
        return self.mask != _EXACT

    def verb(self, column: str = BASIC) -> Verb | None:
        """The action of a column, or None if the column does not change the attribute."""
        code = self.codes.get(column)
        return VERB_OF_CODE[code] if code is not None else None


@cache
def _lines() -> list[str]:
    return (files("gateway.profile") / "data" / "e1-1.csv").read_text(encoding="utf-8").splitlines()


def edition() -> str:
    """The edition of the standard, such as ``2026d``."""
    return _lines()[0].rsplit(" ", 1)[1]


@cache
def rows() -> tuple[Row, ...]:
    """All rows, sorted by tag."""
    return tuple(
        Row(
            mask=int(row["mask"], 16),
            value=int(row["value"], 16),
            name=row["name"],
            keyword=row["keyword"],
            retired=row["retired"] == "Y",
            in_standard_iod=row["in_standard_iod"] == "Y",
            codes={column: code for column, code in row.items() if column not in _FACTS and code},
        )
        for row in csv.DictReader(_lines()[1:])
    )


@cache
def _exact() -> dict[int, Row]:
    return {row.value: row for row in rows() if not row.is_pattern}


def row_of(tag: int) -> Row | None:
    """The row about ``tag``, or None if the table does not list it."""
    exact = _exact().get(tag)
    if exact is not None:
        return exact
    return next((row for row in rows() if row.is_pattern and tag & row.mask == row.value), None)
