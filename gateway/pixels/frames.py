"""Reading the frames of an instance, one at a time (promise P8).

What a reader gives are stored values: no modality or display look-up, no conversion of colours that rounds. Where the
coding itself has another arrangement than rows of pixels, frames come in the plain one: colour by pixel, chroma
up-sampled, YBR_ICT and YBR_RCT as the RGB that every decoder makes of them, and YBR_FULL_422 of ultrasound as RGB, for
its IOD has no other name for it. ``photometric_interpretation`` says what the values are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import PIXEL_DATA
from gateway.errors import LimitExceeded, PixelsUnreadable
from gateway.pixels.codestream import Codestream, read_codestream, rle_segments
from gateway.pixels.decoder import Codec
from gateway.pixels.description import PixelDescription
from gateway.pixels.fragments import Fragments
from gateway.pixels.sandbox import FrameClaims, Sandbox
from gateway.pixels.syntaxes import PROCESSES, Coding, coding_of

Frame = npt.NDArray[np.generic]

_LOSSY_JPEG: Final = frozenset({"baseline", "extended", "progressive"})
#: SOP classes of ultrasound, where up-sampled YBR_FULL is no interpretation that the IOD knows (PS3.3 C.8.5.6.1.2).
_ULTRASOUND: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("3", "3.1", "6", "6.1"))
_SOP_CLASS_UID: Final = 0x00080016
#: What a decoder makes of them, or up-sampling.
_PLAIN: Final = {"YBR_ICT": "RGB", "YBR_RCT": "RGB", "YBR_FULL_422": "YBR_FULL"}


def plain_photometric(description: PixelDescription) -> str:
    """The Photometric Interpretation of frames in the plain arrangement, as far as the header tells."""
    return _PLAIN.get(description.photometric_interpretation, description.photometric_interpretation)


class FrameReader(ABC):
    """The frames of one instance. Context manager; the instance must stay open.

    Attributes
    ----------
    description
        what the header says
    photometric_interpretation
        of the frames as they are given
    """

    def __init__(self, description: PixelDescription, photometric_interpretation: str) -> None:
        self.description = description
        self.photometric_interpretation = photometric_interpretation

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027  (no subclass holds anything either)
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held: the bytes belong to the instance, the decoder to the sandbox."""

    def __len__(self) -> int:
        return self.description.frames

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(number) for number in range(len(self)))

    @abstractmethod
    def frame(self, number: int) -> Frame:
        """A frame, counted from 0, as an array of its own that the caller may change.

        Returns
        -------
        Stored values of type ``description.dtype`` and shape ``description.shape``; single bits as bytes 0 and 1. Bits
        above High Bit are there where the encoding keeps them.

        Raises
        ------
        PixelsUnreadable
            the frame cannot be decoded, or is not what the header says
        DecoderUnavailable
            the decoder cannot be started
        """

    @property
    @abstractmethod
    def stored_bytes(self) -> int:
        """Bytes of all frames as they are stored."""

    @property
    def lossy(self) -> bool:
        """Whether the coding of the frames is known to lose information."""
        return False


def open_frames(
    instance: Instance, description: PixelDescription, *, sandbox: Sandbox, otherwise: bool = False
) -> FrameReader:
    """Open the frames of an instance.

    Parameters
    ----------
    instance
        the instance, which stays open as long as frames are read
    description
        what ``describe`` said of it
    sandbox
        decodes compressed frames
    otherwise
        whether another library decodes them than usual; only what ``FrameWriter`` writes

    Raises
    ------
    PixelsUnreadable
        nothing decodes this transfer syntax, or fragments, offset tables and frames contradict each other
    LimitExceeded
        a frame is larger than the configuration allows
    """
    if description.frame_bytes > sandbox.settings.frame_bytes:
        raise LimitExceeded(limit=sandbox.settings.frame_bytes, unit="bytes per frame", where="Pixel Data")
    frames: FrameReader
    if description.encapsulated:
        frames = _EncapsulatedFrames(instance, description, sandbox, otherwise=otherwise)
    else:
        frames = _NativeFrames(instance, description)
    sop_class = instance.text(_SOP_CLASS_UID) or instance.meta.sop_class_uid
    subsampled = description.photometric_interpretation == "YBR_FULL_422"
    if subsampled and sop_class in _ULTRASOUND and frames.photometric_interpretation == "YBR_FULL":
        return _FramesInRgb(frames)
    return frames


class _NativeFrames(FrameReader):
    def __init__(self, instance: Instance, description: PixelDescription) -> None:
        super().__init__(description, plain_photometric(description))
        pixel_data = find(instance.elements, PIXEL_DATA)
        if pixel_data is None:
            raise PixelsUnreadable(reason="there is no Pixel Data")
        self._buffer = instance.buffer
        self._start = pixel_data[3]
        self._length = pixel_data[4] - pixel_data[3]

    def frame(self, number: int) -> Frame:
        _check_number(number, self.description)
        bits = self.description.native_bits
        first = number * bits
        content = self._buffer[self._start + first // 8 : self._start + (first + bits + 7) // 8]
        return arranged(content, self.description, skip=first % 8)

    @property
    def stored_bytes(self) -> int:
        return self._length


class _EncapsulatedFrames(FrameReader):
    def __init__(self, instance: Instance, description: PixelDescription, sandbox: Sandbox, *, otherwise: bool) -> None:
        self._coding = coding_of(description.transfer_syntax)
        self._fragments = Fragments(instance, description.frames, begins=self._coding.begins)
        self._sandbox = sandbox
        self._otherwise = otherwise
        self._first = _claims(self._fragments.read(0), description, self._coding)
        super().__init__(description, _coded_photometric(description, self._first))

    def frame(self, number: int) -> Frame:
        _check_number(number, self.description)
        data = self._fragments.read(number)
        stream = _claims(data, self.description, self._coding)
        if _coded_photometric(self.description, stream) != self.photometric_interpretation:
            raise PixelsUnreadable(reason="frames of an instance say differently what their colours are")
        return decoded(
            data,
            stream,
            self.description,
            coding=self._coding,
            sandbox=self._sandbox,
            otherwise=self._otherwise,
        )

    @property
    def stored_bytes(self) -> int:
        return sum(self._fragments.length(number) for number in range(len(self)))

    @property
    def lossy(self) -> bool:
        return self._first is not None and self._first.lossy is True


class _FramesInRgb(FrameReader):
    """Frames of luminance and chroma as red, green and blue, as every viewer shows them."""

    def __init__(self, frames: FrameReader) -> None:
        super().__init__(frames.description, "RGB")
        self._frames = frames

    def frame(self, number: int) -> Frame:
        return in_rgb(self._frames.frame(number))

    @property
    def stored_bytes(self) -> int:
        return self._frames.stored_bytes

    @property
    def lossy(self) -> bool:
        return self._frames.lossy


def in_rgb(frame: Frame) -> Frame:
    """YBR_FULL of 8 bits as RGB (PS3.3 C.7.6.3.1.2, the other way round)."""
    luminance, blue, red = (frame[..., sample].astype(np.float32) for sample in range(3))
    blue -= 128
    red -= 128
    rgb = np.empty(frame.shape, np.float32)
    rgb[..., 0] = luminance + 1.402 * red
    rgb[..., 1] = luminance - 0.344136 * blue - 0.714136 * red
    rgb[..., 2] = luminance + 1.772 * blue
    return np.clip(np.rint(rgb), 0, 255).astype(frame.dtype)


def decoded(
    data: bytes,
    stream: Codestream | None,
    description: PixelDescription,
    *,
    coding: Coding,
    sandbox: Sandbox,
    otherwise: bool = False,
) -> Frame:
    """A compressed frame as stored values.

    Parameters
    ----------
    data
        the frame
    stream
        what it says of itself, compared with ``description``; None where it says nothing
    description
        what the header says
    coding
        how it is coded
    sandbox
        decodes it
    otherwise
        whether another library decodes it than usual; only what ``FrameWriter`` writes

    Raises
    ------
    PixelsUnreadable
        it cannot be decoded, or is not what the header says
    DecoderUnavailable
        the decoder cannot be started
    """
    size = max(1, description.bits_allocated // 8)
    if coding.codec is None:
        return arranged(data, description, skip=0)
    if coding.codec is Codec.DEFLATE:
        flat = FrameClaims(shape=(1, (description.native_bits + 7) // 8), size=1, signed=False, bits=8)
        return arranged(sandbox.decode(coding.codec, data, flat).tobytes(), description, skip=0)
    claims = FrameClaims(shape=description.shape, size=size, signed=description.signed, bits=description.bits_stored)
    start = stream.start if stream else 0
    values = sandbox.decode(coding.codec, data[start:] if start else data, claims, otherwise=otherwise)
    return values.copy() if stream is None else _as_described(values, stream, description)


def arranged(content: bytes, description: PixelDescription, *, skip: int) -> Frame:
    """The bytes of a native frame as an array of pixels (PS3.5 8.1.1, D.1).

    Parameters
    ----------
    content
        the bytes that hold the frame
    description
        what the header says
    skip
        bits of the first byte that belong to the frame before
    """
    pixels = description.frame_pixels
    expected = (skip + description.native_bits + 7) // 8
    if len(content) - expected not in (0, 1):
        raise PixelsUnreadable(reason=f"a frame of {len(content)} bytes where its description has {expected}")
    if description.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(content, "u1"), bitorder="little")
        return bits[skip : skip + pixels].reshape(description.shape)
    samples = np.frombuffer(content, description.dtype, description.native_bits // description.bits_allocated)
    if description.photometric_interpretation == "YBR_FULL_422" and not description.encapsulated:
        # Two luminances, then the chroma that both pixels share (PS3.3 C.7.6.3.1.2).
        quads = samples.reshape(description.rows, description.columns // 2, 4)
        frame = np.empty((description.rows, description.columns // 2, 2, 3), samples.dtype)
        frame[..., 0] = quads[..., :2]
        frame[..., 1] = quads[..., 2:3]
        frame[..., 2] = quads[..., 3:4]
        return frame.reshape(description.shape)
    if description.samples_per_pixel > 1 and description.planar_configuration == 1:
        planes = samples.reshape(description.samples_per_pixel, description.rows, description.columns)
        return np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    return samples.reshape(description.shape).copy()


def _check_number(number: int, description: PixelDescription) -> None:
    if not 0 <= number < description.frames:
        raise PixelsUnreadable(reason=f"frame {number + 1} of {description.frames}")


def _claims(data: bytes, description: PixelDescription, coding: Coding) -> Codestream | None:
    """What a frame says of itself, once it has been compared with the header; None if it says nothing."""
    if coding.family in ("native", "deflate"):
        return None
    if coding.family == "rle":
        expected = description.samples_per_pixel * (description.bits_allocated // 8)
        if rle_segments(data) != expected:
            raise PixelsUnreadable(reason=f"an RLE frame without {expected} segments")
        return None
    stream = read_codestream(data, coding.family)
    if (stream.rows, stream.columns) != (description.rows, description.columns):
        raise PixelsUnreadable(
            reason=f"a frame of {stream.columns} x {stream.rows} pixels where the header says "
            f"{description.columns} x {description.rows}"
        )
    if stream.components != description.samples_per_pixel:
        raise PixelsUnreadable(
            reason=f"a frame of {stream.components} samples per pixel where the header says "
            f"{description.samples_per_pixel}"
        )
    if stream.precision > description.bits_allocated:
        raise PixelsUnreadable(
            reason=f"a frame of {stream.precision} bits where the header allocates {description.bits_allocated}"
        )
    if description.bits_allocated not in (8, 16):
        raise PixelsUnreadable(reason=f"a compressed frame with {description.bits_allocated} bits allocated")
    if stream.process not in PROCESSES.get(description.transfer_syntax, {stream.process}):
        raise PixelsUnreadable(reason="a JPEG frame is coded by another process than its transfer syntax has")
    return stream


def _coded_photometric(description: PixelDescription, stream: Codestream | None) -> str:
    """What the components of a decoded frame are.

    Markers stand in the bytes that every decoder reads, and decoders follow them whatever the header says. Without one,
    the header is believed, unless it says RGB of components that are named as those of JFIF are.

    Raises
    ------
    PixelsUnreadable
        some decoders would show other colours than others
    """
    if stream is None or description.samples_per_pixel != 3:
        return plain_photometric(description)
    if stream.colour is not None:
        return stream.colour
    if stream.numbered and stream.process in _LOSSY_JPEG and description.photometric_interpretation == "RGB":
        raise PixelsUnreadable(reason="the colours of a JPEG frame are RGB by the header and not by its components")
    return plain_photometric(description)


def _as_described(values: Frame, stream: Codestream, description: PixelDescription) -> Frame:
    """Decoded values in the header's type: sign and depth as the header has them.

    JPEG and JPEG-LS know no sign, and JPEG 2000 streams are found with the wrong one: the bits are the same, only the
    highest is understood differently.
    """
    precision, allocated, stored = stream.precision, description.bits_allocated, description.bits_stored
    if precision == allocated and values.dtype.itemsize * 8 == allocated:
        return values.astype(description.dtype)
    wide = values.astype(np.int32) & ((1 << precision) - 1)
    if description.signed:
        sign = 1 << (precision - 1)
        wide = (wide ^ sign) - sign
    if stored < precision < allocated:
        # Neither the sample's depth nor the whole cell: true only if no value needs the bits above.
        low, high = (-(1 << (stored - 1)), 1 << (stored - 1)) if description.signed else (0, 1 << stored)
        if wide.min() < low or wide.max() >= high:
            raise PixelsUnreadable(reason=f"a frame has values of {precision} bits where the header stores {stored}")
    return wide.astype(description.dtype)
