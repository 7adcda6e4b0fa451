"""Moving and coarsening dates (PS3.15 E.3.6, Retain Longitudinal Temporal Information With Modified Dates).

All dates of a patient move by the same whole number of days, so that order and intervals stay exact within an
instance, across studies and on every node. The number is a keyed function of the patient: nobody without the project's
secret can tell it. Times of day and offsets from UTC stay as they are, and so do ages, which no shift changes.

Where the profile says ``times: hour`` or ``times: remove``, ``coarse_value`` cuts the time of day. What is left is
written as PS3.5 6.2 lets a shorter value be: ``14``, not ``140000``, which would say that something happened on the
stroke of the hour, and could not be told from it.

What is lost: a DT that gives only a year or a month is moved by its first day and cut to the same precision, so that
its distance to others is exact to that precision only.

Dates that can be nothing but a placeholder (``PLACEHOLDERS``) stay. They tell of no event, and moved by the shift they
would tell the shift to whoever knows the placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, Literal

from gateway.deid.project_key import ProjectKey
from gateway.profile import Action, Shift, TimeOfDay, Truncation, Verb

__all__ = ["PLACEHOLDERS", "coarse_value", "dated_value", "is_dating", "patient_shift", "shift_value", "truncate_value"]

#: "No date" in common software: the first day of calendars and epochs before there was any DICOM image. The epochs of
#: 1970 and later are dates on which somebody may have been born or examined, and move.
PLACEHOLDERS: Final = frozenset(
    ("00010101", "11111111", "16010101", "17530101", "18000101", "18581117", "18991230", "19000101")
)
#: As PS3.5 6.2 writes it, with the points of ACR-NEMA 2.0, or as some devices do.
_DATE: Final = re.compile(r"(\d{4})([-./]?)(\d{2})\2(\d{2})", re.ASCII)
#: PS3.5 6.2: hours 00-23, minutes 00-59, seconds 00-60, a fraction of up to six digits.
_CLOCK: Final = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
#: Offset from UTC, -1200 to +1400.
_OFFSET: Final = r"[+-](?:0\d|1[0-4])[0-5]\d"
_MOMENT: Final = re.compile(
    rf"(?P<year>\d{{4}})(?:(?P<month>\d{{2}})(?:(?P<day>\d{{2}})(?P<clock>{_CLOCK})?)?)?(?P<offset>{_OFFSET})?",
    re.ASCII,
)
#: Also the colons of ACR-NEMA 2.0, which PS3.5 6.2 lets pass.
_TIME: Final = re.compile(rf"{_CLOCK}|(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{{1,6}})?)?", re.ASCII)
_UTC_OFFSET: Final = re.compile(_OFFSET, re.ASCII)
_AGE: Final = re.compile(r"\d{3}[DWMY]", re.ASCII)
#: VRs whose text may be a date, a date and time, or an offset from UTC without saying so.
_TEXTS: Final = frozenset((b"LO", b"LT", b"SH", b"ST", b"UC", b"UN", b"UT"))


def patient_shift(shift: Shift, key: ProjectKey, patient: tuple[str, ...]) -> int:
    """The days by which all dates of a patient move, one of the choices of ``shift``, never 0.

    Parameters
    ----------
    shift
        the range
    key
        the project's key
    patient
        what tells the patient from all others
    """
    return shift.days(int.from_bytes(key.digest("date-shift", *patient), "big"))


def is_dating(rule: Action) -> bool:
    """Whether ``dated_value`` carries out the rule."""
    return rule.verb in (Verb.SHIFT_DATE, Verb.TRUNCATE_DATE) or isinstance(rule.options, TimeOfDay)


def dated_value(rule: Action, vr: bytes, value: bytes, days: int) -> bytes | None:
    """What a rule makes of the dates and times in an encoded value, without padding.

    Parameters
    ----------
    rule
        shifts or truncates dates, or cuts times of day, or both
    vr, value
        as received
    days
        how far a rule that shifts moves them

    Returns
    -------
    Empty where nothing is left. None where a value is none that the rule can work on.
    """
    options = rule.options
    if rule.verb is Verb.TRUNCATE_DATE:
        return truncate_value(vr, value, options.to if isinstance(options, Truncation) else "year")
    moved = shift_value(vr, value, days) if rule.verb is Verb.SHIFT_DATE else value
    return coarse_value(vr, moved, options.to) if moved is not None and isinstance(options, TimeOfDay) else moved


def shift_value(vr: bytes, value: bytes, days: int) -> bytes | None:
    """The encoded value with its dates moved, without padding.

    Parameters
    ----------
    vr
        the element's VR; DA and DT move, TM and AS stay, text is taken for a DA or a DT if it is one
    value
        all values of the element; padding is ignored
    days
        how far to move, negative into the past

    Returns
    -------
    Dates in the form of PS3.5 6.2, whatever separators the received ones have; empty values stay empty. Ranges move at
    both ends. None where a value is no date, or would leave the years 0001 to 9999.
    """
    match vr:
        case b"DA":
            return _each(value, lambda text: _range(text, lambda one: _shifted_date(one, days)))
        case b"DT":
            return _each(value, lambda text: _moment_range(text, lambda one: _shifted_moment(one, days)))
        case b"TM":
            return _each(value, lambda text: text if _range(text, _time) is not None else None)
        case b"AS":
            return _each(value, lambda text: text if _AGE.fullmatch(text) else None)
        case _ if vr in _TEXTS:
            return _each(value, lambda text: _shifted_text(text, days))
    return None


def truncate_value(vr: bytes, value: bytes, to: Literal["year", "month"]) -> bytes | None:
    """The encoded value with its dates cut to the year or the month, without padding.

    A DA has no shorter form: the first of January, or of the month, stands for the rest; a placeholder stays. A DT
    becomes shorter, and loses its offset from UTC.

    Returns
    -------
    None where a value is no date, or the VR is neither DA nor DT.
    """
    if vr == b"DA":
        return _each(value, lambda text: _range(text, lambda one: _truncated_date(one, to)))
    if vr == b"DT":
        return _each(value, lambda text: _moment_range(text, lambda one: _truncated_moment(one, to)))
    return None


def coarse_value(vr: bytes, value: bytes, to: Literal["hour", "remove"]) -> bytes | None:
    """The encoded value with its times of day cut to the hour, or without them, without padding.

    Parameters
    ----------
    vr
        the element's VR; TM and DT are cut, and so is text that is a date and time and nothing else
    value
        all values of the element; padding is ignored
    to
        what is left of a time of day; of a DT its offset from UTC stays with the hour, and goes with it

    Returns
    -------
    Empty where nothing is left. None where a value of VR TM or DT is none.
    """
    match vr:
        case b"TM":
            cut = _each(value, lambda text: _range(text, _hour))
            return b"" if cut is not None and to == "remove" else cut
        case b"DT":
            return _each(value, lambda text: _moment_range(text, lambda one: _coarse_moment(one, to)))
        case _ if vr in _TEXTS and any(byte in b"0123456789" for byte in value):
            return b"\\".join(_coarse_text(text, to, unknown=vr == b"UN") for text in value.split(b"\\"))
    return value.strip(b"\0 ")


def _each(value: bytes, change: Callable[[str], str | None]) -> bytes | None:
    changed = []
    for part in value.decode("latin-1").split("\\"):
        text = part.strip("\0 ")
        new = change(text) if text else ""
        if new is None:
            return None
        changed.append(new)
    return "\\".join(changed).encode("ascii")


def _range(text: str, change: Callable[[str], str | None]) -> str | None:
    """``a``, ``a-b``, ``a-`` and ``-b`` with every end changed (PS3.4 C.2.2.2.5)."""
    if _DATE.fullmatch(text):
        return change(text)
    ends = [end.strip() for end in text.split("-")]
    if len(ends) > 2 or not any(ends):
        return None
    changed = [change(end) if end else "" for end in ends]
    return None if None in changed else "-".join(end for end in changed if end is not None)


def _moment_range(text: str, change: Callable[[str], str | None]) -> str | None:
    """As ``_range``, for DT, whose offsets hold hyphens too: what can be an offset is one (PS3.5 6.2, DT)."""
    if _MOMENT.fullmatch(text):
        return change(text)
    for place, letter in enumerate(text):
        if letter == "-":
            ends = text[:place], text[place + 1 :]
            if any(ends) and all(not end or _MOMENT.fullmatch(end) for end in ends):
                changed = [change(end) if end else "" for end in ends]
                return None if None in changed else "-".join(end for end in changed if end is not None)
    return None


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _moved(day: date | None, days: int) -> date | None:
    try:
        return None if day is None else day + timedelta(days=days)
    except OverflowError:
        return None


def _written(day: date) -> str:
    # strftime does not pad years before 1000 on every platform.
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def _parts(text: str) -> tuple[str, str, str] | None:
    match = _DATE.fullmatch(text)
    return None if match is None else (match[1], match[3], match[4])


def _shifted_date(text: str, days: int) -> str | None:
    parts = _parts(text)
    if parts is None:
        return None
    if "".join(parts) in PLACEHOLDERS:
        return "".join(parts)
    moved = _moved(_day(*parts), days)
    return None if moved is None else _written(moved)


def _shifted_moment(text: str, days: int) -> str | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day = match["year"], match["month"] or "", match["day"] or ""
    if f"{year}{month}{day}" in PLACEHOLDERS:
        return text
    moved = _moved(_day(year, month or "01", day or "01"), days)
    if moved is None:
        return None
    precision = len(year + month + day)
    return _written(moved)[:precision] + (match["clock"] or "") + (match["offset"] or "")


def _shifted_text(text: str, days: int) -> str | None:
    if _UTC_OFFSET.fullmatch(text):
        return text
    if _DATE.fullmatch(text):
        return _shifted_date(text, days)
    # A number of four or six digits is as likely no date at all.
    return _shifted_moment(text, days) if len(text) > 8 and _MOMENT.fullmatch(text) else None


def _time(text: str) -> str | None:
    return text if _TIME.fullmatch(text) else None


def _hour(text: str) -> str | None:
    return text[:2] if _TIME.fullmatch(text) else None


def _coarse_moment(text: str, to: Literal["hour", "remove"]) -> str | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day = match["year"] + (match["month"] or "") + (match["day"] or "")
    return day if to == "remove" else day + (match["clock"] or "")[:2] + (match["offset"] or "")


def _coarse_text(raw: bytes, to: Literal["hour", "remove"], *, unknown: bool) -> bytes:
    """Text that is a date and time of day to the minute at least; a shorter number may be anything.

    Where nobody knows the VR, six digits that can be a time are taken for one.
    """
    text = raw.decode("latin-1").strip("\0 ")
    match = _MOMENT.fullmatch(text)
    if match is not None and len(match["clock"] or "") > len("HH"):
        return (
            raw
            if _day(match["year"], match["month"], match["day"]) is None
            else ((_coarse_moment(text, to) or "").encode("ascii"))
        )
    if unknown and len(text) >= len("HHMMSS") and _TIME.fullmatch(text):
        return text[:2].encode("ascii") if to == "hour" else b""
    return raw


def _truncated_date(text: str, to: Literal["year", "month"]) -> str | None:
    parts = _parts(text)
    if parts is None or _day(*parts) is None:
        return None
    if "".join(parts) in PLACEHOLDERS:
        return "".join(parts)
    year, month, _ = parts
    return f"{year}0101" if to == "year" else f"{year}{month}01"


def _truncated_moment(text: str, to: Literal["year", "month"]) -> str | None:
    match = _MOMENT.fullmatch(text)
    if match is None or _day(match["year"], match["month"] or "01", match["day"] or "01") is None:
        return None
    return match["year"] if to == "year" else match["year"] + (match["month"] or "")
