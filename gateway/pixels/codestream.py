"""What a compressed frame says of itself, read from its headers without decoding it.

Dimensions and depths are compared with the data set's before anything is allocated or a codec sees the bytes
(promise P7): JPEG (ISO/IEC 10918-1 B.2), JPEG-LS (ISO/IEC 14495-1 C.2), JPEG 2000 and HTJ2K (ISO/IEC 15444-1 A.5,
15444-15), RLE (PS3.5 G.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from struct import error as struct_error
from typing import Final

from gateway.errors import PixelsUnreadable

_WORD: Final = Struct(">H").unpack_from
_LONG: Final = Struct(">I").unpack_from
_BOX: Final = Struct(">I4s").unpack_from
_FRAME: Final = Struct(">BHHB").unpack_from
_SIZE: Final = Struct(">HHIIIIIIIIH").unpack_from
_SEGMENTS: Final = Struct("<16I").unpack_from

_SOS: Final = 0xDA
_APP0: Final = 0xE0
_APP14: Final = 0xEE
_JPEG_LS: Final = 0xF7
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
#: Start of frame: SOF0 to SOF15 without DHT, JPG and DAC, which lie between them, and that of JPEG-LS.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), _JPEG_LS}) - {0xC4, 0xC8, 0xCC}
#: A second image, the end, a height that follows the scan (DNL), a hierarchical image (DHP).
_REFUSED: Final = frozenset({0xD8, 0xD9, 0xDC, 0xDE})
#: EOI, or EOC of JPEG 2000, and padding that may follow it, in bytes.
_END: Final = b"\xff\xd9"
_MOST_PADDING: Final = 4096
_JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_MOST_BOXES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Codestream:
    """The claims of one compressed frame.

    Attributes
    ----------
    rows, columns
        size in pixels
    components
        samples of a pixel
    precision
        bits of a sample, the greatest where components differ
    signed
        whether samples are signed; None where the format cannot say
    process
        ``baseline``, ``extended``, ``progressive`` or ``lossless`` (JPEG), ``jpeg-ls``, ``jpeg-2000`` or ``htj2k``
    colour
        what markers say the three components of a JPEG are, ``RGB`` or ``YBR_FULL``; None if none says it
    numbered
        whether the components have the names 1, 2, 3, as luminance and chroma have them in JFIF
    lossy
        whether the coding loses information; None where that cannot be told from the headers
    start
        where the codestream proper begins, behind the boxes of a JP2 file
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None
    process: str
    colour: str | None = None
    numbered: bool = False
    lossy: bool | None = None
    start: int = 0


def read_codestream(data: bytes, family: str) -> Codestream:
    """The claims of a frame.

    Parameters
    ----------
    data
        the frame
    family
        ``jpeg``, ``jpeg-ls``, ``jpeg-2000`` or ``htj2k``

    Raises
    ------
    PixelsUnreadable
        its headers are none of that family's, truncated, or of a kind that no codec here decodes; it does
        not end where it should
    """
    try:
        stream = _jpeg(data, family) if family in ("jpeg", "jpeg-ls") else _jpeg_2000(data, family)
    except (struct_error, IndexError):
        raise PixelsUnreadable(reason="the headers of a compressed frame are truncated") from None
    # Decoders fill what is missing with grey, one of them in minutes; and nobody looks at what is behind the end.
    if not data[-_MOST_PADDING:].rstrip(b"\0\xff").endswith(_END):
        raise PixelsUnreadable(reason="a compressed frame is truncated, or something follows its end")
    return stream


def rle_segments(data: bytes) -> int:
    """The number of segments of an RLE frame, its header checked (PS3.5 G.5).

    Raises
    ------
    PixelsUnreadable
        the header is truncated, or its offsets are not in order inside the frame
    """
    if len(data) < 64:
        raise PixelsUnreadable(reason="the header of an RLE frame is truncated")
    count, *offsets = _SEGMENTS(data)
    used = offsets[:count]
    if not 1 <= count <= 15 or used[0] != 64 or any(offsets[count:]):
        raise PixelsUnreadable(reason="the header of an RLE frame is broken")
    if any(end <= begin for begin, end in zip(used, [*used[1:], len(data)], strict=True)):
        raise PixelsUnreadable(reason="the segments of an RLE frame lie outside of it")
    return int(count)


def _jpeg(data: bytes, family: str) -> Codestream:
    colours, frame, scan = _jpeg_headers(data)
    marker, precision, rows, columns, components = frame
    process = _PROCESSES.get(marker)
    if process is None or (process == "jpeg-ls") != (family == "jpeg-ls"):
        raise PixelsUnreadable(reason="a JPEG frame is coded by another process than its transfer syntax has")
    # Of JPEG-LS the parameter NEAR stands behind the scan's components (C.2.3).
    lossy = data[scan + 1 + 2 * data[scan]] > 0 if process == "jpeg-ls" else process != "lossless"
    return Codestream(
        rows=rows,
        columns=columns,
        components=components,
        precision=precision,
        signed=None,
        process=process,
        colour=colours.of(process) if components == 3 else None,
        numbered=colours.names == b"\1\2\3",
        lossy=lossy,
    )


@dataclass(slots=True)
class _Colours:
    """What the segments of a JPEG say of its three components, as decoders read them.

    Attributes
    ----------
    jfif
        whether there is a JFIF marker, which only luminance and chroma may have (JFIF 1.02)
    adobe
        what an Adobe marker says (Adobe Technical Note 5116)
    names
        the identifiers of the components; encoders that leave red, green and blue as they are write these letters
    """

    jfif: bool = False
    adobe: str | None = None
    names: bytes = b""

    def of(self, process: str) -> str | None:
        """The colours of a frame of this process; of a lossless one JFIF and names say nothing."""
        if process in ("lossless", "jpeg-ls"):
            return self.adobe
        said = {"YBR_FULL" if self.jfif else None, self.adobe, "RGB" if self.names == b"RGB" else None} - {None}
        if len(said) > 1:
            raise PixelsUnreadable(reason="the markers of a JPEG frame contradict each other about its colours")
        return said.pop() if said else None


def _jpeg_headers(data: bytes) -> tuple[_Colours, tuple[int, int, int, int, int], int]:
    """What tells colours, the frame header's marker and content, and where the scan header's content begins."""
    if data[:2] != b"\xff\xd8":
        raise PixelsUnreadable(reason="a compressed frame does not begin as JPEG does")
    pos, colours, frame = 2, _Colours(), None
    while True:
        if data[pos] != 0xFF:
            raise PixelsUnreadable(reason="the headers of a JPEG frame are broken")
        marker = data[pos + 1]
        if marker == 0xFF or marker in _STANDALONE:  # a fill byte (B.1.1.2), or a marker without a segment
            pos += 1 if marker == 0xFF else 2
            continue
        if marker in _REFUSED:
            raise PixelsUnreadable(reason="the headers of a JPEG frame are of a kind that is not decoded")
        length = _WORD(data, pos + 2)[0]
        content = pos + 4
        if length < 2 or content + length - 2 > len(data):
            raise PixelsUnreadable(reason="the headers of a JPEG frame are truncated")
        if marker == _SOS:
            if frame is None:
                raise PixelsUnreadable(reason="a JPEG frame has no frame header")
            return colours, frame, content
        if marker == _APP14 and data[content : content + 5] == b"Adobe" and length >= 14:
            colours.adobe = {0: "RGB", 1: "YBR_FULL"}.get(data[content + 11])
        elif marker == _APP0 and data[content : content + 5] == b"JFIF\0":
            colours.jfif = True
        elif marker in _FRAMES:
            if frame is not None:
                raise PixelsUnreadable(reason="a JPEG frame has two frame headers")
            frame = (marker, *_FRAME(data, content))
            colours.names = data[content + 6 : content + 6 + 3 * frame[-1] : 3]
        pos = content + length - 2


#: Frame header marker -> process; hierarchical and arithmetic coding are left out.
_PROCESSES: Final = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    _JPEG_LS: "jpeg-ls",
}


def _jpeg_2000(data: bytes, family: str) -> Codestream:
    start = _codestream_box(data) if data[:12] == _JP2_SIGNATURE else 0
    if data[start : start + 4] != b"\xff\x4f\xff\x51":
        raise PixelsUnreadable(reason="a compressed frame does not begin as JPEG 2000 does")
    pos = start + 4
    length, profile, right, bottom, left, top, wide, high, _, _, components = _SIZE(data, pos)
    if length != 38 + 3 * components or not components or not wide or not high or right <= left or bottom <= top:
        raise PixelsUnreadable(reason="the size of a JPEG 2000 frame is broken")
    depths = {data[pos + 38 + 3 * number] for number in range(components)}
    steps = {data[pos + 39 + 3 * number : pos + 41 + 3 * number] for number in range(components)}
    if len(depths) != 1 or steps != {b"\1\1"}:
        raise PixelsUnreadable(reason="the components of a JPEG 2000 frame differ in size or depth")
    depth = depths.pop()
    if (profile & 0x4000 != 0) != (family == "htj2k"):
        raise PixelsUnreadable(reason="a JPEG 2000 frame is coded by another part than its transfer syntax has")
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=depth > 0x7F,
        process=family,
        lossy=True if _is_irreversible(data, pos + length) else None,
        start=start,
    )


def _is_irreversible(data: bytes, pos: int) -> bool:
    """Whether the 9-7 wavelet is used, which rounds; the 5-3 wavelet may have been cut short all the same."""
    while data[pos] == 0xFF and data[pos + 1] not in (0x90, 0x93):
        if data[pos + 1] == 0x52:
            return data[pos + 13] == 0
        pos += 2 + _WORD(data, pos + 2)[0]
    raise PixelsUnreadable(reason="a JPEG 2000 frame has no coding style")


def _codestream_box(data: bytes) -> int:
    """Where the codestream of a JP2 file begins (ISO/IEC 15444-1 I.4), which some writers put into a fragment."""
    pos = 0
    for _ in range(_MOST_BOXES):
        length, kind = _BOX(data, pos)
        if kind == b"jp2c":
            return pos + (16 if length == 1 else 8)
        if length < 8:
            break
        pos += length
    raise PixelsUnreadable(reason="a JP2 file without a codestream")
