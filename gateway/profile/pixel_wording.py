"""Pixel rules in the words of the people who answer for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from gateway.profile.pixel_program import (
    Crop,
    Deface,
    Encode,
    Encoding,
    FindText,
    HoldPixels,
    KeepRegion,
    Mask,
    Pass,
    PixelRule,
    Rectangle,
    UltrasoundRegions,
)

__all__ = ["key_of", "pixels_in_words"]

_KEYS: Final = {
    Mask: "mask",
    KeepRegion: "keep-region",
    UltrasoundRegions: "ultrasound-regions",
    Crop: "crop",
    FindText: "find-text",
    Pass: "pass",
    HoldPixels: "hold",
    Deface: "deface",
    Encode: "encode",
}
_ENCODINGS: Final[dict[Encoding, str]] = {
    "same": "as they were, without loss",
    "explicit": "uncompressed",
    "jpeg-ls": "as lossless JPEG-LS",
    "jpeg-2000": "as lossless JPEG 2000",
    "htj2k": "as lossless HTJ2K",
    "rle": "as RLE",
}
_BLANKED: Final = {
    "all": "all of it is blackened",
    "identifying": "what identifies is blackened",
    "nothing": "an instance with text is held",
}
_SCANNED: Final = {
    "every": "in every image",
    "sampled": "in every image, of original series of slices in some and in all once one had text",
    "risky": "in images of risky kinds",
}
_UNSURE: Final = {"hold": "where that is not sure the instance is held", "blank": "doubtful places are blackened"}


def key_of(rule: PixelRule) -> str:
    """The key by which a profile says the rule."""
    return _KEYS[type(rule)]


def pixels_in_words(rule: PixelRule) -> str:
    """What a pixel rule does, as a sentence without a full stop."""
    match rule:
        case Mask():
            return f"blackened: {_rectangles(rule.rectangles)}"
        case KeepRegion():
            return f"blackened: everything outside {_rectangles(rule.rectangles)}"
        case UltrasoundRegions():
            return "blackened: everything outside the ultrasound regions"
        case Crop():
            edges = [f"{getattr(rule, side)} at the {side}" for side in ("top", "bottom", "left", "right")]
            shown = ", ".join(edge for edge in edges if not edge.startswith("0 "))
            return f"{'cut off' if rule.geometry == 'change' else 'blackened'}: edges of {shown} (pixels)"
        case FindText():
            where = _SCANNED[rule.scan]
            strict = ", signs that do not read as text as well" if rule.strict else ""
            everywhere = ", words of the header in every place" if rule.thorough == "always" else ""
            return (
                f"text is looked for {where}{everywhere}; {_BLANKED[rule.blank]}{strict}; {_UNSURE[rule.when_unsure]}"
            )
        case Pass():
            return "declared free of burned-in text"
        case HoldPixels():
            return "held for a person to look at"
        case Deface():
            return "faces are taken out of whole series of CT and MR slices; where that is not sure they are held"
        case Encode():
            return f"frames that change are written {_ENCODINGS[rule.encoding]}"
    assert_never(rule)


def _rectangles(rectangles: Iterable[Rectangle]) -> str:
    return ", ".join(str(rectangle) for rectangle in rectangles)
