"""How old the patient of an instance is at most, by everything in it that says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from gateway.dicom.encoded import walk
from gateway.dicom.instance import Instance
from gateway.profile.elders import PATIENT_AGE

__all__ = ["is_elder"]

#: Study, Series, Acquisition and Content Date, Acquisition DateTime: when the patient was as old as that.
_EVENTS: Final = frozenset((0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A))
_BIRTH_DATE: Final = 0x00100030
_TELLING: Final = frozenset((PATIENT_AGE, _BIRTH_DATE))
#: As PS3.5 6.2 writes an age, or with fewer digits, in lower case, without its unit.
_AGE: Final = re.compile(rb"(\d+)\s*([DWMY]?)", re.IGNORECASE)
_DATE: Final = re.compile(rb"(\d{4})[-./]?(\d\d)[-./]?(\d\d)")
#: Units of VR AS in a year.
_PER_YEAR: Final = {b"D": 365.25, b"W": 52.18, b"M": 12.0, b"Y": 1.0, b"": 1.0}

_Day = tuple[int, int, int]


def is_elder(instance: Instance, limit: int) -> bool:
    """Whether anybody whom the instance tells of may be ``limit`` years old.

    An age of any spelling counts, and a date of birth with the latest date of the examination. Where there is none
    that is possible, today stands for it: nobody was older then.
    """
    births: list[_Day] = []
    events: list[_Day] = []
    for path, (tag, _vr, _start, value, end, items) in walk(instance.elements):
        if items is not None or not (tag in _TELLING or (not path and tag in _EVENTS)):
            continue
        raw = bytes(instance.buffer[value:end])
        if tag == PATIENT_AGE:
            if any(age >= limit for age in _ages(raw)):
                return True
        else:
            (births if tag == _BIRTH_DATE else events).extend(_days(raw))
    return any(_years(born, events) >= limit for born in births)


def _ages(raw: bytes) -> Iterator[float]:
    for number, unit in _AGE.findall(raw):
        yield int(number[:9]) / _PER_YEAR[unit.upper()]


def _days(raw: bytes) -> Iterator[_Day]:
    for year, month, day in _DATE.findall(raw):
        yield int(year), int(month), int(day)


def _years(born: _Day, events: list[_Day]) -> int:
    today = datetime.now(UTC).date()
    last = max((event for event in events if event >= born), default=(today.year, today.month, today.day))
    return last[0] - born[0] - (last[1:] < born[1:])
