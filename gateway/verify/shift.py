"""Whether the dates of an output are its original's, moved by one number of days (PS3.15 E.3.6).

The verifier does not know the patient's shift. It looks for a number of days, within the range of the profile and not
0, that makes an original date of the same attribute of every date in the output. Without one the dates were not
shifted, or not alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from gateway.errors import LeakSuspected
from gateway.profile import Shift
from gateway.verify import harmless_words

__all__ = ["check_shift", "dates_of"]

#: A date, its separators those of PS3.5 6.2, ACR-NEMA 2.0 or ISO 8601; at the beginning of a value or of a range's end.
_DATE: Final = re.compile(rb"(?<![0-9])([0-9]{4})([-./]?)([0-9]{2})\2([0-9]{2})")
#: The clock behind a date of VR DT holds no date.
_CLOCK: Final = re.compile(rb"(?<=[0-9]{8})[0-9]{2,6}(?:\.[0-9]+)?")


def dates_of(raw: bytes) -> Iterator[date]:
    """The possible dates that an encoded DA, DT or text begins with, value by value, both ends of ranges."""
    for match in _DATE.finditer(_CLOCK.sub(b" ", raw)):
        try:
            yield date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:
            continue


def check_shift(
    shift: Shift, outputs: Iterable[tuple[str, int, bytes]], originals: dict[int, set[bytes]]
) -> frozenset[str]:
    """Check the shifted dates of an output.

    Parameters
    ----------
    shift
        the range of the profile
    outputs
        (place, tag, encoded value) of every shifted element of the output
    originals
        tag -> encoded values that the original has at any depth

    Returns
    -------
    The dates of the output, eight digits each: equal dates of the original are no leak.

    Raises
    ------
    LeakSuspected
        no shift explains the dates
    """
    before = {tag: {day.toordinal() for raw in raws for day in dates_of(raw)} for tag, raws in originals.items()}
    candidates: set[int] | None = None
    dates: set[str] = set()
    for where, tag, raw in outputs:
        for day in dates_of(raw):
            digits = f"{day.year:04d}{day.month:02d}{day.day:02d}"
            dates.add(digits)
            if harmless_words.is_placeholder_date(digits):
                continue
            number, days = day.toordinal(), before.get(tag, set())
            if candidates is None:
                candidates = {number - one for one in days if _is_in(shift, number - one)}
            else:
                candidates = {one for one in candidates if number - one in days}
            if not candidates:
                raise LeakSuspected(where=where, reason="its dates are not the original ones moved by the shift")
    return frozenset(dates)


def _is_in(shift: Shift, days: int) -> bool:
    return days != 0 and shift.first <= days <= shift.last
