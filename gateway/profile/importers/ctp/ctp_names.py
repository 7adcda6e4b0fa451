"""How CTP's scripts name elements.

By DICOM keyword or by the name of the dcm4che 1 dictionary, which writes ``Seq`` for Sequence and ``Ref`` for
Referenced; by hexadecimal tag with or without comma, brackets or parentheses; private ones as ``0019[CREATOR]10``;
elements of the first item of a sequence as ``Sequence::Element``; the element of the script itself as ``this``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from gateway.dicom.dictionary import keyword_of, keywords, tag_of
from gateway.dicom.tag import is_private, show
from gateway.sections.yamlfile import suggestion

_HEX: Final = re.compile(r"[0-9a-fA-F]{1,8}")
_HEX_PAIR: Final = re.compile(r"([0-9a-fA-F]{1,4}),\s*([0-9a-fA-F]{1,4})")
_PRIVATE: Final = re.compile(r"([0-9a-fA-F]{1,4})\s*,?\s*(00)?\[(.*)\]([0-9a-fA-F]{2})?", re.DOTALL)
#: Words that dcm4che 1 shortens, and names that it writes in the singular.
_SHORTER: Final = (
    ("Sequence", "Seq"), ("Referenced", "Ref"), ("PerformedProcedureStep", "PPS"), ("ScheduledProcedureStep", "SPS"),
    ("Operators", "Operator"), ("Physicians", "Physician"), ("Descriptor", "Desc"),
)  # fmt: skip


class UnknownElement(ValueError):
    """A name of no element; the text says so and suggests the nearest."""


@dataclass(frozen=True, slots=True)
class PrivateName:
    """A private element by its creator (PS3.5 7.8.1).

    Attributes
    ----------
    group
        odd
    creator
        as written
    offset
        the last byte of the element number; None for the private creator element itself
    """

    group: int
    creator: str
    offset: int | None

    def __str__(self) -> str:
        offset = "" if self.offset is None else f"xx{self.offset:02X}"
        return f"({self.group:04X},{offset or '00xx'}) {self.creator}"


@dataclass(frozen=True, slots=True)
class Reference:
    """An element that a function or a filter reads.

    Attributes
    ----------
    path
        tags of the sequences around it, outermost first
    element
        its tag, or a private name
    """

    path: tuple[int, ...]
    element: int | PrivateName

    @property
    def top_level(self) -> int | None:
        """The tag, if it is an element of the standard outside sequences."""
        return self.element if not self.path and isinstance(self.element, int) else None


def display(element: int | PrivateName) -> str:
    """How a profile names the element: keyword, tag, or private creator and offset."""
    if isinstance(element, PrivateName):
        return str(element)
    keyword = keyword_of(element)
    return keyword if keyword and tag_of(keyword) == element else show(element)


def parse_name(name: str) -> int | PrivateName:
    """The element that ``name`` stands for.

    Raises
    ------
    UnknownElement
        none
    """
    text = name.strip()
    if text[:1] + text[-1:] in ("[]", "()"):
        text = text[1:-1].strip()
    tag = tag_of(text) or _shortened().get(_shorten(text))
    if tag is not None:
        return tag
    if _HEX.fullmatch(text):
        return int(text, 16)
    pair = _HEX_PAIR.fullmatch(text)
    if pair is not None:
        return int(pair[1], 16) << 16 | int(pair[2], 16)
    private = _PRIVATE.fullmatch(text)
    if private is not None and int(private[1], 16) & 1 and (private[2] is None) != (private[4] is None):
        offset = None if private[4] is None else int(private[4], 16)
        return PrivateName(int(private[1], 16), private[3].strip(), offset)
    raise UnknownElement(f'"{text[:60]}" names no element{suggestion(text, keywords())}')


def parse_reference(name: str, *, this: int | PrivateName | None = None) -> Reference:
    """The element that an argument of a function or an operand of a filter names.

    Parameters
    ----------
    name
        the argument; ``this`` or nothing is the element whose script it stands in
    this
        that element; None in a filter

    Raises
    ------
    UnknownElement
        it names none
    """
    text = name.strip()
    if this is not None and text in ("", "this"):
        return Reference((), this)
    text = text.removeprefix("root:")
    *sequences, last = text.split("::")
    path: list[int] = []
    for sequence in sequences:
        tag = parse_name(sequence)
        if isinstance(tag, PrivateName) or is_private(tag):
            raise UnknownElement(f'"{sequence.strip()[:60]}" is a private sequence')
        path.append(tag)
    return Reference(tuple(path), parse_name(last))


def _shorten(name: str) -> str:
    for word, short in _SHORTER:
        name = name.replace(word, short)
    return name


@cache
def _shortened() -> dict[str, int]:
    """Shortened keyword -> tag, without those that two keywords share."""
    tags: dict[str, int] = {}
    shared: set[str] = set()
    for keyword in keywords():
        short = _shorten(keyword)
        tag = tag_of(keyword)
        assert tag is not None
        if tags.setdefault(short, tag) != tag:
            shared.add(short)
    return {short: tag for short, tag in tags.items() if short not in shared}
