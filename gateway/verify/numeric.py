"""Numbers of private elements that stay: read again, by other code than let them stay (promises P11 and P13)."""

from __future__ import annotations

import re
from array import array
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from gateway.dicom.encoded import Buffer, Element
from gateway.dicom.tag import is_private, is_private_creator, show
from gateway.errors import LeakSuspected
from gateway.profile import Numeric, PrivateRule, Program

__all__ = ["Numbers", "digits_of", "whole_numbers"]

#: VR -> how ``array`` calls one binary number.
_CODES: Final = {
    b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d",
}  # fmt: skip
#: How an item of a sequence begins (PS3.5 7.5).
_ITEM: Final = b"\xfe\xff\x00\xe0"
#: Of what VR the bytes of a value without one may be.
_ANY: Final = (b"UL", b"FL", b"FD")
#: A whole number of a DS that is written with a point, with an exponent or both: 4471823.00, 4.471823E6.
_WHOLE: Final = re.compile(rb"(?<![0-9.])0*([0-9]{7,})\.0*(?![0-9eE])")
_EXPONENT: Final = re.compile(rb"(?<![0-9.])[0-9]{1,16}(?:\.[0-9]{0,16})?[eE][-+]?[0-9]{1,2}(?![0-9])")
#: A smaller number is no identifier that is looked for: seven digits.
_LEAST: Final = 1_000_000
#: A larger one has more digits than any identifier that is looked for.
_MOST: Final = 10**20


def digits_of(vr: bytes, raw: bytes) -> bytes:
    """The whole numbers of at least seven digits among binary ones, as IS writes them.

    Parameters
    ----------
    vr
        the VR of the value; of ``UN`` it is read as whatever it may be
    raw
        the value
    """
    digits: list[bytes] = []
    for one in _ANY if vr == b"UN" else (vr,):
        numbers = _binary(one, raw) or ()
        digits.extend(b"%d" % int(number) for number in numbers if _LEAST <= abs(number) < _MOST and not number % 1)
    return b"\\".join(digits)


def whole_numbers(raw: bytes) -> set[str]:
    """The whole numbers of at least seven digits in a DS that are written otherwise than as their digits."""
    found = {one.decode("ascii") for one in _WHOLE.findall(raw)}
    if b"e" in raw or b"E" in raw:
        numbers = (Decimal(one.decode("ascii")) for one in _EXPONENT.findall(raw))
        found.update(str(int(one)) for one in numbers if _LEAST <= one < _MOST and not one % 1)
    return found


def _binary(vr: bytes, raw: bytes) -> list[int] | list[float] | None:
    """The numbers of a binary value, None if it has no whole number of them."""
    code = _CODES.get(vr)
    if code is None:
        return None
    numbers = array(code)
    if len(raw) % numbers.itemsize:
        return None
    numbers.frombytes(raw)
    return numbers.tolist()


class Numbers:
    """What the rules with ``only: numeric`` of a program demand.

    Parameters
    ----------
    program
        its conditions decided
    """

    def __init__(self, program: Program) -> None:
        rules = program.private_elements
        self._rules = rules if any(isinstance(rule.action.options, Numeric) for rule in rules) else ()
        self._of = lru_cache(maxsize=4096)(lambda tag, creator: _demand(self._rules, tag, creator))

    def check(self, buffer: Buffer, elements: list[Element], where: str) -> None:
        """Check the private elements of one data set or item of an output.

        Parameters
        ----------
        buffer, elements
            the data set or item
        where
            its place, for the message

        Raises
        ------
        LeakSuspected
            one is not what the profile lets stay
        """
        if not self._rules:
            return
        creators: dict[int, str] = {}
        for tag, vr, _start, value, end, items in elements:
            if not is_private(tag):
                continue
            if is_private_creator(tag):
                name = bytes(buffer[value:end]).decode("latin-1").strip("\0 ").upper() if items is None else ""
                creators[tag & 0xFFFF0000 | (tag & 0xFF) << 8] = name
                continue
            creator = creators.get(tag & 0xFFFFFF00, "")
            demand = self._of(tag & 0xFFFF00FF, creator) if creator else None
            if demand is None or value == end:
                continue
            if demand.vrs == ("SQ",):
                # What is in its items is checked there, and there is nothing else; VR UN does not tell of them.
                met = items is not None or (vr == b"UN" and buffer[value : value + 4] == _ITEM)
            else:
                met = items is None and _is_met(demand, vr, bytes(buffer[value:end]))
            if not met:
                raise LeakSuspected(where=f"{where}{show(tag)}", reason="it is not made of the numbers that may stay")


def _demand(rules: tuple[PrivateRule, ...], tag: int, creator: str) -> Numeric | None:
    """What the strongest rule for an element demands."""
    for rule in rules:
        if rule.matches(tag, creator):
            return rule.action.options if isinstance(rule.action.options, Numeric) else None
    return None


def _is_met(demand: Numeric, vr: bytes, raw: bytes) -> bool:
    shown = demand.vrs[0] if vr == b"UN" else vr.decode("latin-1")
    if shown not in demand.vrs:
        return False
    if demand.form:
        text = raw.strip(b"\0 ").decode("latin-1")
        return text.isascii() and re.fullmatch(demand.form, text) is not None
    numbers: list[int] | list[float] | list[Decimal] | None
    if shown.encode("ascii") in _CODES:
        numbers = _binary(shown.encode("ascii"), raw)
    else:
        try:
            numbers = [Decimal(one.strip()) for one in raw.strip(b"\0 ").decode("latin-1").split("\\")]
        except InvalidOperation:
            return False
        if not all(one.is_finite() for one in numbers):
            return False
    fewest, _, most = demand.vm.partition("-")
    most = most or fewest
    if numbers is None or len(numbers) < int(fewest) or (most != "n" and len(numbers) > int(most)):
        return False
    return demand.low is None or demand.high is None or all(demand.low <= one <= demand.high for one in numbers)
