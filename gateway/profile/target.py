"""What a rule names: elements of the standard, private ones, places inside sequences, or one of the defaults."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from pydicom._dicom_dict import RepeatersDictionary

from gateway.dicom.dictionary import VR_OF, entry, keywords, repeating_of, tag_of
from gateway.dicom.tag import is_group_length, is_private, show
from gateway.profile.program import Step
from gateway.sections.hints import CURLY
from gateway.sections.yamlfile import suggestion


class Default(StrEnum):
    """Elements that have no name of their own."""

    PRIVATE = "private"
    UNKNOWN = "unknown"
    UNLISTED = "unlisted"
    SAFE_PRIVATE = "safe-private"


class Mask(NamedTuple):
    """Every tag with ``tag & mask == value``."""

    mask: int
    value: int

    def covers(self, other: Mask) -> bool:
        """Whether every tag of ``other`` is one of this mask's."""
        return self.mask & other.mask == self.mask and other.value & self.mask == self.value

    def matches(self, tag: int) -> bool:
        """Whether ``tag`` is one of the mask's."""
        return tag & self.mask == self.value


class ByVr(NamedTuple):
    """Every element of the standard with this VR, in two capital letters."""

    vr: str

    def tags(self) -> frozenset[int]:
        """The elements outside repeating groups."""
        code = self.vr.encode("ascii")
        return frozenset(tag for tag, vr in VR_OF.items() if vr == code and tag >> 16 not in FOREIGN_GROUPS)

    def masks(self) -> tuple[Mask, ...]:
        """The elements of repeating groups."""
        repeating = (repeating_of(row[4]) for row in RepeatersDictionary.values() if row[0] == self.vr)
        return tuple(Mask(one[0] | _ODD_GROUP, one[1]) for one in repeating if one is not None)


class At(NamedTuple):
    """An element at certain places: ``path`` as in ``gateway.profile.program.PathRule``."""

    path: tuple[Step, ...]
    tag: int


class PrivateElement(NamedTuple):
    """A private element by its creator, trimmed and in capital letters; ``offset`` None is all of its block."""

    group: int
    offset: int | None
    creator: str


Target: TypeAlias = int | Mask | Default | ByVr | At | PrivateElement

#: Command, file meta and directory elements: no part of a data set.
FOREIGN_GROUPS: Final = frozenset((0x0000, 0x0002, 0x0004))

_TAG = re.compile(r"\(([0-9A-Fa-fxX]{4}),([0-9A-Fa-fxX]{4})\)")
_PRIVATE = re.compile(r"\(([0-9A-Fa-f]{3}[13579BDFbdf]),([0-9A-Fa-fxX]{4})\)(.*)", re.DOTALL)
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_BY_VR = re.compile(r"VR:(.*)", re.DOTALL)
#: The last bit of the group: a pattern with a free last digit means even groups, odd ones are private.
_ODD_GROUP: Final = 0x00010000
_ALL_PRIVATE: Final = "(odd,xxxx)"
#: PS3.5 6.2: a value of VR LO.
_LONGEST_CREATOR: Final = 64


def parse_target(name: str) -> Target:
    """The elements that ``name`` stands for.

    Parameters
    ----------
    name
        a keyword (``PatientName``), a tag (``(0010,0010)``), a pattern (``(60xx,3000)``), a VR (``VR:PN``), a private
        element with its creator (``(0019,xx10) SIEMENS MR HEADER``), a path (``RequestAttributesSequence/StudyDate``,
        ``*/StudyDate``, ``**/StudyDate``, ``/StudyDate``) or a default (``private``)

    Raises
    ------
    ValueError
        it is none of these, or a form that rules do not have; the text says what is wrong
    """
    if name in tuple(Default):
        return Default(name)
    if name.lower() == _ALL_PRIVATE:
        return Default.PRIVATE
    private = _PRIVATE.fullmatch(name)
    if private is not None:
        return _private_element(name, *private.groups())
    by_vr = _BY_VR.fullmatch(name)
    if by_vr is not None:
        return _by_vr(name, by_vr.group(1))
    return _path(name) if "/" in name else _element(name)


def _element(name: str) -> int | Mask:
    if _KEYWORD.fullmatch(name):
        tag = tag_of(name)
        if tag is not None:
            return _checked(tag)
        repeating = repeating_of(name)
        if repeating is not None:
            return Mask(repeating[0] | _ODD_GROUP, repeating[1])
        raise ValueError(f'"{name}" is no keyword of the data dictionary{suggestion(name, (*Default, *keywords()))}')
    matched = _TAG.match(name)
    if matched is None:
        raise ValueError(_unreadable(name))
    digits = (matched.group(1) + matched.group(2)).lower()
    if matched.end() != len(name):
        raise ValueError(f'"{name}": nothing may follow a tag of an even group')
    if "x" not in digits:
        return _checked(int(digits, 16))
    if "x" in digits[:2]:
        raise ValueError(f'"{name}" covers too much: the first two digits of the group must be given')
    mask = int("".join("0" if digit == "x" else "f" for digit in digits), 16)
    value = int(digits.replace("x", "0"), 16)
    return Mask(mask | _ODD_GROUP, value)


def _private_element(name: str, group: str, element: str, rest: str) -> PrivateElement:
    creator = rest.strip()
    digits = element.lower()
    if not creator:
        raise ValueError(f'"{name}": a private element is named with its creator, such as "(0019,xx10) ACME 1.1"')
    if not rest.startswith(" "):
        raise ValueError(f'"{name}": a blank stands between the tag and the creator')
    if len(creator) > _LONGEST_CREATOR or "\\" in creator or not creator.isprintable():
        raise ValueError(f'"{name}": a creator has at most {_LONGEST_CREATOR} characters, and no backslash')
    if int(group, 16) < 0x0009 or group.upper() == "FFFF":
        raise ValueError(f'"{name}": the standard has no private elements in this group (PS3.5 7.8.1)')
    if digits == "xxxx":
        return PrivateElement(int(group, 16), None, creator.upper())
    if not digits.startswith("xx"):
        proper = f"({group},xx{element[2:]}) {creator}"
        raise ValueError(f'"{name}": the block varies from file to file, write "{proper}"')
    if "x" in digits[2:]:
        raise ValueError(f'"{name}": write the last two digits, or (gggg,xxxx) for all elements of the creator')
    return PrivateElement(int(group, 16), int(element[-2:], 16), creator.upper())


def _by_vr(name: str, vr: str) -> ByVr:
    known = sorted({row.decode("ascii") for row in VR_OF.values()} - {"UN"})
    if vr not in known:
        raise ValueError(f'"{name}": there is no VR "{vr}"{suggestion(vr, known)}')
    return ByVr(vr)


def _path(name: str) -> At:
    *steps, last = name.split("/")
    if last.lower() == _ALL_PRIVATE or last in tuple(Default) or last.startswith("VR:") or _PRIVATE.fullmatch(last):
        raise ValueError(f'"{name}": a path ends in one element of the standard')
    if last in ("", "*", "**"):
        raise ValueError(f'"{name}": a path ends in an element')
    tag = _single(last, f'"{name}": a path ends in one element, not in a pattern')
    if steps == [""]:
        return At((), tag)
    return At(tuple(_step(name, step) for step in steps), tag)


def _step(name: str, step: str) -> Step:
    if step == "*":
        return "*"
    if step == "**":
        return "**"
    if not step:
        raise ValueError(f'"{name}": a step of the path is empty')
    tag = _single(step, f'"{name}": "{step}" is a pattern; the steps of a path are sequences, * and **')
    row = entry(tag)
    if row is None or row.vr != "SQ":
        known = f"has VR {row.vr}" if row is not None else "is not known"
        raise ValueError(f'"{name}": {step} {known} and is no sequence')
    return tag


def _single(name: str, problem: str) -> int:
    element = _element(name)
    if isinstance(element, int):
        return element
    raise ValueError(problem)


def _checked(tag: int) -> int:
    if is_private(tag):
        raise ValueError(f'{show(tag)} is private: name it with its creator, such as "(0019,xx10) ACME 1.1"')
    if is_group_length(tag):
        raise ValueError("group lengths are always removed (PS3.5 7.2)")
    if tag >> 16 == 0xFFFE:
        raise ValueError("delimiters of items and sequences are no elements")
    return tag


def _unreadable(name: str) -> str:
    if any(sign in name for sign in CURLY):
        return f'"{name}": quotes are straight, " or \', and a keyword needs none'
    joined = "".join(name.split())
    if joined != name and tag_of(joined) is not None:
        return f'"{name}" is no keyword of the data dictionary; did you mean "{joined}"?'
    if name.startswith("(") or name.endswith(")"):
        return f'"{name}" is no tag: a tag is written "(0010,0010)", in quotes inside a list in brackets'
    if "." in name or "[" in name:
        return f'"{name}" is no path: a path is written with slashes, such as "DeviceSequence/Manufacturer"'
    return f'"{name}" is neither a keyword nor a tag such as "(0010,0010)"'
