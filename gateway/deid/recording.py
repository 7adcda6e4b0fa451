"""Entries of a trace, made of what the engine puts in the place of elements."""

from __future__ import annotations

from gateway.deid.level import COPY_LIMIT, Level, Piece
from gateway.deid.trace import Trace, TraceEntry
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element, Item
from gateway.dicom.vr import HEADER_SIZE
from gateway.profile import Action

__all__ = ["item_numbers", "numbers_of_items", "record", "record_new"]


def record(
    trace: Trace, buffer: Buffer, level: Level, element: Element, *, action: Action, replaced: list[Piece] | None
) -> None:
    """Add the entry of a received element; ``replaced`` is what stands in its place, None where it stays."""
    tag, vr, _start, value, end, items = element
    before = b"" if items is not None else bytes(buffer[value : min(end, value + COPY_LIMIT)])
    after: bytes | None
    if replaced is None:
        after = before
    elif not replaced:
        after = None
    else:
        after = b"" if items is not None else _value_of(replaced[0], implicit=level.implicit)
    trace.add(
        TraceEntry(
            path=level.path,
            items=level.numbers,
            tag=tag,
            vr=vr,
            before=before,
            after=after,
            action=action,
            is_sequence=items is not None,
        )
    )


def record_new(trace: Trace, level: Level, tag: int, element: bytes, *, action: Action) -> None:
    """Add the entry of an element that the instance does not have as received."""
    vr = vr_of(tag)
    sequence = vr == b"SQ"
    trace.add(
        TraceEntry(
            path=level.path,
            items=level.numbers,
            tag=tag,
            vr=vr,
            before=b"",
            after=b"" if sequence else _value_of(element, implicit=level.implicit),
            action=action,
            is_sequence=sequence,
            is_new=True,
        )
    )


def _value_of(element: Piece, *, implicit: bool) -> bytes:
    """The value of an element that the engine wrote."""
    if not isinstance(element, bytes):
        return b""
    return element[8 if implicit else HEADER_SIZE[element[4:6]] :]


def item_numbers(elements: list[Element], around: tuple[int, ...] = ()) -> dict[int, tuple[int, ...]]:
    """Where an item starts -> its number and those of the items around it."""
    numbers: dict[int, tuple[int, ...]] = {}
    for element in elements:
        if element[5]:
            numbers.update(numbers_of_items(element[5], around))
    return numbers


def numbers_of_items(items: list[Item], around: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """As ``item_numbers``, for the items of one sequence."""
    numbers: dict[int, tuple[int, ...]] = {}
    for number, item in enumerate(items):
        numbers[item[0]] = (*around, number)
        numbers.update(item_numbers(item[4], (*around, number)))
    return numbers
