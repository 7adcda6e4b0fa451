"""Making values coarser: ages into bins, numbers to multiples, texts to their beginnings."""

from __future__ import annotations

import re
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Final

from gateway.profile import Bins, Prefix, Rounding

__all__ = ["generalise"]

_AGE: Final = re.compile(r"(\d{3})([DWMY])", re.ASCII)
#: Units of VR AS in a year of 365.25 days, as a fraction (PS3.5 6.2).
_PER_YEAR: Final = {"D": (36525, 100), "W": (36525, 700), "M": (12, 1), "Y": (1, 1)}
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d{1,3})?", re.ASCII)
_OLDEST: Final = 999
#: PS3.5 6.2, DS.
_LONGEST_DECIMAL: Final = 16


def generalise(options: Bins | Rounding | Prefix, text: str) -> str | None:
    """One value made coarser.

    Parameters
    ----------
    options
        how
    text
        the value without padding, not empty

    Returns
    -------
    The coarser value, or None if ``text`` is no age or no number.
    """
    match options:
        case Bins():
            return _binned(options, text)
        case Rounding():
            return _rounded(options.step, text)
        case Prefix():
            return text[: options.characters].rstrip()


def _binned(bins: Bins, text: str) -> str | None:
    """The first year of the age's bin; from the top on, the top (45 CFR 164.514(b)(2)(i)(C): over 89 is one group)."""
    age = _AGE.fullmatch(text)
    if age is None:
        return None
    numerator, denominator = _PER_YEAR[age[2]]
    years = int(age[1]) * denominator // numerator
    if bins.top is not None and years >= bins.top:
        years = bins.top
    else:
        years -= years % bins.years
    return f"{min(years, _OLDEST):03d}Y"


def _rounded(step: Decimal, text: str) -> str | None:
    """The nearest multiple of ``step``, halves up, with the decimals that ``step`` has."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        multiple = (Decimal(text) / step + Decimal("0.5")).to_integral_value(rounding=ROUND_FLOOR) * step
        plain = format(multiple.normalize() + 0, "f")
    except (InvalidOperation, OverflowError):
        return None
    if len(plain) > _LONGEST_DECIMAL:
        plain = f"{multiple:.8E}"
    return plain if len(plain) <= _LONGEST_DECIMAL else None
