"""Pictures and documents that lie elsewhere than in the Pixel Data of the top level.

Icons, thumbnails in private elements, encapsulated documents: what no pixel rule sees and no leak scan reads. Where a
profile lets them stay, they are held like images that nobody looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.dicom.encoded import Buffer, Element
from gateway.dicom.tag import PIXEL_DATA, is_private, show

__all__ = ["Embedded", "embedded_in"]

#: Encapsulated Document (PS3.3 C.24.2).
_DOCUMENT: Final = 0x00420011
#: Pixel Data Provider URL is not among them: it is text.
_PIXELS: Final = frozenset((PIXEL_DATA, 0x7FE00008, 0x7FE00009))
_BYTES: Final = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"))
_KNOWN: Final = _PIXELS | {_DOCUMENT}
#: A private value of so many bytes could be a picture in any encoding; 64 x 64 grey pixels have as many.
_MOST_UNKNOWN_BYTES: Final = 4096
#: What files of pictures and documents begin with: JPEG, PNG, GIF, TIFF, JPEG 2000 (codestream, file), PDF, RIFF.
_SIGNATURES: Final = (
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"\xffO\xffQ", b"\0\0\0\x0cjP", b"%PDF", b"RIFF",
)  # fmt: skip
#: A DICOM file (PS3.10 7.1).
_PREAMBLE: Final = 128
_PREFIX: Final = b"DICM"
_LOOKED_AT: Final = _PREAMBLE + len(_PREFIX)
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture or document inside an instance.

    Attributes
    ----------
    kind
        ``picture``, ``document`` or ``private``
    where
        tags from the top level down to it
    digest
        SHA-256 of a document's bytes, since a profile may put another one in its place; empty for others
    """

    kind: str
    where: tuple[int, ...]
    digest: str = ""

    def __str__(self) -> str:
        return "/".join(show(tag) for tag in self.where)


def embedded_in(buffer: Buffer, elements: list[Element], path: tuple[int, ...] = ()) -> Iterator[Embedded]:
    """The pictures and documents in a data set, at every depth; Pixel Data at its top level is none of them.

    Parameters
    ----------
    buffer, elements
        the data set as indexed
    path
        tags of the sequences around it
    """
    for tag, vr, _start, value, end, items in elements:
        if items is None and vr not in _BYTES and tag not in _KNOWN:
            continue  # nearly all
        if items is not None:
            for item in items:
                yield from embedded_in(buffer, item[4], (*path, tag))
        elif value == end:
            continue
        elif tag in _PIXELS:
            if path:
                yield Embedded("picture", (*path, tag))
        elif tag == _DOCUMENT:
            yield Embedded("document", (*path, tag), _digest(buffer, value, end))
        elif is_private(tag) and vr in _BYTES and _may_be_picture(buffer, value, end):
            yield Embedded("private", (*path, tag))


def _may_be_picture(buffer: Buffer, value: int, end: int) -> bool:
    if end - value >= _MOST_UNKNOWN_BYTES:
        return True
    begin = bytes(buffer[value : min(end, value + _LOOKED_AT)])
    return begin.startswith(_SIGNATURES) or begin[_PREAMBLE:] == _PREFIX


def _digest(buffer: Buffer, value: int, end: int) -> str:
    digest = sha256()
    for start in range(value, end, _CHUNK):
        digest.update(bytes(buffer[start : min(end, start + _CHUNK)]))
    return digest.hexdigest()
