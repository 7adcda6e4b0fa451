"""Which transfer syntaxes are decoded, which are written, and what may be written in which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gateway.dicom.transfer_syntax import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from gateway.errors import PixelsUnreadable, PixelsUnwritable
from gateway.pixels.decoder import Codec
from gateway.pixels.description import PixelDescription

JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"

#: Words of profiles and destinations for how frames are written.
EncodingWord: TypeAlias = Literal["same", "explicit", "jpeg-ls", "jpeg-2000", "htj2k", "rle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How the frames of a transfer syntax are coded.

    Attributes
    ----------
    codec
        which decoder; None for frames that are native in their fragments
    family
        what ``codestream`` is to expect
    begins
        the bytes with which every frame begins; empty if there are none
    lossless
        UID of the lossless transfer syntax of the same family that is written here; None without one
    method
        Lossy Image Compression Method (0028,2114) of the family (PS3.3 C.7.6.1.1.5.1); empty if it is never lossy
    """

    codec: Codec | None
    family: str
    begins: bytes = b""
    lossless: str | None = None
    method: str = ""


_JPEG: Final = Coding(codec=Codec.JPEG, family="jpeg", begins=b"\xff\xd8", method="ISO_10918_1")
_JPEG_LS: Final = Coding(
    codec=Codec.JPEG_LS, family="jpeg-ls", begins=b"\xff\xd8", lossless=JPEG_LS_LOSSLESS, method="ISO_14495_1"
)
_JPEG_2000: Final = Coding(
    codec=Codec.JPEG_2000,
    family="jpeg-2000",
    begins=b"\xff\x4f\xff\x51",
    lossless=JPEG_2000_LOSSLESS,
    method="ISO_15444_1",
)
_HTJ2K: Final = Coding(
    codec=Codec.HTJ2K, family="htj2k", begins=b"\xff\x4f\xff\x51", lossless=HTJ2K_LOSSLESS, method="ISO_15444_15"
)

#: UID of an encapsulated transfer syntax -> how its frames are coded; what is not here is not decoded.
CODINGS: Final[dict[str, Coding]] = {
    "1.2.840.10008.1.2.1.98": Coding(codec=None, family="native"),
    "1.2.840.10008.1.2.4.50": _JPEG,
    "1.2.840.10008.1.2.4.51": _JPEG,
    "1.2.840.10008.1.2.4.57": _JPEG,
    "1.2.840.10008.1.2.4.70": _JPEG,
    "1.2.840.10008.1.2.4.80": _JPEG_LS,
    "1.2.840.10008.1.2.4.81": _JPEG_LS,
    "1.2.840.10008.1.2.4.90": _JPEG_2000,
    "1.2.840.10008.1.2.4.91": _JPEG_2000,
    "1.2.840.10008.1.2.4.201": _HTJ2K,
    "1.2.840.10008.1.2.4.202": _HTJ2K,
    "1.2.840.10008.1.2.4.203": _HTJ2K,
    "1.2.840.10008.1.2.5": Coding(codec=Codec.RLE, family="rle", lossless=RLE_LOSSLESS),
    "1.2.840.10008.1.2.8.1": Coding(codec=Codec.DEFLATE, family="deflate"),
}
#: Retired processes of JPEG, and JPEG 2000 Part 2: not decoded, but as well known as the others in their segments.
_FOLLOWED: Final[dict[str, Coding]] = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (*range(52, 57), *range(58, 67))), _JPEG),
    **dict.fromkeys(("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93"), _JPEG_2000),
}
#: Words in the names of the transfer syntaxes of video (PS3.5 A.4.5 to A.4.9).
_VIDEO: Final = ("MPEG", "HEVC")
#: JPEG processes that a transfer syntax may hold (PS3.5 A.4.1).
PROCESSES: Final[dict[str, frozenset[str]]] = {
    "1.2.840.10008.1.2.4.50": frozenset({"baseline"}),
    "1.2.840.10008.1.2.4.51": frozenset({"baseline", "extended"}),
    "1.2.840.10008.1.2.4.57": frozenset({"lossless"}),
    "1.2.840.10008.1.2.4.70": frozenset({"lossless"}),
}
#: Word -> UID of the transfer syntax in which frames are written.
WRITTEN: Final[dict[str, str]] = {
    "explicit": EXPLICIT_VR_LITTLE_ENDIAN,
    "jpeg-ls": JPEG_LS_LOSSLESS,
    "jpeg-2000": JPEG_2000_LOSSLESS,
    "htj2k": HTJ2K_LOSSLESS,
    "rle": RLE_LOSSLESS,
}
_NATIVE: Final = frozenset({EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN})
_ENCODERS: Final = {
    JPEG_LS_LOSSLESS: Codec.JPEG_LS,
    JPEG_2000_LOSSLESS: Codec.JPEG_2000,
    HTJ2K_LOSSLESS: Codec.HTJ2K,
    RLE_LOSSLESS: Codec.RLE,
}


def coding_of(uid: str) -> Coding:
    """How the frames of an encapsulated transfer syntax are coded.

    Raises
    ------
    PixelsUnreadable
        nothing here decodes them, such as video
    """
    coding = CODINGS.get(uid)
    if coding is None:
        known = TRANSFER_SYNTAXES.get(uid)
        raise PixelsUnreadable(reason=f"{known.name if known else 'an unknown transfer syntax'} is not decoded")
    return coding


def structure_of(uid: str) -> Coding:
    """How the frames of an encapsulated transfer syntax are put together, whether or not they are decoded here.

    Raises
    ------
    PixelsUnreadable
        nothing here follows them
    """
    return _FOLLOWED.get(uid) or coding_of(uid)


def is_followed(uid: str) -> bool:
    """Whether frames of a transfer syntax are native, or ``structure_of`` knows how they are put together."""
    syntax = TRANSFER_SYNTAXES.get(uid)
    return syntax is not None and (not syntax.encapsulated or uid in _FOLLOWED or uid in CODINGS)


def is_video(uid: str) -> bool:
    """Whether a transfer syntax is one of video, which has streams in place of frames."""
    known = TRANSFER_SYNTAXES.get(uid)
    return known is not None and any(word in known.name for word in _VIDEO)


def encoder_of(uid: str) -> Codec | None:
    """The codec that writes frames in a transfer syntax; None for the native ones.

    Raises
    ------
    PixelsUnwritable
        nothing is written in this syntax
    """
    if uid in _NATIVE:
        return None
    codec = _ENCODERS.get(uid)
    if codec is None:
        raise PixelsUnwritable(syntax=_name(uid), reason="nothing is written in it here")
    return codec


def obstacle(uid: str, description: PixelDescription) -> str | None:
    """Why frames of this description cannot be written in a transfer syntax (PS3.5 8.2); None if they can."""
    if uid in _NATIVE:
        return None
    allocated = description.bits_allocated
    if allocated == 1:
        return "samples are single bits"
    if uid != RLE_LOSSLESS and allocated > 16:
        return f"samples have {allocated} bits"
    return None


def output_syntax(word: EncodingWord | None, description: PixelDescription) -> str:
    """The transfer syntax in which treated frames of an instance are written.

    Native frames stay native and compressed ones become lossless JPEG-LS, or native where JPEG-LS cannot hold them,
    unless ``word`` says otherwise. An instance in implicit VR stays native: encapsulated frames need explicit VR.

    Parameters
    ----------
    word
        what a profile says; ``same`` is the lossless syntax of the same family; None: nothing
    description
        of the instance as received

    Raises
    ------
    PixelsUnwritable
        the syntax that ``word`` names cannot hold these frames
    """
    source = description.transfer_syntax
    if source == IMPLICIT_VR_LITTLE_ENDIAN:
        return source
    if word is None or word == "same":
        if not description.encapsulated:
            return source
        own = CODINGS[source].lossless if source in CODINGS and word == "same" else None
        choice = own or JPEG_LS_LOSSLESS
        return EXPLICIT_VR_LITTLE_ENDIAN if obstacle(choice, description) else choice
    choice = WRITTEN[word]
    reason = obstacle(choice, description)
    if reason is not None:
        raise PixelsUnwritable(syntax=_name(choice), reason=reason)
    return choice


def _name(uid: str) -> str:
    known = TRANSFER_SYNTAXES.get(uid)
    return known.name if known else "an unknown transfer syntax"
