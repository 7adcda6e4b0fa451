"""Whether a text value is valid for its VR (PS3.5 table 6.2-1), by rules of its own."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_LENGTHS: Final = {"AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "UI": 64, "ST": 1024, "LT": 10240}
_PATTERNS: Final = {
    "AS": r"\d{3}[DWMY]",
    "CS": r"[A-Z0-9 _]*",
    "DA": r"\d{8}",
    "DS": r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*",
    "DT": r"\d{4}(\d\d(\d\d(\d\d(\d\d(\d\d(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?",
    "IS": r"\s*[+-]?\d+\s*",
    "TM": r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?|60)?)?\s*",
    "UI": r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+",
}
#: VRs of one value each, in which a backslash is a character (PS3.5 6.4).
_SINGLE: Final = frozenset({"ST", "LT", "UT", "UR"})


def is_valid(vr: str, text: str) -> bool:
    """Whether every value of ``text`` is valid; an empty one always is."""
    values = [text] if vr in _SINGLE else text.split("\\")
    return all(_is_valid(vr, value) for value in values if value)


def _is_valid(vr: str, value: str) -> bool:
    if vr == "PN":
        groups = value.split("=")
        return len(groups) <= 3 and all(len(group) <= 64 and group.count("^") <= 4 for group in groups)
    if len(value) > _LENGTHS.get(vr, len(value)):
        return False
    if vr in _PATTERNS and not re.fullmatch(_PATTERNS[vr], value):
        return False
    if vr == "DA" or (vr == "DT" and len(value) >= 8 and value[:8].isdigit()):
        return _is_day(value[:8])
    return True


def _is_day(value: str) -> bool:
    try:
        # Dates before the Gregorian calendar are no dates of modalities: dciodvfy reports them as well.
        return datetime.strptime(value, "%Y%m%d").year >= 1582  # noqa: DTZ007 - a date has no time zone
    except ValueError:
        return False
