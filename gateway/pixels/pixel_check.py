"""The second look at pixels that were changed: the output is read again and compared with what was received.

It shares no code with the editing: what is inside the areas is one value, what is outside is what it was, in every
frame, and the header describes what is there. Compressed frames are decoded by another library than the writer's proof
used, so that an error that a library makes and reads as it made it does not go unseen.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.dicom.encoded import Limits
from gateway.dicom.instance import Instance, open_instance
from gateway.dicom.segments import Segment, copy_to
from gateway.dicom.tag import show
from gateway.errors import (
    DecodersDisagree,
    DecodingTooLong,
    LeakSuspected,
    PixelsUnreadable,
    SeriesUnfit,
    SpoolUnavailable,
)
from gateway.pixels.areas import Area
from gateway.pixels.description import PixelDescription, describe
from gateway.pixels.editing import Edit
from gateway.pixels.faces.places import Slice, is_part_of_volume, places_of
from gateway.pixels.fill import Frame
from gateway.pixels.frames import FrameReader, open_frames
from gateway.pixels.pixel_treatment import PixelOutcome
from gateway.pixels.sandbox import Sandbox
from gateway.pixels.writing import syntax_name

__all__ = ["check_pixels"]

_WHERE = "(7FE0,0010)"
#: Slice Thickness, Image Position, Image Orientation, Pixel Spacing, Rescale Intercept and Slope.
_GEOMETRY = (0x00180050, 0x00200032, 0x00200037, 0x00280030, 0x00281052, 0x00281053)


def check_pixels(
    instance: Instance,
    output: Sequence[Segment],
    outcome: PixelOutcome,
    *,
    work: Path,
    limits: Limits,
    sandbox: Sandbox,
) -> None:
    """Check that the output's pixels are the received ones with nothing left in the areas.

    Nothing is done where no pixel was changed: the output has the received bytes.

    Parameters
    ----------
    instance
        as received
    output
        the whole Part 10 file
    outcome
        what was done to the pixels
    work
        directory for a copy of the output, which is deleted
    limits
        of the data set
    sandbox
        where compressed frames are decoded

    Raises
    ------
    LeakSuspected
        something is left inside an area, something outside has changed, or the header is wrong
    DecodersDisagree
        two libraries decode a frame of the output differently
    InstanceError
        the output cannot be read back
    SpoolUnavailable
        the copy cannot be written
    """
    if not outcome.edit:
        return
    path = work / f"check-{secrets.token_hex(8)}.dcm"
    try:
        try:
            with path.open("xb") as file:
                path.chmod(0o600)
                copy_to(output, file)
                length = file.tell()
        except OSError as error:
            raise SpoolUnavailable(operation="write", name="a work file", reason=error.strerror) from None
        with open_instance(path, work=work, limits=limits, max_reencode_bytes=length) as written:
            _compare(instance, written, outcome.edit, sandbox)
    finally:
        path.unlink(missing_ok=True)


def _compare(instance: Instance, written: Instance, edit: Edit, sandbox: Sandbox) -> None:
    before, after = describe(instance), describe(written)
    if before is None or after is None:
        raise LeakSuspected(where=_WHERE, reason="the pixels are gone")
    kept = edit.kept or Area(0, 0, before.columns, before.rows)
    expected = (kept.bottom - kept.top, kept.right - kept.left, before.frames, before.samples_per_pixel)
    if (after.rows, after.columns, after.frames, after.samples_per_pixel) != expected:
        raise LeakSuspected(where=_WHERE, reason="the image has another size or another number of frames")
    sample = ("bits_stored", "high_bit", "pixel_representation")
    if any(getattr(before, name) != getattr(after, name) for name in sample):
        raise LeakSuspected(where=_WHERE, reason="the samples are described in another way")
    if edit.blank is not None and edit.kept is None:
        _compare_geometry(instance, written)
    inside = np.zeros((before.rows, before.columns), dtype=bool)
    for area in edit.areas:
        inside[area.top : area.bottom, area.left : area.right] = True
    window = (slice(kept.top, kept.bottom), slice(kept.left, kept.right))
    inside = inside[window]
    with (
        open_frames(instance, before, sandbox=sandbox) as received,
        open_frames(written, after, sandbox=sandbox) as usual,
        open_frames(written, after, sandbox=sandbox, otherwise=after.encapsulated) as sent,
    ):
        if received.photometric_interpretation != sent.photometric_interpretation:
            raise LeakSuspected(where=_WHERE, reason="the colours are described in another way")
        if len(received) != len(sent):
            raise LeakSuspected(where=_WHERE, reason="the number of frames has changed")
        black: Frame | None = None
        for number in range(len(received)):
            was = received.frame(number)[window]
            face = np.zeros_like(inside) if edit.blank is None else edit.blank.mask(number)[window] & ~inside
            is_ = _read(sent, usual, number)
            try:
                black = _compare_frame(number, was, is_, before, inside=inside, face=face, black=black)
            except LeakSuspected:
                if after.encapsulated and not np.array_equal(is_, usual.frame(number)):
                    raise _disagreement(usual, number) from None
                raise


def _compare_geometry(instance: Instance, written: Instance) -> None:
    """A series without its face is the same volume."""
    moved = "the slice lies in another place than before"
    for tag in _GEOMETRY:
        if instance.text(tag) != written.text(tag):
            raise LeakSuspected(where=show(tag), reason=moved)
    if not is_part_of_volume(instance):
        return
    before, after = _places(instance), _places(written)
    if len(before) != len(after) or not all(one.lies_as(two) for one, two in zip(before, after, strict=True)):
        raise LeakSuspected(where=_WHERE, reason=moved)


def _places(instance: Instance) -> tuple[Slice, ...]:
    """Where its slices lie; none if it does not say that."""
    try:
        return places_of(instance, 0)[0]
    except SeriesUnfit:
        return ()


def _read(sent: FrameReader, usual: FrameReader, number: int) -> Frame:
    """A frame of the output, by the other decoder; the usual one says whose fault it is if that refuses it."""
    try:
        return sent.frame(number)
    except DecodingTooLong:
        raise
    except PixelsUnreadable:
        usual.frame(number)
        raise _disagreement(usual, number) from None


def _disagreement(frames: FrameReader, number: int) -> DecodersDisagree:
    return DecodersDisagree(syntax=syntax_name(frames.description.transfer_syntax), frame=number + 1)


def _compare_frame(
    number: int,
    was: Frame,
    is_: Frame,
    description: PixelDescription,
    *,
    inside: NDArray[np.bool_],
    face: NDArray[np.bool_],
    black: Frame | None,
) -> Frame | None:
    """Compare a frame; what is inside the areas, which is the same in every frame."""
    if inside.any():
        values = is_[inside]
        black = values[0] if black is None else black
        if not bool((values == black).all()):
            raise LeakSuspected(where=_WHERE, reason=f"an area of frame {number + 1} is not blank")
    if face.any() and not bool((is_[face] == is_[face][0]).all()):
        raise LeakSuspected(where=_WHERE, reason=f"the face of frame {number + 1} is not blank")
    stays = ~(inside | face)
    if not np.array_equal(_samples(was, description)[stays], _samples(is_, description)[stays]):
        raise LeakSuspected(where=_WHERE, reason=f"frame {number + 1} has changed outside the areas")
    if _hidden(is_, description):
        raise LeakSuspected(where=_WHERE, reason=f"bits of frame {number + 1} that are no part of a sample are set")
    return black


def _samples(frame: Frame, description: PixelDescription) -> Frame:
    """The samples alone, as unsigned numbers: the bits from the lowest one stored to the high bit."""
    width = description.bits_stored
    lowest = description.high_bit - width + 1
    unsigned = frame.view(frame.dtype.str.replace("i", "u"))
    samples: Frame = (unsigned >> lowest) & ((1 << width) - 1)
    return samples


def _hidden(frame: Frame, description: PixelDescription) -> bool:
    """Whether bits hold something that are neither part of a sample nor its repeated sign."""
    width, lowest = description.bits_stored, description.high_bit - description.bits_stored + 1
    if description.bits_allocated in (width, 1):
        return False
    samples = _samples(frame, description)
    expected = samples << lowest
    if description.signed:
        above = (1 << description.bits_allocated) - (1 << (description.high_bit + 1))
        expected = np.where(samples >> (width - 1) & 1, expected | above, expected)
    unsigned = frame.view(frame.dtype.str.replace("i", "u"))
    return not np.array_equal(unsigned, expected.astype(unsigned.dtype))
