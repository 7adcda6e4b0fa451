"""Dates in text, however people write them.

| written | read as |
|---|---|
| `19310427`, `19310427103000`, `27 de abril de 1931`, `April 27th, 1931`, `27abr31`, `12 II 1958` | plain: a date |
| `27.4.31`, `27/04/1931`, `1931 4 27`, `27 04 31` | loose: three numbers that may be something else |
| `27041931`, `310427`, `270431` | as a date of birth only |

Two digits of a year are read in both centuries, and day and month in both orders: what is looked for is one known date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from gateway.verify.text_normalisation import squash

__all__ = ["NO_DATES", "Dates", "date_digits", "dates_in"]


class Dates(NamedTuple):
    """The dates of a text, eight digits each, by how sure it is that they are dates: see the module."""

    plain: frozenset[str] = frozenset()
    loose: frozenset[str] = frozenset()
    birth: frozenset[str] = frozenset()

    def __or__(self, other: Dates) -> Dates:
        """The dates of both."""
        return Dates(self.plain | other.plain, self.loose | other.loose, self.birth | other.birth)


NO_DATES: Final = Dates()

#: Numbers, which is where every date begins that does not begin with its month.
_NUMBER: Final = re.compile(r"[0-9]+")
#: In squashed text, where every separator is a space.
_YEAR_FIRST: Final = re.compile(r"([0-9]{4}) ([0-9]{1,2}) ([0-9]{1,2})(?![0-9])")
_YEAR_LAST: Final = re.compile(r"([0-9]{1,2}) (?:de )?([0-9]{1,2}) (?:del? )?([0-9]{4})(?![0-9])")
#: In text as written: equal separators; blanks only between pairs of digits. What stands beside is looked at later.
_SHORT: Final = re.compile(r"[0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{2}(?![./-]?[0-9])")
_PAIRS: Final = re.compile(r"[0-9]{2}([ _])[0-9]{2}\1[0-9]{2}(?![ _]?[0-9])")
_FIRST_CENTURY: Final = 1800
#: Digits of a year, and of a whole date.
_SHORT_YEAR, _WRITTEN_YEAR, _WHOLE = 2, 4, 8


def date_digits(text: str) -> str:
    """The eight digits of the date that ``text`` begins with, the separators of ACR-NEMA and ISO 8601 left out; empty
    if there is no whole and possible date.
    """
    digits = re.sub(r"[-./]", "", text[:10])[:8]
    if len(digits) == 8 and digits.isdecimal() and "01" <= digits[4:6] <= "12" and "01" <= digits[6:] <= "31":
        return digits
    return ""


def dates_in(text: str, squashed: str | None = None) -> Dates:
    """The dates that ``text`` can be read to hold.

    Parameters
    ----------
    text
        as written
    squashed
        the same, squashed, if it is at hand
    """
    if squashed is None:
        squashed = squash(text)
    plain: set[str] = set()
    loose: set[str] = set()
    birth: set[str] = set()
    months = _months()
    for number in _NUMBER.finditer(squashed):
        start, end = number.span()
        match end - start:
            case 1 | 2:
                if match := _YEAR_LAST.match(squashed, start):
                    loose.update(_either(*match.groups()))
                elif (match := _BEHIND_DAY.match(squashed, start)) and match[2] in months:
                    plain.update(_dates(match[3], str(months[match[2]]), match[1], roman=match[2] in _ROMAN))
            case 4:
                if match := _YEAR_FIRST.match(squashed, start):
                    loose.update(_dates(*match.groups()))
                elif (match := _BEHIND_YEAR.match(squashed, start)) and match[2] in months:
                    plain.update(_dates(match[1], str(months[match[2]]), match[3]))
            case 6:
                birth.update(_any_order(number[0]))
            case 8 | 12 | 14:
                # Behind the date a clock may stand.
                plain.update(_dates(number[0][:4], number[0][4:6], number[0][6:8]))
                if end - start == _WHOLE:
                    birth.update(_any_order(number[0]))
    if not months.keys().isdisjoint(squashed.split()):
        plain.update(_month_first(squashed))
    loose.update(_short(text))
    return Dates(frozenset(plain), frozenset(loose), frozenset(birth))


def _month_first(squashed: str) -> Iterator[str]:
    """Dates that begin with the name of a month."""
    months = _months()
    for month, day, year in _BEHIND_MONTH.findall(squashed):
        if month in months and month not in _ROMAN:
            yield from _dates(year, str(months[month]), day)


def _short(text: str) -> Iterator[str]:
    """Dates with a year of two digits, with their separators."""
    for pattern in (_SHORT, _PAIRS):
        for match in pattern.finditer(text):
            # A longer row of numbers, or a longer number.
            before = text[max(0, match.start() - 2) : match.start()]
            if before[-1:].isdecimal() or (before[-1:] == match[1] and before[:1].isdecimal()):
                continue
            one, two, three = match[0].split(match[1])
            yield from _dates(one, two, three)
            yield from _either(one, two, three)


_ROMAN: Final = {
    name: number
    for number, name in enumerate(("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"), 1)
}
#: Possessive, as the words of months are: otherwise each number would try every beginning of the word behind it.
_OF: Final = r" ?+(?:(?:de|del|d|of|di|do|den|van|the) )?+"
_BEHIND_DAY: Final = re.compile(
    rf"([0-9]{{1,2}})(?: ?(?:st|nd|rd|th|er|ro|o|e)(?= ))?+{_OF}([a-z]++){_OF}([0-9]{{4}}|[0-9]{{2}})(?![0-9])"
)
_BEHIND_YEAR: Final = re.compile(r"([0-9]{4}) ?+([a-z]++) ?+([0-9]{1,2})(?![0-9])")
_BEHIND_MONTH: Final = re.compile(r"([a-z]++) ([0-9]{1,2})(?:st|nd|rd|th)? ([0-9]{4}|[0-9]{2})(?![0-9])")


@cache
def _months() -> dict[str, int]:
    """The names of months, squashed, with their numbers."""
    text = (files("gateway.verify") / "data" / "months.txt").read_text(encoding="utf-8")
    months = dict(_ROMAN)
    for line in text.splitlines():
        number, _, names = line.partition(" ")
        if number.isdecimal():
            months.update((squash(name), int(number)) for name in names.split())
    return months


def _any_order(digits: str) -> Iterator[str]:
    """The dates that six or eight digits may be, as people write those of birth."""
    if len(digits) < _WHOLE:
        yield from _dates(digits[:2], digits[2:4], digits[4:])
    yield from _either(digits[:2], digits[2:4], digits[4:])


def _either(one: str, two: str, year: str) -> Iterator[str]:
    """Day and month in both orders."""
    yield from _dates(year, two, one)
    yield from _dates(year, one, two)


def _dates(year: str, month: str, day: str, *, roman: bool = False) -> Iterator[str]:
    """The date, in both centuries if the year has two digits; nothing if it is impossible."""
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return
    if len(year) == _WRITTEN_YEAR:
        if int(year) >= _FIRST_CENTURY:
            yield f"{year}{int(month):02d}{int(day):02d}"
    elif len(year) == _SHORT_YEAR and not roman:
        for century in ("19", "20"):
            yield f"{century}{year}{int(month):02d}{int(day):02d}"
