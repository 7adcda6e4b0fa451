"""That the output has of a change of pixels exactly what was to change, and beside its pixels nothing."""

from __future__ import annotations

from typing import Final

from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.instance import Instance
from gateway.dicom.pixel_change import ItemChange, PixelChange
from gateway.dicom.segments import FileRange
from gateway.dicom.tag import show
from gateway.errors import LeakSuspected
from gateway.verify.output_reader import Output
from gateway.verify.surplus_bytes import check_surplus

__all__ = ["check_change", "claimed", "methods"]

_CLEAN_PIXELS: Final = "113101"
_CLEAN_FEATURES: Final = "113102"
_CLEAN_GRAPHICS: Final = "113103"
_METHOD_CODES: Final = 0x00120064
_CODE_VALUE: Final = 0x00080100


def claimed(pixels: PixelChange | None) -> frozenset[str]:
    """The codes of options that a change entitles to (PS3.15 E.3.1, E.3.2)."""
    if pixels is None:
        return frozenset()
    return frozenset((_CLEAN_PIXELS,) * pixels.cleaned + (_CLEAN_FEATURES,) * pixels.features_cleaned)


def methods(codes: frozenset[str], pixels: PixelChange | None) -> frozenset[str]:
    """The codes that an output bears: those of the program, options about pixels only where they were carried out.

    Parameters
    ----------
    codes
        what the program claims
    pixels
        what was done to the pixels
    """
    untrue = {_CLEAN_PIXELS, _CLEAN_FEATURES}
    if pixels is not None and pixels.graphics_unlooked:
        untrue.add(_CLEAN_GRAPHICS)
    return (codes - untrue) | claimed(pixels)


def check_change(instance: Instance, output: Output, pixels: PixelChange | None) -> None:
    """Check the transfer syntax, the elements of the change and the claims about pixels.

    Parameters
    ----------
    instance
        the original
    output
        what was made of it
    pixels
        the change, None if there was none

    Raises
    ------
    LeakSuspected
        the output is not as the change says, or claims more than was done
    """
    syntax = instance.transfer_syntax if pixels is None else pixels.transfer_syntax
    if output.meta.transfer_syntax != syntax:
        raise LeakSuspected(where="(0002,0010)", reason="it is not the transfer syntax that was written")
    if output.implicit != instance.implicit:
        raise LeakSuspected(where="(0002,0010)", reason="the output has another kind of element headers")
    earlier = _codes(instance.buffer, instance.elements)
    undeserved = _codes(output.buffer, output.elements) - claimed(pixels) - earlier
    if undeserved & {_CLEAN_PIXELS, _CLEAN_FEATURES}:
        raise LeakSuspected(where=show(_METHOD_CODES), reason="it claims that pixels were cleaned, which was not done")
    if pixels is not None and pixels.graphics_unlooked and _CLEAN_GRAPHICS in undeserved:
        raise LeakSuspected(where=show(_METHOD_CODES), reason="it claims drawings cleaned that nobody looked at")
    check_surplus(instance, output, pixels)
    if pixels is None:
        return
    for item in pixels.items:
        _check_item(output, item)
    for tag, parts in pixels.elements.items():
        element = find(output.elements, tag)
        if parts is None:
            if element is not None:
                raise LeakSuspected(where=show(tag), reason="the change of pixels takes it away")
        elif element is None:
            raise LeakSuspected(where=show(tag), reason="the change of pixels writes it, and it is missing")
        elif any(isinstance(part, FileRange) for part in parts):
            if tag not in output.replaced:
                raise LeakSuspected(where=show(tag), reason="it is not what the change of pixels wrote")
        elif output.buffer[element[2] : element[4]] != b"".join(part for part in parts if isinstance(part, bytes)):
            raise LeakSuspected(where=show(tag), reason="it is not what the change of pixels wrote")


def _check_item(output: Output, change: ItemChange) -> None:
    """Check the elements that change inside a sequence, unless a rule took it away or emptied it."""
    elements, where = output.elements, ""
    for tag, number in change.path:
        sequence = find(elements, tag)
        if sequence is None or not sequence[5]:
            return
        where += f"{show(tag)}[{number}]/"
        if number >= len(sequence[5]):
            raise LeakSuspected(where=where[:-1], reason="the change of pixels writes in it, and it is missing")
        elements = sequence[5][number][4]
    for tag, expected in change.elements.items():
        element = find(elements, tag)
        if element is None or output.buffer[element[2] : element[4]] != expected:
            raise LeakSuspected(where=where + show(tag), reason="it is not what the change of pixels wrote")


def _codes(buffer: Buffer, elements: list[Element]) -> frozenset[str]:
    """The codes of De-identification Method Code Sequence."""
    sequence = find(elements, _METHOD_CODES)
    items = (sequence[5] or []) if sequence is not None else []
    values = (find(item[4], _CODE_VALUE) for item in items)
    return frozenset(bytes(buffer[one[3] : one[4]]).decode("latin-1").strip("\0 ") for one in values if one is not None)
