"""Whether dates were shifted as a whole: by the same whole days for one patient, never by none (PS3.15 E.3.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, TypeAlias

from tests.scorer.reading import Leaf
from tests.scorer.violation import Kind, Violation

#: Original and output of one element.
Pair: TypeAlias = tuple[Leaf, Leaf]

_DATE: Final = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)(.*)", re.ASCII)
_PARTIAL: Final = re.compile(r"(\d{4})(\d\d)?([+-]\d{4})?", re.ASCII)


@dataclass(slots=True)
class Shifts:
    """The shift of every patient met so far, in days."""

    days: dict[str, int] = field(default_factory=dict)

    def judge(self, patient: str, pairs: Iterable[Pair], neutral: frozenset[str]) -> Iterator[Violation]:
        """What is wrong with the dates of one instance of ``patient``; ``neutral`` dates may also stay."""
        partial: list[tuple[Leaf, str, str]] = []
        for before, after in pairs:
            olds, news = _values(before), _values(after)
            if len(olds) != len(news):
                if news:
                    yield Violation(Kind.NOT_SHIFTED, after.place, f"{len(olds)} values became {len(news)}")
                elif any(is_date(one) and one not in neutral for one in olds):
                    yield Violation(Kind.NOT_KEPT, after.place, "a date became empty")
                continue
            for old, new in zip(olds, news, strict=True):
                if old in neutral:
                    continue
                if is_date(old):
                    yield from self._whole(patient, after, old, new)
                elif _PARTIAL.fullmatch(old):
                    partial.append((after, old, new))
                elif old and old == new:
                    yield Violation(Kind.NOT_REPLACED, after.place, "what is no date stays")
        for after, old, new in partial:
            if patient in self.days and new != shifted_partial(old, self.days[patient]):
                yield Violation(Kind.NOT_SHIFTED, after.place, "a date without day")

    def _whole(self, patient: str, after: Leaf, old: str, new: str) -> Iterator[Violation]:
        if not new:
            yield Violation(Kind.NOT_KEPT, after.place, "a date became empty")
        elif not is_date(new):
            yield Violation(Kind.NOT_SHIFTED, after.place, "it is no date")
        else:
            (was, rest), (became, new_rest) = day(old), day(new)
            days = (became - was).days
            if not days:
                yield Violation(Kind.NOT_SHIFTED, after.place, "it is the original")
            elif rest != new_rest:
                yield Violation(Kind.NOT_SHIFTED, after.place, "the time of the day is another")
            elif self.days.setdefault(patient, days) != days:
                yield Violation(Kind.NOT_SHIFTED, after.place, "by other days than the patient's other dates")


def _values(leaf: Leaf) -> list[str]:
    return [one.strip(" \0") for one in leaf.text.split("\\")] if leaf.text else []


def is_date(text: str) -> bool:
    """Whether a value of VR DA or DT names a day."""
    found = _DATE.fullmatch(text)
    try:
        return found is not None and bool(date(*(int(part) for part in found.groups()[:3])))
    except ValueError:
        return False


def day(text: str) -> tuple[date, str]:
    """The day that a value names, and the rest of the value."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("no date")
    year, month, number, rest = found.groups()
    return date(int(year), int(month), int(number)), rest


def shifted_partial(text: str, days: int) -> str:
    """A year, or year and month, of VR DT shifted: the first day of it is, and the precision stays."""
    found = _PARTIAL.fullmatch(text)
    if found is None:
        raise ValueError("no date")
    year, month, zone = found.groups()
    first = date(int(year), int(month or 1), 1) + timedelta(days=days)
    return f"{first.year:04}{f'{first.month:02}' if month else ''}{zone or ''}"
