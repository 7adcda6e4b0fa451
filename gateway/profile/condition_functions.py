"""The functions that conditions have besides those of CEL.

They are given the values of one instance. What they raise tells nothing of those, since the library logs its text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

__all__ = ["ADDED", "AGE_NEEDS", "functions"]

#: Patient's age, or birth and the day of the examination, the first of these that there is.
_EXAMINED: Final = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate")
#: The names that ``age_years`` asks for.
AGE_NEEDS: Final = frozenset(("PatientAge", "PatientBirthDate", *_EXAMINED))
#: The functions that are added.
ADDED: Final = frozenset(("present", "items", "value", "same", "contains_any", "age_years", "days_between"))
_AGE: Final = re.compile(r"([0-9]{1,3})([DWMY])")
#: Units of VR AS in a year.
_PER_YEAR: Final = {"D": 365.25, "W": 52.1786, "M": 12.0, "Y": 1.0}
_DAY: Final = re.compile(r"([0-9]{4})[-.]?([0-9]{2})[-.]?([0-9]{2})(?![0-9]{5})")


class _NotKnown(Exception):
    """An instance does not say what a function asks for; the text says what, without a value."""


def functions(
    context: Mapping[str, Any], values: Mapping[str, object], missing: list[str]
) -> dict[str, Callable[..., Any]]:
    """The added functions for one instance.

    Parameters
    ----------
    context
        the names that the condition uses, with their values
    values
        all values that were gathered
    missing
        gets what an instance does not say that a function has asked for, in words without a value
    """

    def present(name: str) -> bool:
        if name.startswith("("):
            return bool(values.get(f"?{name}"))
        if name not in context:
            # A computed name is an error, never "absent"; the library logs the text of what is raised here.
            raise LookupError("the argument of present is not written in the condition")
        return context[name] not in ("", [])

    def items(sequence: str, attribute: str) -> object:
        gathered = values.get(f"{sequence}/{attribute}")
        if gathered is None:
            # Values that nobody has gathered are an error, never "none"; the library logs the text raised here.
            raise LookupError("the arguments of items are not written in the condition")
        return gathered

    def value(name: str) -> object:
        if name not in values:
            raise LookupError("the argument of value is not written in the condition")
        return values[name]

    def noted(function: Callable[..., int]) -> Callable[..., int]:
        def asked(*arguments: object) -> int:
            try:
                return function(*arguments)
            except _NotKnown as failed:
                missing.append(str(failed))
                raise

        return asked

    return {
        "present": present,
        "items": items,
        "value": value,
        "same": _same,
        "contains_any": _contains_any,
        "age_years": noted(lambda: _age_years(context)),
        "days_between": noted(_days_between),
    }


def _plain(text: str) -> str:
    """A text without accents, in small letters, with single blanks."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(one for one in parts if not unicodedata.combining(one)).split())


def _texts(value: object) -> list[str]:
    return [_plain(str(one)) for one in (value if isinstance(value, list | tuple) else [value])]


def _same(value: object, other: object) -> bool:
    """Whether one of the values is that text, whatever its case, accents and blanks."""
    return not set(_texts(value)).isdisjoint(_texts(other))


def _contains_any(value: object, words: object) -> bool:
    """Whether one of the words stands in one of the values, whatever its case and accents."""
    return any(word in text for text in _texts(value) for word in _texts(words) if word)


def _age_years(context: Mapping[str, Any]) -> int:
    """The patient's age in whole years: as the instance says it, or from the birth to the examination."""
    stated = _AGE.fullmatch(str(context.get("PatientAge", "")).upper().strip())
    if stated is not None:
        return int(int(stated[1]) / _PER_YEAR[stated[2]])
    born = _day(context.get("PatientBirthDate"))
    days = (day for name in _EXAMINED if (day := _day(context.get(name))) is not None)
    examined = next(days, None)
    if born is None or examined is None or examined < born:
        raise _NotKnown("the age of the patient is not known")
    return examined.year - born.year - ((examined.month, examined.day) < (born.month, born.day))


def _days_between(first: object, last: object) -> int:
    """The days from the first date to the last, fewer than none if the last is earlier."""
    begin, end = _day(first), _day(last)
    if begin is None or end is None:
        raise _NotKnown("one of the two dates is not known")
    return (end - begin).days


def _day(value: object) -> date | None:
    match = _DAY.match(str(value or "").strip())
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
