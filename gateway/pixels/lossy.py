"""What a data set says of lossy compression in its past (PS3.3 C.7.6.1.1.5): once lossy, always lossy."""

from __future__ import annotations

from typing import Final

from gateway.dicom.encode import element
from gateway.dicom.instance import Instance
from gateway.pixels.frames import FrameReader
from gateway.pixels.syntaxes import CODINGS

_LOSSY: Final = 0x00282110
_RATIO: Final = 0x00282112
_METHOD: Final = 0x00282114


def lossy_history(instance: Instance, frames: FrameReader) -> dict[int, bytes]:
    """The encoded elements that must be added when frames leave a lossy encoding; none if the data set says it all.

    Parameters
    ----------
    instance
        as received
    frames
        its frames

    Returns
    -------
    Tag -> element: Lossy Image Compression 01 and, where no earlier step is recorded, ratio and method.
    """
    coding = CODINGS.get(instance.transfer_syntax)
    if coding is None or not frames.lossy:
        return {}
    implicit = instance.implicit
    added: dict[int, bytes] = {}
    if instance.text(_LOSSY) != "01":
        added[_LOSSY] = element(_LOSSY, b"CS", b"01", implicit=implicit)
    if not instance.text(_METHOD):
        added[_METHOD] = element(_METHOD, b"CS", coding.method.encode("ascii"), implicit=implicit)
    if not instance.text(_RATIO):
        plain = frames.description.native_bits * len(frames) // 8
        ratio = max(1.0, plain / max(1, frames.stored_bytes))
        added[_RATIO] = element(_RATIO, b"DS", f"{ratio:.6g}".encode("ascii"), implicit=implicit)
    return added
