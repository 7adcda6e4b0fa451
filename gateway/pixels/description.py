"""What the header says of the pixel data (PS3.3 C.7.6.3), checked for contradictions before a byte of it is read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from struct import iter_unpack, unpack_from
from typing import Final

from gateway.dicom.charset import CharacterSets
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import PIXEL_DATA, UNDEFINED_LENGTH, show
from gateway.dicom.transfer_syntax import transfer_syntax
from gateway.errors import PixelsUnreadable
from gateway.pixels.palette import Palette, read_palette
from gateway.remembering import BoundedMapping

FLOAT_PIXEL_DATA: Final = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA: Final = 0x7FE00009
PIXEL_DATA_PROVIDER_URL: Final = 0x00287FE0
SAMPLES_PER_PIXEL: Final = 0x00280002
PHOTOMETRIC_INTERPRETATION: Final = 0x00280004
PLANAR_CONFIGURATION: Final = 0x00280006
NUMBER_OF_FRAMES: Final = 0x00280008
ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
BITS_ALLOCATED: Final = 0x00280100
BITS_STORED: Final = 0x00280101
HIGH_BIT: Final = 0x00280102
PIXEL_REPRESENTATION: Final = 0x00280103
PIXEL_PADDING_VALUE: Final = 0x00280120

#: Photometric Interpretation -> Samples per Pixel (PS3.3 C.7.6.3.1.2).
_SAMPLES: Final = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
_DEPTHS: Final = (1, 8, 16, 32)
#: Forms of frames that are not encapsulated, beside those with all samples of all pixels.
_SUBSAMPLED: Final = frozenset({"YBR_PARTIAL_422", "YBR_PARTIAL_420"})
_COMPRESSED_ONLY: Final = frozenset({"YBR_ICT", "YBR_RCT"})
_INTEGERS: Final = {b"US": "<H", b"SS": "<h", b"UL": "<I", b"SL": "<i"}
_GROUP: Final = 0x0028
_CHUNK: Final = 1 << 20
#: Descriptions that are remembered, and the longest group 0028 of them in bytes: a longer one is hardly met twice.
_MOST_REMEMBERED: Final = 256
_LONGEST_REMEMBERED: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDescription:
    """The Image Pixel Module of an instance that has Pixel Data (7FE0,0010).

    Attributes
    ----------
    rows, columns
        size of a frame in pixels
    samples_per_pixel
        1 or 3
    photometric_interpretation
        as the header has it, such as ``MONOCHROME2``
    bits_allocated
        bits of a sample in native form: 1, 8, 16 or 32
    bits_stored, high_bit
        which of those bits are the sample
    pixel_representation
        0 unsigned, 1 two's complement
    planar_configuration
        0 colour by pixel, 1 colour by plane
    frames
        number of frames
    transfer_syntax
        UID of the encoding of the mapped bytes
    encapsulated
        whether Pixel Data is a sequence of fragments
    padding_value
        Pixel Padding Value (0028,0120), None if absent
    palette
        the look-up table of PALETTE COLOR; None for others, and where it is segmented
    """

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    planar_configuration: int
    frames: int
    transfer_syntax: str
    encapsulated: bool
    padding_value: int | None = None
    palette: Palette | None = None

    @property
    def signed(self) -> bool:
        """Whether samples are two's complement."""
        return self.pixel_representation == 1

    @property
    def frame_pixels(self) -> int:
        """Pixels of a frame."""
        return self.rows * self.columns

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame with all samples of all its pixels; a frame of single bits is counted in bytes."""
        return self.frame_pixels * self.samples_per_pixel * max(1, self.bits_allocated // 8)

    @property
    def native_bits(self) -> int:
        """Bits of a frame in native form, where YBR_FULL_422 has two samples per pixel (PS3.3 C.7.6.3.1.2)."""
        samples = 2 if self.photometric_interpretation == "YBR_FULL_422" else self.samples_per_pixel
        return self.frame_pixels * samples * self.bits_allocated

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a frame: rows, columns and, for colour, samples."""
        if self.samples_per_pixel == 1:
            return self.rows, self.columns
        return self.rows, self.columns, self.samples_per_pixel

    @property
    def dtype(self) -> str:
        """Type of a stored value as numpy names it; single bits are unpacked into bytes."""
        return f"<{'i' if self.signed else 'u'}{max(1, self.bits_allocated // 8)}"


def has_pixels(instance: Instance) -> bool:
    """Whether the instance has pixel data of any kind at its top level, be it in another place (JPIP)."""
    kinds = (PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA, PIXEL_DATA_PROVIDER_URL)
    return any(find(instance.elements, tag) is not None for tag in kinds)


def describe(instance: Instance) -> PixelDescription | None:
    """The description of the instance's pixel data; None if there is none.

    What the header says is compared with itself and, for native pixel data, with the length of the element; compressed
    frames are compared with it when they are opened.

    Raises
    ------
    PixelsUnreadable
        an attribute is missing or impossible, attributes contradict each other or the element's length,
        or the pixels are floating-point numbers or lie elsewhere
    """
    if not has_pixels(instance):
        return None
    element = find(instance.elements, PIXEL_DATA)
    for tag, what in (
        (FLOAT_PIXEL_DATA, "floating-point numbers"),
        (DOUBLE_FLOAT_PIXEL_DATA, "floating-point numbers"),
        (PIXEL_DATA_PROVIDER_URL, "kept by another server (JPIP)"),
    ):
        if find(instance.elements, tag) is not None:
            raise PixelsUnreadable(reason=f"{show(tag)}: pixels are {what}, which no pixel rule understands")
    if element is None:
        return None
    description = _described(instance)
    _check_element(instance, element, description)
    return description


def integer(instance: Instance, tag: int, *, default: int | None = None) -> int:
    """The value of a top-level element of VR US, SS, UL, SL or IS.

    Raises
    ------
    PixelsUnreadable
        it is absent without a default, or has not exactly one value
    """
    element = find(instance.elements, tag)
    if element is None or element[3] == element[4]:
        if default is None:
            raise PixelsUnreadable(reason=f"{show(tag)} is missing")
        return default
    _, vr, _, value, end, items = element
    data = bytes(instance.buffer[value:end])
    if items is not None:
        raise PixelsUnreadable(reason=f"{show(tag)} is a sequence")
    if vr == b"IS" or tag == NUMBER_OF_FRAMES:
        text = data.strip(b" \0")
        if not text.isdigit() or len(text) > 12:
            raise PixelsUnreadable(reason=f"{show(tag)} is no number")
        return int(text)
    numbers = [number for (number,) in iter_unpack(_format(vr, data), data)] if _fits(vr, data) else []
    if len(numbers) != 1:
        raise PixelsUnreadable(reason=f"{show(tag)} has not one value")
    return int(numbers[0])


def _format(vr: bytes, data: bytes) -> str:
    # VR UN, or what an implicit data set leaves open (US or SS): PS3.5 A.1.
    return _INTEGERS.get(vr) or ("<I" if len(data) == 4 else "<H")


def _fits(vr: bytes, data: bytes) -> bool:
    return vr in (b"US", b"SS", b"UL", b"SL", b"UN") and len(data) in (2, 4)


#: What a description was read from -> the description: the images of a series have one in common.
_remembered: Final[BoundedMapping[tuple[str, bool, CharacterSets, bytes], PixelDescription]] = BoundedMapping(
    _MOST_REMEMBERED
)


def _described(instance: Instance) -> PixelDescription:
    """The description that the header gives, compared with itself."""
    said = _said(instance)
    known = None if said is None else _remembered.get(said)
    if known is not None:
        return known
    description = _read(instance)
    _check(description)
    # A palette may be a hundred times longer than what it is read from.
    if said is not None and description.palette is None:
        _remembered[said] = description
    return description


def _said(instance: Instance) -> tuple[str, bool, CharacterSets, bytes] | None:
    """All that a description is read from; None where that does not lie in one piece, or is long."""
    if instance.make is None:
        return None
    elements = instance.elements
    # A tuple sorts before a longer one that begins with it.
    first = bisect_left(elements, (_GROUP << 16,))
    after = bisect_left(elements, (_GROUP + 1 << 16,))
    if first == after:
        return None
    start, end = elements[first][2], elements[after - 1][4]
    if end - start > _LONGEST_REMEMBERED:
        return None
    return instance.transfer_syntax, instance.implicit, instance.character_sets, instance.buffer[start:end]


def _read(instance: Instance) -> PixelDescription:
    syntax = transfer_syntax(instance.transfer_syntax)
    if syntax is None:
        raise PixelsUnreadable(reason="the transfer syntax is unknown")
    samples = integer(instance, SAMPLES_PER_PIXEL)
    allocated = integer(instance, BITS_ALLOCATED)
    stored = integer(instance, BITS_STORED, default=allocated)
    representation = integer(instance, PIXEL_REPRESENTATION, default=0)
    photometric = instance.text(PHOTOMETRIC_INTERPRETATION)
    return PixelDescription(
        rows=integer(instance, ROWS),
        columns=integer(instance, COLUMNS),
        samples_per_pixel=samples,
        photometric_interpretation=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=integer(instance, HIGH_BIT, default=stored - 1),
        pixel_representation=representation,
        planar_configuration=integer(instance, PLANAR_CONFIGURATION, default=0) if samples > 1 else 0,
        frames=integer(instance, NUMBER_OF_FRAMES, default=1),
        transfer_syntax=instance.transfer_syntax,
        encapsulated=syntax.encapsulated,
        padding_value=_padding(instance, PIXEL_PADDING_VALUE, allocated, signed=representation == 1),
        palette=read_palette(instance) if photometric == "PALETTE COLOR" else None,
    )


def _padding(instance: Instance, tag: int, allocated: int, *, signed: bool) -> int | None:
    """A padding value as Pixel Representation says it is to be read, whatever VR was written (PS3.3 C.7.5.1.1.2)."""
    element = find(instance.elements, tag)
    if element is None or element[4] - element[3] < 2 or element[5] is not None:
        return None
    number = unpack_from("<h" if signed else "<H", instance.buffer, element[3])[0]
    return int(number) if allocated > 8 or signed else int(number) & 0xFF


def _check(description: PixelDescription) -> None:
    """Compare the attributes with each other (PS3.3 C.7.6.3.1, PS3.5 8.1.1)."""
    allocated, stored = description.bits_allocated, description.bits_stored
    photometric = description.photometric_interpretation
    if not (0 < description.rows <= 0xFFFF and 0 < description.columns <= 0xFFFF):
        raise PixelsUnreadable(reason=f"a frame of {description.rows} rows and {description.columns} columns")
    if description.frames < 1:
        raise PixelsUnreadable(reason="Number of Frames is 0")
    if photometric not in _SAMPLES:
        raise PixelsUnreadable(reason="Photometric Interpretation is missing, retired or unknown")
    if description.samples_per_pixel != _SAMPLES[photometric]:
        raise PixelsUnreadable(reason=f"{photometric} with {description.samples_per_pixel} samples per pixel")
    if allocated not in _DEPTHS:
        raise PixelsUnreadable(reason=f"Bits Allocated is {allocated}")
    if not (0 < stored <= allocated and stored - 1 <= description.high_bit < allocated):
        raise PixelsUnreadable(
            reason=f"{stored} bits stored up to bit {description.high_bit} of {allocated} bits allocated"
        )
    if description.pixel_representation not in (0, 1) or description.planar_configuration not in (0, 1):
        raise PixelsUnreadable(reason="Pixel Representation or Planar Configuration is neither 0 nor 1")
    if description.signed and (description.samples_per_pixel > 1 or allocated == 1):
        raise PixelsUnreadable(reason=f"{photometric} of {allocated} bits with signed values")
    if allocated == 1 and description.samples_per_pixel > 1:
        raise PixelsUnreadable(reason="colour with one bit per sample")


def _check_element(instance: Instance, element: Element, description: PixelDescription) -> None:
    """Compare the description with how Pixel Data is encoded and, if native, how long it is."""
    _, _, start, value, end, items = element
    undefined = (
        not instance.implicit
        and value - start == 12
        and unpack_from("<I", instance.buffer, value - 4)[0] == UNDEFINED_LENGTH
    )
    if items is not None:
        raise PixelsUnreadable(reason="Pixel Data is a sequence")
    if undefined != description.encapsulated:
        form = "encapsulated" if undefined else "native"
        raise PixelsUnreadable(reason=f"Pixel Data is {form}, which its transfer syntax does not allow")
    if description.encapsulated:
        return
    photometric = description.photometric_interpretation
    if photometric in _COMPRESSED_ONLY:
        raise PixelsUnreadable(reason=f"{photometric} in native form")
    if photometric in _SUBSAMPLED:
        raise PixelsUnreadable(reason=f"{photometric}, a retired form that nothing here reads")
    if photometric == "YBR_FULL_422" and (description.columns % 2 or description.bits_allocated != 8):
        raise PixelsUnreadable(reason="YBR_FULL_422 with an odd number of columns or other than 8 bits")
    if photometric == "YBR_FULL_422" and description.planar_configuration:
        raise PixelsUnreadable(reason="YBR_FULL_422 by plane")
    expected = (description.native_bits * description.frames + 7) // 8
    excess = end - value - expected
    # Excess padding is nobody's (PS3.5 8.1.1) and goes. As much as a frame may be one that is not counted.
    frame = max(1, description.native_bits // 8)
    if excess < 0 or (excess >= frame and any(_chunks(instance.buffer, end - excess, end))):
        raise PixelsUnreadable(reason=f"Pixel Data has {end - value} bytes, its description needs {expected}")


def _chunks(buffer: Buffer, start: int, stop: int) -> Iterator[bool]:
    """For each piece of a range whether it holds something other than zeros."""
    for pos in range(start, stop, _CHUNK):
        chunk = bytes(buffer[pos : min(stop, pos + _CHUNK)])
        yield chunk.count(0) < len(chunk)
