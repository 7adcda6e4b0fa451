"""What a rule names: an element, a repeating group, or one of the defaults."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from gateway.dicom.dictionary import keywords, repeating_of, tag_of
from gateway.dicom.tag import is_group_length, is_private
from gateway.yamlfile import suggestion


class Default(StrEnum):
    """Elements that have no name of their own."""

    PRIVATE = "private"
    UNKNOWN = "unknown"
    UNLISTED = "unlisted"


class Mask(NamedTuple):
    """Every tag with ``tag & mask == value``."""

    mask: int
    value: int

    def covers(self, other: Mask) -> bool:
        """Whether every tag of ``other`` is one of this mask's."""
        return self.mask & other.mask == self.mask and other.value & self.mask == self.value


#: A tag, a mask or a default.
Target: TypeAlias = int | Mask | Default

_TAG = re.compile(r"\(([0-9A-Fa-fxX]{4}),([0-9A-Fa-fxX]{4})\)")
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
#: The last bit of the group: a pattern with a free last digit means even groups, odd ones are private.
_ODD_GROUP: Final = 0x00010000


def parse_target(name: str) -> Target:
    """The elements that ``name`` stands for.

    Parameters
    ----------
    name: a keyword (``PatientName``), a tag (``(0010,0010)``), a pattern (``(60xx,3000)``) or a default (``private``)

    Raises
    ------
    ValueError: it is none of these, or a form that rules do not have; the text says what is wrong
    """
    if name in tuple(Default):
        return Default(name)
    if _KEYWORD.fullmatch(name):
        found = tag_of(name)
        if found is not None:
            return _checked(found)
        repeating = repeating_of(name)
        if repeating is not None:
            return Mask(repeating[0] | _ODD_GROUP, repeating[1])
        raise ValueError(f'"{name}" is no keyword of the data dictionary{suggestion(name, (*Default, *keywords()))}')
    matched = _TAG.match(name)
    if matched is None:
        raise ValueError(_unreadable(name))
    digits = (matched.group(1) + matched.group(2)).lower()
    odd_group = digits[3] in "13579bdf"
    if odd_group:
        raise ValueError(f'"{name}" is private: rules for single private elements are not supported by this version')
    if matched.end() != len(name):
        raise ValueError(f'"{name}": nothing may follow a tag of an even group')
    if "x" not in digits:
        return _checked(int(digits, 16))
    if "x" in digits[:2]:
        raise ValueError(f'"{name}" covers too much: the first two digits of the group must be given')
    mask = int("".join("0" if digit == "x" else "f" for digit in digits), 16)
    value = int(digits.replace("x", "0"), 16)
    return Mask(mask | _ODD_GROUP, value)


def _checked(tag: int) -> int:
    if is_private(tag):
        raise ValueError("rules for single private elements are not supported by this version")
    if is_group_length(tag):
        raise ValueError("group lengths are always removed (PS3.5 7.2)")
    if tag >> 16 == 0xFFFE:
        raise ValueError("delimiters of items and sequences are no elements")
    return tag


def _unreadable(name: str) -> str:
    if name.startswith("(") or name.endswith(")"):
        return f'"{name}" is no tag: a tag is written "(0010,0010)", in quotes inside a list in brackets'
    if "/" in name or "." in name or "[" in name:
        return f'"{name}": paths into sequences are not supported by this version'
    return f'"{name}" is neither a keyword nor a tag such as "(0010,0010)"'
