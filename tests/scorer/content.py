"""Structured content under Clean Structured Content: PS3.15 Table E.3.4-1, ``data/ps3.15-e.3.4-1.csv``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from pydicom import Dataset

from tests.scorer.case import Case
from tests.scorer.dates import Pair, is_date
from tests.scorer.reading import Leaf, Place, show
from tests.scorer.violation import Kind, Violation

_CSV: Final = Path(__file__).parent / "data" / "ps3.15-e.3.4-1.csv"
_COLUMNS: Final = {
    "retain-uids": "retain_uids",
    "retain-device-identity": "retain_device_identity",
    "retain-institution-identity": "retain_institution_identity",
    "retain-patient-characteristics": "retain_patient_characteristics",
    "retain-longitudinal-full-dates": "retain_longitudinal_full_dates",
    "retain-longitudinal-modified-dates": "retain_longitudinal_modified_dates",
    "clean-descriptors": "clean_descriptors",
}
VALUE_TYPE: Final = 0x0040A040
_RELATIONSHIP: Final = 0x0040A010
_REFERENCED_ITEM: Final = 0x0040DB73
_CONCEPT: Final = 0x0040A043
_CONTENT_SEQUENCE: Final = 0x0040A730
_REFERENCED_SOP: Final = 0x00081199
#: Value type -> the element that holds the value (PS3.3 table C.17.3-7).
VALUES: Final = {
    "TEXT": 0x0040A160, "PNAME": 0x0040A123, "DATE": 0x0040A121, "TIME": 0x0040A122, "DATETIME": 0x0040A120,
    "UIDREF": 0x0040A124,
}  # fmt: skip
_REFERENCES: Final = frozenset({"COMPOSITE", "IMAGE", "WAVEFORM"})
_DATES: Final = frozenset({"DATE", "DATETIME"})
MODIFIED: Final = "retain-longitudinal-modified-dates"
FULL: Final = "retain-longitudinal-full-dates"


@dataclass(frozen=True, slots=True)
class ContentItem:
    """An item of structured content: what it is, and the element that holds its value, if one does."""

    path: Place
    value_type: str
    code: str
    scheme: str
    value: Leaf | None

    @property
    def place(self) -> str:
        """The path in words, with the concept's code."""
        return "/".join(f"{show(tag)}[{number}]" for tag, number in self.path) + f" ({self.code}, {self.scheme})"


@cache
def _rows() -> dict[tuple[str, str, str], dict[str, str]]:
    with _CSV.open(encoding="utf-8", newline="") as file:
        return {(row["code"], row["scheme"], row["value_type"]): row for row in csv.DictReader(file)}


@cache
def content_code(code: str, scheme: str, value_type: str, options: frozenset[str]) -> str | None:
    """The action code of a content item under ``options``: the Basic Profile's, or K or C; None if no row names it."""
    row = _rows().get((code, scheme, value_type))
    if row is None:
        return None
    cells = {row[_COLUMNS[option]] for option in options if option in _COLUMNS} - {""}
    return ("C" if "C" in cells else "K") if cells else row["basic"]


def is_value(case: Case, leaf: Leaf) -> bool:
    """Whether an element holds the value of a content item, over which this table decides and not E.1-1."""
    return leaf.tag in VALUES.values() and case.in_content(leaf.path) and _has_type(case, leaf.path)


def keeps(case: Case, leaf: Leaf) -> bool:
    """Whether an option retains the value that an element of a content item holds."""
    item = _item(case.original.by_place, leaf.path)
    return item is not None and content_code(item.code, item.scheme, item.value_type, case.options) == "K"


def _has_type(case: Case, path: Place) -> bool:
    return (path, VALUE_TYPE) in case.by_place or (path, VALUE_TYPE) in case.original.by_place


def items(by_place: dict[tuple[Place, int], Leaf], case: Case) -> Iterator[ContentItem]:
    """The content items among the elements of an original or an output."""
    for path, tag in by_place:
        if tag == VALUE_TYPE and case.in_content(path):
            item = _item(by_place, path)
            if item is not None:
                yield item


def _item(by_place: dict[tuple[Place, int], Leaf], path: Place) -> ContentItem | None:
    kind = _text(by_place.get((path, VALUE_TYPE)))
    if not kind:
        return None
    name, below = (*path, (_CONCEPT, 0)), (*path, (_REFERENCED_SOP, 0))
    code = by_place.get((name, 0x00080100)) or by_place.get((name, 0x00080119))
    value = by_place.get((below, 0x00081155) if kind in _REFERENCES else (path, VALUES.get(kind, 0)))
    return ContentItem(path, kind, _text(code), _text(by_place.get((name, 0x00080102))), value)


def _text(leaf: Leaf | None) -> str:
    return "" if leaf is None else leaf.text.strip()


def date_pairs(case: Case) -> Iterator[Pair]:
    """Dates of content items that must be shifted, original and output."""
    if MODIFIED not in case.options:
        return
    originals = {item.path: item for item in items(case.original.by_place, case)}
    for item in items(case.by_place, case):
        before = originals.get(item.path)
        if item.value_type not in _DATES or item.value is None or before is None or before.value is None:
            continue
        if content_code(before.code, before.scheme, before.value_type, case.options) in ("C", None) and (
            before.value_type == item.value_type
        ):
            yield before.value, item.value


def texts(case: Case) -> Iterator[Leaf]:
    """The free texts that are left in content items."""
    return (item.value for item in items(case.by_place, case) if item.value_type == "TEXT" and item.value is not None)


def judge(case: Case) -> Iterator[Violation]:
    """What is wrong with the content items of an output, its dates aside."""
    originals = {item.path: item for item in items(case.original.by_place, case)}
    outputs = {item.path: item for item in items(case.by_place, case)}
    # What another item refers to may be there as a dummy, which keeps the tree whole.
    targets = {
        _target(leaf) for leaf in case.original.leaves if leaf.tag == _REFERENCED_ITEM and leaf.value is not None
    }
    for path, item in outputs.items():
        before = originals.get(path)
        if before is None:
            continue
        code = content_code(before.code, before.scheme, before.value_type, case.options)
        yield from _value(case, before, item, code)
        if code == "X" and path not in targets:
            yield Violation(Kind.NOT_REMOVED, item.place)
        if (path, _RELATIONSHIP) in case.original.by_place and (path, _RELATIONSHIP) not in case.by_place:
            yield Violation(Kind.CONTENT, item.place, "it has no relationship")
    for path, before in originals.items():
        kept = content_code(before.code, before.scheme, before.value_type, case.options) == "K"
        parent = path[:-1]
        if kept and path not in outputs and all(parent[: n + 1] in case.items for n in range(len(parent))):
            yield Violation(Kind.NOT_KEPT, before.place)
    yield from _references(case)


def _value(case: Case, before: ContentItem, after: ContentItem, code: str | None) -> Iterator[Violation]:
    if before.value is None or before.value.empty:
        return
    old, new = before.value.text, "" if after.value is None else after.value.text
    if not new:
        yield Violation(Kind.CONTENT, after.place, "it has no value")
    elif code == "K":
        if new != old:
            yield Violation(Kind.NOT_KEPT, after.place)
    elif new == old and new.upper() not in case.neutral and _must_change(case, before, code):
        yield Violation(Kind.NOT_REPLACED, after.place, code or before.value_type)


def _must_change(case: Case, item: ContentItem, code: str | None) -> bool:
    if code == "C":
        # Whether a text is clean is judged by what it says, a shifted date with all others of the patient.
        return False
    if code is not None:
        return True
    if item.value_type in _DATES or item.value_type == "TIME":
        return FULL not in case.options and (MODIFIED not in case.options or (
            item.value is not None and item.value_type in _DATES and is_date(item.value.text)
        ))  # fmt: skip
    return item.value_type == "PNAME"


def _references(case: Case) -> Iterator[Violation]:
    """References to content items by position (PS3.3 C.17.3.2.5) lead to an item of the same value type."""
    for leaf in case.leaves:
        if leaf.tag != _REFERENCED_ITEM or leaf.value is None or leaf.items is not None:
            continue
        target = _follow(case.output, leaf)
        before = case.before(leaf)
        if target is None:
            yield Violation(Kind.CONTENT, leaf.place, "it refers to no item")
        elif before is not None:
            original = _follow(case.original.dataset, before)
            if original is not None and original.get("ValueType") != target.get("ValueType"):
                yield Violation(Kind.CONTENT, leaf.place, "it refers to another item")


def _target(leaf: Leaf) -> Place:
    """The path of the item that a Referenced Content Item Identifier names; its first step is the root itself."""
    value = leaf.value
    steps = [int(one) for one in value] if isinstance(value, Iterable) else []
    return tuple((_CONTENT_SEQUENCE, step - 1) for step in steps[1:])


def _follow(root: Dataset, leaf: Leaf) -> Dataset | None:
    level = root
    for _, number in _target(leaf):
        below = level.get("ContentSequence") or []
        if not 0 <= number < len(below):
            return None
        level = below[number]
    return level
