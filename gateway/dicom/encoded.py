"""The encoded data set as a tree of byte positions (PS3.5 section 7).

One pass over the bytes yields every element at every depth without converting a value; what routes, de-identifies
or verifies an instance works on this tree and copies what it keeps. Explicit or implicit VR little endian; the two
other forms, big endian and implicit elements inside explicit VR, are read only by ``reencode``, which brings them to
explicit VR little endian first.

The tree is that of ``gateway.dicom.tree``. Elements of a level are sorted by tag, whatever the order of the bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise, repeat
from operator import itemgetter
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.dicom.dictionary import VR_OF, vr_of
from gateway.dicom.outlines import Make, Part, Survey
from gateway.dicom.runs import HEAD, Familiar, Head, Run, Runs
from gateway.dicom.tag import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    UNDEFINED_LENGTH,
    show,
)
from gateway.dicom.tree import Buffer, Element, Item, Limits
from gateway.dicom.vr import HEADER_SIZE, VALUE_REPRESENTATIONS
from gateway.errors import (
    DuplicateElement,
    IrregularEncoding,
    LimitExceeded,
    MalformedDataSet,
    OddLength,
    TruncatedDataSet,
    UnsupportedEncoding,
)

_EXPLICIT: Final = Struct("<HH2sH").unpack_from
_IMPLICIT: Final = Struct("<HHI").unpack_from
_LENGTH: Final = Struct("<I").unpack_from
_BIG_EXPLICIT: Final = Struct(">HH2sH").unpack_from
_BIG_IMPLICIT: Final = Struct(">HHI").unpack_from
_BIG_LENGTH: Final = Struct(">I").unpack_from

_SEQUENCES: Final = frozenset(tag for tag, vr in VR_OF.items() if vr == b"SQ")
_BY_TAG: Final = itemgetter(0)
_NO_HEADS: Final[dict[bytes, Head]] = {}
#: Zeros behind the last element that are taken for the padding of the last block, in bytes.
_MOST_PADDING: Final = 0x10000


class Form(Enum):
    """What an explicit VR data set is made of."""

    REGULAR = "explicit VR little endian"
    BIG_ENDIAN = "explicit VR big endian"
    MIXED = "explicit VR little endian with implicit elements in between"


def index(
    buffer: Buffer,
    start: int,
    stop: int,
    *,
    implicit: bool = False,
    form: Form = Form.REGULAR,
    limits: Limits | None = None,
    familiar: Familiar | None = None,
    odd: bool = False,
) -> list[Element]:
    """Index the data set in ``buffer[start:stop]``.

    Parameters
    ----------
    buffer
        the bytes; a memory-mapped file does as well, pixel data is stepped over and not read
    start, stop
        byte range of the data set, without preamble and file meta information
    implicit
        whether it is implicit VR little endian; explicit VR otherwise
    form
        the form of explicit VR; only ``reencode`` asks for another than the regular one
    limits
        nesting depth and number of elements
    familiar
        what the caller has walked before, which changes nothing but the time
    odd
        whether text and bytes may have an odd length, taken by the letter; only ``reencode`` asks for it

    Returns
    -------
    The elements of the top level, sorted by tag, sequences with their items. They may be shared with other trees and
    are not to be changed.

    Raises
    ------
    IrregularEncoding
        an unknown VR or similar; re-encoding by ``reencode`` may help
    MalformedDataSet
        truncated, odd length, duplicate elements, broken sequence structure, a sequence under another VR
    UnsupportedEncoding
        sequences inside VR UN in big endian
    LimitExceeded
        deeper or larger than ``limits``
    """
    return survey(buffer, start, stop, implicit=implicit, form=form, limits=limits, familiar=familiar, odd=odd).elements


def survey(
    buffer: Buffer,
    start: int,
    stop: int,
    *,
    implicit: bool = False,
    form: Form = Form.REGULAR,
    limits: Limits | None = None,
    familiar: Familiar | None = None,
    odd: bool = False,
) -> Survey:
    """As ``index``, with what is familiar of the data set."""
    limits = limits or Limits()
    runs: Runs | None = None
    if familiar is not None and form is Form.REGULAR:
        runs = familiar.runs(limits, implicit=implicit)
        known = runs.outlines.find(buffer, start, stop, most=limits.elements)
        if known is not None:
            return known
    walker = _Indexer(buffer, limits, form, odd=odd)
    walker.runs = runs
    elements, _ = walker.level(start, stop, implicit=implicit, depth=0, delimited=False)
    parts = walker.parts or [(b"", elements)]
    surveyed = Survey(elements, parts, walker.make, tuple([raw for raw, _ in parts if raw]))
    if runs is not None and walker.is_settled:
        runs.outlines.learn(buffer, start, stop, surveyed, walker.counted)
    return surveyed


def index_items(
    buffer: Buffer, start: int, stop: int, *, tag: int, implicit: bool, limits: Limits | None = None
) -> list[Item]:
    """Index ``buffer[start:stop]`` as the value of the sequence ``tag``: one whose VR the encoding does not tell.

    Parameters
    ----------
    buffer
        the bytes
    start, stop
        byte range of the value, a sequence delimitation excluded
    tag
        the sequence, for errors
    implicit
        whether the items are implicit VR; inside VR UN of an explicit VR data set the bytes decide (PS3.5 6.2.2)
    limits
        nesting depth and number of elements

    Raises
    ------
    MalformedDataSet
        the value is no list of items
    LimitExceeded
        deeper or larger than ``limits``
    """
    walker = _Indexer(buffer, limits or Limits(), Form.REGULAR)
    return walker.items(tag, start, stop, implicit=implicit)


def walk(elements: list[Element], path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Element]]:
    """Every element at every depth with the tags of the sequences that enclose it, outermost first."""
    for element in elements:
        yield path, element
        if element[5] is not None:
            below = (*path, element[0])
            for item in element[5]:
                yield from walk(item[4], below)


def find(elements: list[Element], tag: int) -> Element | None:
    """The element ``tag`` of this level, or None."""
    # A tuple sorts before a longer one that begins with it.
    place = bisect_left(elements, (tag,))
    if place < len(elements) and elements[place][0] == tag:
        return elements[place]
    return None


class _Indexer:
    def __init__(self, buffer: Buffer, limits: Limits, form: Form, *, odd: bool = False) -> None:
        self._buffer = buffer
        self._odd = odd
        self._limits = limits
        self._budget = limits.elements
        self._mixed = form is Form.MIXED
        self._big_endian = form is Form.BIG_ENDIAN
        self._explicit = _BIG_EXPLICIT if self._big_endian else _EXPLICIT
        self._implicit = _BIG_IMPLICIT if self._big_endian else _IMPLICIT
        self._length = _BIG_LENGTH if self._big_endian else _LENGTH
        #: What is known of the top level, and what it turns out to be made of.
        self.runs: Runs | None = None
        self.make: Make = None
        self.parts: list[Part] = []
        #: Whether it is in the order of its tags and nothing of it was learned.
        self.is_settled = False

    @property
    def counted(self) -> int:
        """Elements and items so far, at all depths."""
        return self._limits.elements - self._budget

    def level(self, pos: int, stop: int, *, implicit: bool, depth: int, delimited: bool) -> tuple[list[Element], int]:
        """The elements of one data set or item, and where what follows it begins."""
        if depth > self._limits.depth:
            raise LimitExceeded(limit=self._limits.depth, unit="nested sequences", where=f"byte {pos}")
        buffer, last, ordered, counted = self._buffer, -1, True, 0
        explicit_at, implicit_at, length_at = self._explicit, self._implicit, self._length
        elements: list[Element] = []
        append, size_of, sequences = elements.append, HEADER_SIZE.get, _SEQUENCES
        tag, size = 0, 8
        runs = self.runs if depth == 0 else None
        heads = runs.heads if runs is not None else _NO_HEADS
        known: list[tuple[int, int, Run]] = []
        try:
            # The loop is counted so that the limit of elements costs nothing per element.
            for _ in repeat(None, self._budget + 1):
                if pos >= stop:
                    break
                if heads and (head := heads.get(bytes(buffer[pos : pos + HEAD]))) is not None:
                    run = runs.find(head, buffer, pos, stop)  # type: ignore[union-attr]
                    if run is not None:
                        if run.first <= last:
                            ordered = False
                        last = run.last
                        place = len(elements)
                        elements += run.placed.get(pos) or runs.place(run, pos)  # type: ignore[union-attr]
                        known.append((place, len(elements), run))
                        pos += len(run.raw)
                        self._budget -= run.nested
                        if len(elements) - counted > self._budget:
                            self._budget = -1
                            break
                        continue
                if implicit:
                    group, number, length = implicit_at(buffer, pos)
                    tag = group << 16 | number
                    value = pos + 8
                    vr = VR_OF.get(tag) or vr_of(tag)
                else:
                    group, number, vr, length = explicit_at(buffer, pos)
                    tag = group << 16 | number
                    size = size_of(vr, 0)
                    if size == 8:
                        value = pos + 8
                    else:
                        value = pos + 12
                        length = length_at(buffer, pos + 8)[0] if size else 0
                if not size or group == 0xFFFE or not tag:
                    if tag == ITEM_DELIMITATION and delimited and pos + 8 <= stop and not implicit_at(buffer, pos)[2]:
                        delimited, pos = False, pos + 8
                        break
                    if depth == 0 and self._is_padding(pos, stop):
                        break
                    vr, value, length = self._irregular(tag, vr, pos, implicit=implicit)
                if tag <= last:
                    ordered = False
                last = tag
                end = value + length
                items = None
                if tag in sequences or length == UNDEFINED_LENGTH or vr == b"SQ":
                    self._budget -= len(elements) - counted
                    counted = len(elements)
                    items, end = self._value(tag, vr, value, length, stop, implicit=implicit, depth=depth)
                elif length & 1 and not (self._odd and VALUE_REPRESENTATIONS[vr].unit == 1):
                    raise OddLength(where=show(tag), offset=pos, length=length)
                if end > stop:
                    raise TruncatedDataSet(where=show(tag), offset=pos, missing=end - stop)
                append((tag, vr, pos, value, end, items))
                pos = end
            else:
                self._budget = -1
        except struct_error:
            raise TruncatedDataSet(where=show(tag), offset=pos, missing="header") from None
        self._budget -= len(elements) - counted
        if self._budget < 0:
            raise LimitExceeded(limit=self._limits.elements, unit="elements", where=f"byte {pos}")
        if delimited:
            raise TruncatedDataSet(where="the item delimitation", offset=pos, missing=8)
        if runs is not None:
            self._learn(runs, elements, known, ordered=ordered)
        if not ordered:
            _sort(elements)
        return elements, pos

    def _learn(self, runs: Runs, elements: list[Element], known: list[tuple[int, int, Run]], *, ordered: bool) -> None:
        """Tell make and parts, and the runs what was walked between those that are ``known``."""
        make: list[int] = []
        parts: list[Part] = []
        place = 0
        settled = ordered
        for first, after, run in (*known, (len(elements), len(elements), None)):
            if place < first:
                walked = elements[place:first]
                tags = [tag if items is None else -tag for tag, _vr, _start, _value, _end, items in walked]
                learned, divided = tags, [(b"", walked)]
                if not runs.volatile.issuperset(tags):
                    learned, divided = runs.learn(self._buffer, walked, tags)
                settled = settled and learned == tags
                make += learned
                parts += divided
            if run is not None:
                make.append(run.shape)
                parts.append((run.raw, elements[first:after]))
            place = after
        if ordered:
            self.make, self.parts, self.is_settled = tuple(make), parts, settled

    def items(self, tag: int, start: int, stop: int, *, implicit: bool) -> list[Item]:
        """The items of a sequence of defined length."""
        if implicit:
            return self._items(tag, start, stop - start, stop, implicit=True, depth=0)[0]
        return self._unknown(tag, start, stop - start, stop, 0)[0]

    def _value(
        self, tag: int, vr: bytes, value: int, length: int, stop: int, *, implicit: bool, depth: int
    ) -> tuple[list[Item] | None, int]:
        """A sequence's items, or None for encapsulated pixel data, and where they end."""
        if vr == b"SQ":
            return self._items(tag, value, length, stop, implicit=implicit, depth=depth)
        if tag == PIXEL_DATA and vr in (b"OB", b"OW") and not implicit and not self._big_endian:
            return None, self._fragments(value, stop)
        if vr != b"UN" or tag == PIXEL_DATA:
            # A sequence under another VR would hide its items from every rule.
            what = "undefined length" if length == UNDEFINED_LENGTH else "a sequence"
            raise MalformedDataSet(where=show(tag), offset=value, reason=f"{what} with VR {vr.decode()}")
        if self._big_endian:
            raise UnsupportedEncoding(reason=f"{show(tag)} is a sequence with VR UN in big endian")
        if implicit:
            return self._items(tag, value, length, stop, implicit=True, depth=depth)
        return self._unknown(tag, value, length, stop, depth)

    def _unknown(self, tag: int, value: int, length: int, stop: int, depth: int) -> tuple[list[Item], int]:
        """The items of VR UN: implicit VR little endian by PS3.5 6.2.2, though some writers leave them explicit."""
        # Behind the headers of the first item and its first element's tag stands a VR or the low half of a length.
        likely = value + 14 > stop or bytes(self._buffer[value + 12 : value + 14]) not in HEADER_SIZE
        try:
            return self._items(tag, value, length, stop, implicit=likely, depth=depth)
        except MalformedDataSet:
            # Within implicit VR nothing is guessed, so that a depth costs one more pass and never doubles the work.
            return self._items(tag, value, length, stop, implicit=not likely, depth=depth)

    def _items(
        self, tag: int, pos: int, length: int, stop: int, *, implicit: bool, depth: int
    ) -> tuple[list[Item], int]:
        buffer = self._buffer
        items: list[Item] = []
        undefined = length == UNDEFINED_LENGTH
        last = stop if undefined else pos + length
        if last > stop:
            raise TruncatedDataSet(where=show(tag), offset=pos, missing=last - stop)
        while undefined or pos < last:
            if pos + 8 > last:
                raise TruncatedDataSet(where=show(tag), offset=pos, missing=pos + 8 - last)
            group, number, size = self._implicit(buffer, pos)
            marker = group << 16 | number
            if marker == SEQUENCE_DELIMITATION and undefined and not size:
                return items, pos + 8
            if marker != ITEM:
                raise MalformedDataSet(where=show(tag), offset=pos, reason=f"{show(marker)} where an item should begin")
            value = pos + 8
            delimited = size == UNDEFINED_LENGTH
            content = last if delimited else value + size
            if content > last:
                raise TruncatedDataSet(where=f"{show(tag)}[{len(items)}]", offset=pos, missing=content - last)
            self._budget -= 1
            try:
                elements, end = self.level(value, content, implicit=implicit, depth=depth + 1, delimited=delimited)
            except MalformedDataSet as error:
                error.within(f"{show(tag)}[{len(items)}]")
                raise
            items.append((pos, value, end, implicit, elements))
            pos = end
        return items, pos

    def _fragments(self, pos: int, stop: int) -> int:
        """Step over the items of encapsulated pixel data (PS3.5 A.4)."""
        buffer = self._buffer
        while pos + 8 <= stop:
            group, number, length = _IMPLICIT(buffer, pos)
            marker = group << 16 | number
            pos += 8
            if marker == SEQUENCE_DELIMITATION and not length:
                return pos
            if marker != ITEM or length == UNDEFINED_LENGTH:
                raise MalformedDataSet(where=show(PIXEL_DATA), offset=pos - 8, reason="a fragment item is broken")
            if length & 1:
                raise OddLength(where=f"a fragment of {show(PIXEL_DATA)}", offset=pos - 8, length=length)
            pos += length
        raise TruncatedDataSet(where=show(PIXEL_DATA), offset=pos, missing=max(8, pos + 8 - stop))

    def _is_padding(self, pos: int, stop: int) -> bool:
        # Some writers fill the file's last block with zeros; nothing is lost by dropping them.
        return stop - pos <= _MOST_PADDING and not any(self._buffer[pos:stop])

    def _irregular(self, tag: int, vr: bytes, pos: int, *, implicit: bool) -> tuple[bytes, int, int]:
        """VR, value and length of an element that is not explicit VR as it should be, where the form allows it."""
        if tag >> 16 == 0xFFFE or not tag:
            raise MalformedDataSet(where=show(tag), offset=pos, reason="no data element can have this tag here")
        if implicit or not self._mixed:
            raise IrregularEncoding(where=show(tag), offset=pos, reason=f"0x{vr.hex()} is no value representation")
        if not (vr.isalpha() and vr.isupper()):
            return vr_of(tag), pos + 8, _LENGTH(self._buffer, pos + 4)[0]
        # A VR of a later edition has a 32-bit length (PS3.5 7.1.2).
        reserved, length = Struct("<HI").unpack_from(self._buffer, pos + 6)
        if reserved:
            raise IrregularEncoding(where=show(tag), offset=pos, reason=f"0x{vr.hex()} is no value representation")
        return b"UN", pos + 12, length


def _sort(elements: list[Element]) -> None:
    elements.sort(key=_BY_TAG)
    for one, two in pairwise(elements):
        if one[0] == two[0]:
            raise DuplicateElement(where=show(one[0]), offset=two[2])


__all__ = [
    "HEADER_SIZE",
    "Buffer",
    "Element",
    "Familiar",
    "Form",
    "Item",
    "Limits",
    "Make",
    "Part",
    "Survey",
    "find",
    "index",
    "index_items",
    "survey",
    "walk",
]
