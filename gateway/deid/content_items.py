"""What the options do with a content item, by its concept and value type (PS3.15 E.3.4, Table E.3.4-1)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from gateway.dicom import coded_concepts

__all__ = ["Fate", "Treatment", "treatment"]


class Fate(Enum):
    """What becomes of a content item.

    ``RULES`` means that its value is treated by the program's rules for the attribute that holds it, such as Person
    Name (0040,A123).
    """

    KEEP = "keep"
    RULES = "rules"
    CLEAN = "clean"
    DUMMY = "dummy"
    REMOVE = "remove"


class Treatment(NamedTuple):
    """What becomes of a content item.

    Attributes
    ----------
    fate
        the first choice
    otherwise
        where cleaning leaves nothing: ``DUMMY`` or ``REMOVE``
    identifies
        whether the value tells things apart, so that its dummy depends on it
    """

    fate: Fate
    otherwise: Fate = Fate.REMOVE
    identifies: bool = False


class _Row(NamedTuple):
    basic: str
    options: dict[str, str]


_OPTION_COLUMNS: Final = ("113110", "113109", "113112", "113108", "113106", "113107", "113105")
_CLEAN_DESCRIPTORS: Final = "113105"


@cache
def _table() -> dict[tuple[str, str, str], _Row]:
    text = (files("gateway.deid") / "data" / "content-items.csv").read_text(encoding="utf-8")
    return {
        (row["scheme"], row["code"], row["value_type"]): _Row(
            row["basic"], {option: row[option] for option in _OPTION_COLUMNS if row[option]}
        )
        for row in csv.DictReader(text.splitlines())
    }


def treatment(options: Iterable[str], scheme: str, code: str, value_type: str) -> Treatment:
    """What the Clean Structured Content Option does with a content item.

    Of options that disagree the one that cleans counts. X/D becomes a dummy, which is valid whether or not the item's
    template demands it. A TEXT item that the table does not list is cleaned; other items that it does not list are
    left to the rules for their attributes.

    Parameters
    ----------
    options
        the codes of the program's options, from CID 7050
    scheme, code
        the concept name
    value_type
        Value Type (0040,A040), such as ``TEXT``
    """
    row = _table().get((*coded_concepts.current(scheme, code), value_type))
    is_text = value_type == "TEXT"
    if row is None:
        return Treatment(Fate.CLEAN if is_text else Fate.RULES)
    otherwise = Fate.DUMMY if "D" in row.basic else Fate.REMOVE
    identifies = is_text and _CLEAN_DESCRIPTORS not in row.options
    cells = {row.options[option] for option in options if option in row.options}
    if "C" in cells:
        return Treatment(Fate.CLEAN if is_text else Fate.RULES, otherwise, identifies)
    return Treatment(Fate.KEEP if "K" in cells else otherwise, otherwise, identifies)
