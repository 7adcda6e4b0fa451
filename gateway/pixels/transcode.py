"""A stored output in another transfer syntax, frame by frame, without loss.

Nothing is changed but the encoding: UIDs stay, since the pixels do (PS3.4 B.4.1.2 asks for new ones only after lossy
compression).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from gateway.dicom.encoded import Limits, find, walk
from gateway.dicom.file_meta import write_file_meta
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.segments import FileRange, Segment, copy_to
from gateway.dicom.tag import PIXEL_DATA
from gateway.dicom.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from gateway.errors import PixelsUnwritable
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.explicit import in_explicit_vr
from gateway.pixels.frames import open_frames
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.syntaxes import WRITTEN, obstacle
from gateway.pixels.writing import FrameWriter
from gateway.spool.disk import disk_errors

#: How a destination wants its instances.
TranscodingWord: TypeAlias = Literal["explicit", "jpeg-ls", "jpeg-2000", "htj2k", "rle"]


def transcode(
    parts: Sequence[Segment], file: Path, *, word: TranscodingWord, limits: Limits, sandbox: Sandbox
) -> str | None:
    """Write an instance in the transfer syntax that a destination wants.

    What the syntax cannot hold goes in explicit VR little endian: no image, floating-point pixels, single bits, more
    bits than it has.

    Parameters
    ----------
    parts
        the instance, a Part 10 file in pieces
    file
        path of the new Part 10 file, in a directory that is this call's own; must not exist
    word
        what the destination wants
    limits
        nesting depth and number of elements
    sandbox
        runs the codecs

    Returns
    -------
    UID of the new transfer syntax; None if the instance is in it already, and nothing was written.

    Raises
    ------
    PixelsUnreadable
        the pixel data cannot be decoded, such as video
    PixelsUnwritable
        it cannot be encoded, or decodes differently
    InstanceError
        the data set cannot be read
    SpoolFull, SpoolUnavailable
        the disk
    DecoderUnavailable
        the codecs cannot be started
    """
    work = file.parent
    whole = work / "stored.dcm"
    with ExitStack() as stack:
        with disk_errors("write", "a work file", root=work, reserve=0), whole.open("xb") as copy:
            copy_to(parts, copy)
        stack.callback(whole.unlink)
        instance = stack.enter_context(open_instance(whole, work=work, limits=limits, max_reencode_bytes=1))
        meta = instance.meta
        description = _coded(instance)
        target = _target(word, description)
        if meta.transfer_syntax == target:
            return None
        _check_nested(instance, target)
        if instance.implicit:
            instance, rewritten = in_explicit_vr(instance, work=work, limits=limits)
            stack.callback(rewritten.remove)
            stack.enter_context(instance)
            description = _coded(instance)
        changes: Mapping[int, tuple[Segment, ...] | None] = {}
        if description is not None and (description.encapsulated or target != EXPLICIT_VR_LITTLE_ENDIAN):
            frames = stack.enter_context(open_frames(instance, description, sandbox=sandbox))
            stack.callback((work / "frames").unlink, missing_ok=True)
            writer = stack.enter_context(
                FrameWriter(
                    work / "frames",
                    description,
                    transfer_syntax=target,
                    sandbox=sandbox,
                    photometric_interpretation=frames.photometric_interpretation,
                    alone=True,
                )
            )
            for frame in frames:
                writer.add(frame)
            changes = writer.elements(instance, frames)
        head = write_file_meta(replace(meta, transfer_syntax=target))
        with disk_errors("write", "a work file", root=work, reserve=0), file.open("xb") as output:
            copy_to([head, *_merged(instance, changes)], output)
    return target


def _coded(instance: Instance) -> PixelDescription | None:
    """The description of pixel data that a codec may hold; None for instances without, and for floating point."""
    return None if find(instance.elements, PIXEL_DATA) is None else describe(instance)


def _target(word: TranscodingWord, description: PixelDescription | None) -> str:
    choice = WRITTEN[word]
    if description is None or obstacle(choice, description) is not None:
        return EXPLICIT_VR_LITTLE_ENDIAN
    return choice


def _check_nested(instance: Instance, target: str) -> None:
    """Refuse compressed images inside sequences: they would stay in the syntax that the data set leaves (PS3.5 A.4)."""
    for path, (tag, _, start, value, _, _) in walk(instance.elements):
        if path and tag == PIXEL_DATA and value - start == 12 and instance.buffer[value - 4 : value] == b"\xff" * 4:
            raise PixelsUnwritable(syntax=target, reason="a sequence holds a compressed image")


def _merged(instance: Instance, changes: Mapping[int, tuple[Segment, ...] | None]) -> list[Segment]:
    """The data set with the changed elements in their places, sorted by tag (PS3.5 7.1)."""
    stored = {
        element[0]: (FileRange(instance.path, element[2], element[4] - element[2]),) for element in instance.elements
    }
    merged: list[Segment] = []
    for tag in sorted({*stored, *changes}):
        segments = changes[tag] if tag in changes else stored[tag]
        merged.extend(segments or ())
    return merged
