"""Writing frames, one at a time, as the Pixel Data element of an output.

Frames are written without loss. What was encoded is decoded again and compared before it counts; an encoder's error
must not reach an archive. Since a library may read its own errors as it wrote them, a second one decodes too: here, or
where the whole output is checked (``gateway.pixels.pixel_check``).
"""

from __future__ import annotations

import os
from array import array
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import numpy as np

from gateway.dicom.encode import SEQUENCE_END, element, header, item_header
from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance
from gateway.dicom.segments import FileRange, Segment
from gateway.dicom.tag import PIXEL_DATA, UNDEFINED_LENGTH
from gateway.dicom.transfer_syntax import TRANSFER_SYNTAXES
from gateway.errors import DecodersDisagree, DecodingTooLong, PixelsUnreadable, PixelsUnwritable
from gateway.pixels import jpeg, jpeg_2000
from gateway.pixels.codestream import Codestream, read_codestream
from gateway.pixels.decoder import Codec
from gateway.pixels.description import (
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    PixelDescription,
)
from gateway.pixels.fragments import EXTENDED_LENGTHS, EXTENDED_OFFSETS
from gateway.pixels.frames import Frame, FrameReader, decoded, plain_photometric
from gateway.pixels.lossy import lossy_history
from gateway.pixels.sandbox import FrameClaims, Sandbox
from gateway.pixels.syntaxes import CODINGS, encoder_of, obstacle
from gateway.spool.disk import FILE_MODE, disk_errors

_MOST: Final = 0xFFFFFFFE


def syntax_name(uid: str) -> str:
    """What a transfer syntax is called in reasons."""
    known = TRANSFER_SYNTAXES.get(uid)
    return known.name if known else "an unknown transfer syntax"


class FrameWriter:
    """Collects frames in a file and makes the Pixel Data element of them. Context manager; the file stays.

    Parameters
    ----------
    path
        file that takes the frames; must not exist
    description
        of the frames to come: shape, depth, sign, number
    transfer_syntax
        UID in which they are written
    sandbox
        encodes them
    photometric_interpretation
        of the frames to come; by default what a reader gives for ``description``
    implicit
        whether the output is implicit VR, which only native frames can be
    alone
        whether nobody reads the output again: then two libraries decode each frame here

    Raises
    ------
    PixelsUnwritable
        the transfer syntax is not written here, or cannot hold such frames
    SpoolFull, SpoolUnavailable
        the file cannot be created
    """

    def __init__(
        self,
        path: Path,
        description: PixelDescription,
        *,
        transfer_syntax: str,
        sandbox: Sandbox,
        photometric_interpretation: str | None = None,
        implicit: bool = False,
        alone: bool = False,
    ) -> None:
        self._syntax = transfer_syntax
        self._codec = encoder_of(transfer_syntax)
        reason = obstacle(transfer_syntax, description)
        if self._codec is not None and implicit:
            reason = "the data set is implicit VR"
        if reason is not None:
            raise self._unwritable(reason)
        self._photometric = photometric_interpretation or plain_photometric(description)
        #: What is written: by pixel, not sub-sampled.
        self._description = replace(
            description,
            photometric_interpretation=self._photometric,
            planar_configuration=0,
            transfer_syntax=transfer_syntax,
            encapsulated=self._codec is not None,
        )
        self._sandbox = sandbox
        self._implicit = implicit
        self._alone = alone
        self._path = path
        self._offsets = array("Q")
        self._length = 0
        #: Bits of frames of single bits that do not fill a byte yet.
        self._carry = np.empty(0, "u1")
        self._element: tuple[Segment, ...] | None = None
        with self._disk():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb", buffering=1 << 20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def photometric_interpretation(self) -> str:
        """Photometric Interpretation of the output: RGB in JPEG 2000 and HTJ2K is coded as YBR_RCT (PS3.5 8.2.4)."""
        if self._codec in (Codec.JPEG_2000, Codec.HTJ2K) and self._photometric == "RGB":
            return "YBR_RCT"
        return self._photometric

    def add(self, frame: Frame) -> None:
        """Append a frame.

        Parameters
        ----------
        frame
            stored values of the shape and type that the description says, single bits as bytes 0 and 1

        Raises
        ------
        PixelsUnwritable
            it is of another shape or type, one more than described, or what was encoded decodes
            differently
        DecodersDisagree
            one decoder gives the frame and the other does not
        PixelsUnreadable
            a codec refused it or broke down
        SpoolFull, SpoolUnavailable
            the disk
        """
        description = self._description
        if frame.shape != description.shape or frame.dtype != np.dtype(description.dtype):
            raise self._unwritable("a frame is not of the shape and type described")
        if len(self._offsets) == description.frames:
            raise self._unwritable(f"there are more than {description.frames} frames")
        if self._codec is None:
            content = self._native(frame)
        else:
            content = self._encoded(frame, self._codec)
            content = item_header(len(content)) + content
        self._offsets.append(self._length)
        self._length += len(content)
        with self._disk():
            self._file.write(content)

    def finish(self) -> tuple[Segment, ...]:
        """The whole Pixel Data element: header, value and, if encapsulated, a Basic Offset Table that is right.

        The offset table is empty where an offset would not fit its 32 bits (PS3.5 A.4).

        Raises
        ------
        PixelsUnwritable
            frames are missing, or there are 4 GiB or more of native ones
        SpoolFull, SpoolUnavailable
            the disk
        """
        if self._element is not None:
            return self._element
        if len(self._offsets) != self._description.frames:
            raise self._unwritable(f"{len(self._offsets)} frames of {self._description.frames} were written")
        tail = np.packbits(self._carry, bitorder="little").tobytes()
        native = self._codec is None
        if native and (self._length + len(tail)) % 2:
            tail += b"\0"
        with self._disk():
            self._file.write(tail)
            self._file.close()
        length = self._length + len(tail)
        content = FileRange(self._path, 0, length)
        if native:
            if length > _MOST:
                raise self._unwritable(f"native pixel data of {length} bytes is too long for its length field")
            self._element = (header(PIXEL_DATA, self._vr(), length, implicit=self._implicit), content)
            return self._element
        table = b""
        if self._offsets[-1] <= _MOST:
            table = np.asarray(self._offsets, "<u4").tobytes()
        head = header(PIXEL_DATA, b"OB", UNDEFINED_LENGTH, implicit=False)
        self._element = (head + item_header(len(table)) + table, content, SEQUENCE_END)
        return self._element

    def elements(self, instance: Instance, frames: FrameReader) -> dict[int, tuple[Segment, ...] | None]:
        """The elements that change with the pixel data, whole and encoded, for ``PixelChange.elements``.

        Parameters
        ----------
        instance
            the instance as received
        frames
            its frames

        Returns
        -------
        Pixel Data; Photometric Interpretation and Planar Configuration where they change; the history of lossy
        compression where it is not told yet; the Extended Offset Table as None, for it goes.
        """
        changes: dict[int, tuple[Segment, ...] | None] = {PIXEL_DATA: self.finish()}
        changes |= {tag: (encoded,) for tag, encoded in lossy_history(instance, frames).items()}
        photometric = self.photometric_interpretation
        if photometric != instance.text(PHOTOMETRIC_INTERPRETATION):
            value = photometric.encode("ascii")
            changes[PHOTOMETRIC_INTERPRETATION] = (
                element(PHOTOMETRIC_INTERPRETATION, b"CS", value, implicit=self._implicit),
            )
        if self._description.samples_per_pixel > 1 and instance.text(PLANAR_CONFIGURATION) != "0":
            changes[PLANAR_CONFIGURATION] = (element(PLANAR_CONFIGURATION, b"US", bytes(2), implicit=self._implicit),)
        changes |= {
            tag: None for tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS) if find(instance.elements, tag) is not None
        }
        return changes

    def _vr(self) -> bytes:
        """OW for cells of more than a byte and for implicit VR (PS3.5 A.1, A.2)."""
        return b"OW" if self._implicit or self._description.bits_allocated > 8 else b"OB"

    def _native(self, frame: Frame) -> bytes:
        if self._description.bits_allocated > 1:
            return frame.tobytes()
        bits = np.concatenate((self._carry, frame.reshape(-1).astype("u1")))
        whole = len(bits) // 8 * 8
        self._carry = bits[whole:]
        return np.packbits(bits[:whole], bitorder="little").tobytes()

    def _encoded(self, frame: Frame, codec: Codec) -> bytes:
        """The frame coded, padded to an even length, and proven by decoding it."""
        description = self._description
        claims = FrameClaims(
            shape=description.shape,
            size=description.bits_allocated // 8,
            signed=description.signed,
            bits=self._depth(frame),
            colour=self._photometric == "RGB",
        )
        content = _image_alone(self._sandbox.encode(codec, frame, claims), codec)
        content += b"\0" * (len(content) % 2)
        if len(content) > _MOST:
            raise self._unwritable(f"a frame of {len(content)} bytes is too long for a fragment")
        coding = CODINGS[self._syntax]
        stream = None if codec is Codec.RLE else read_codestream(content, coding.family)
        again = decoded(content, stream, description, coding=coding, sandbox=self._sandbox)
        if not np.array_equal(frame, again):
            raise self._unwritable("what was encoded decodes differently")
        if self._alone:
            self._check_otherwise(frame, content, stream)
        return content

    def _check_otherwise(self, frame: Frame, content: bytes, stream: Codestream | None) -> None:
        coding = CODINGS[self._syntax]
        try:
            again = decoded(content, stream, self._description, coding=coding, sandbox=self._sandbox, otherwise=True)
        except DecodingTooLong:
            raise
        except PixelsUnreadable:
            again = None
        if again is None or not np.array_equal(frame, again):
            raise DecodersDisagree(syntax=syntax_name(self._syntax), frame=len(self._offsets) + 1)

    def _depth(self, frame: Frame) -> int:
        """Bits to code: Bits Stored, or the whole cell where a value needs bits beyond them."""
        description = self._description
        stored, allocated = description.bits_stored, description.bits_allocated
        low, high = (-(1 << (stored - 1)), 1 << (stored - 1)) if description.signed else (0, 1 << stored)
        fits = description.high_bit == stored - 1 and stored > 1 and low <= int(frame.min()) <= int(frame.max()) < high
        return stored if fits else allocated

    def _unwritable(self, reason: str) -> PixelsUnwritable:
        return PixelsUnwritable(syntax=syntax_name(self._syntax), reason=reason)

    def _disk(self) -> AbstractContextManager[None]:
        return disk_errors("write", "a file of frames", root=self._path.parent, reserve=0)


def _image_alone(content: bytes, codec: Codec) -> bytes:
    """The codestream without what the encoder says of itself, and without the room that it has left behind it."""
    if codec is Codec.RLE:
        return content
    image_of = jpeg.image_of if codec is Codec.JPEG_LS else jpeg_2000.image_of
    pieces = image_of(content, 0, len(content))
    return b"".join(piece if isinstance(piece, bytes) else content[slice(*piece)] for piece in pieces)
