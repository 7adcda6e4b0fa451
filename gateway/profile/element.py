"""One element as people name it: by keyword, tag, private creator and offset, or path into sequences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.dicom.dictionary import keyword_of, keywords, repeating_of, tag_of
from gateway.dicom.tag import is_private, show
from gateway.sections.yamlfile import suggestion

__all__ = ["ElementName", "parse_element", "show_element"]

_TAG: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
_PRIVATE: Final = re.compile(r"\(?([0-9A-Fa-f]{4}), ?[xX]{2}([0-9A-Fa-f]{2})\)? +(\S.*)")


@dataclass(frozen=True, slots=True)
class ElementName:
    """One element at one place.

    Attributes
    ----------
    path
        tags of the sequences around it, outermost first; empty at the top level
    tag
        the element; of a private one named by its creator the tag in block 10 (PS3.5 7.8.1)
    creator
        the private creator, empty for elements of the standard
    """

    path: tuple[int, ...]
    tag: int
    creator: str = ""

    def __str__(self) -> str:
        return "/".join(show_element(tag) for tag in self.path) + ("/" if self.path else "") + self.name

    @property
    def name(self) -> str:
        """The element without its path."""
        if self.creator:
            return f"({self.tag >> 16:04X},xx{self.tag & 0xFF:02X}) {self.creator}"
        return show_element(self.tag)


def show_element(tag: int) -> str:
    """The keyword of ``tag``, or the tag as the standard writes it if it has none."""
    return keyword_of(tag) or show(tag)


def parse_element(text: str) -> ElementName:
    """The element that ``text`` names.

    Parameters
    ----------
    text
        ``PatientName``; ``(0010,0010)``, ``0010,0010`` or ``00100010``; ``(0019,xx10) SIEMENS MR HEADER``; or
        several of these joined by slashes, the last one inside the sequences before it

    Raises
    ------
    ValueError
        it names no element; the text says what is wrong and what was probably meant
    """
    # A creator may hold slashes: what follows "(gggg,xxee) " is all of it.
    start = re.search(r"\(?[0-9A-Fa-f]{4}, ?[xX]{2}[0-9A-Fa-f]{2}\)? ", text)
    head, last = (text[: start.start()], text[start.start() :]) if start else text.rpartition("/")[::2]
    path = tuple(_tag(part) for part in head.strip("/").split("/")) if head.strip("/") else ()
    private = _PRIVATE.fullmatch(last.strip())
    if private is None:
        return ElementName(path, _tag(last))
    group, offset, creator = int(private[1], 16), int(private[2], 16), private[3].strip()
    if not group & 1:
        raise ValueError(f'"{last}": only private elements, of odd groups, have a creator')
    return ElementName(path, group << 16 | 0x1000 | offset, creator)


def _tag(text: str) -> int:
    name = text.strip()
    named = tag_of(name)
    if named is not None:
        return named
    repeating = repeating_of(name)
    if repeating is not None:
        # Of a repeating group the first (PS3.5 7.6).
        return repeating[1]
    matched = _TAG.fullmatch(name)
    if matched is None:
        raise ValueError(f'"{name}" is no element of the data dictionary{suggestion(name, keywords())}')
    tag = int(matched[1] + matched[2], 16)
    if is_private(tag) and tag & 0xFFFF < 0x0010:
        raise ValueError(f'"{name}": the group has no such element (PS3.5 7.8.1)')
    return tag
