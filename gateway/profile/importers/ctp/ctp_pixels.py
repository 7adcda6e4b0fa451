"""Scripts of CTP's DicomPixelAnonymizer: signatures of devices and the rectangles to blank.

``{ condition } (x,y,w,h) (x,y,w,h)`` with free text around. Each signature becomes a mask rule. Where CTP is lenient
the profile is not: the areas of all signatures that match are blanked, not those of the first alone; every transfer
syntax is treated; and what no signature matches is under the gateway's own caution.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.profile.importers.ctp.filters import FilterError, filter_condition, widest_condition
from gateway.profile.importers.ctp.model import Draft, NotCarried, PixelMask

_SIGNATURE: Final = re.compile(r"\{(?P<test>(?:[^{}\"]|\"[^\"]*\")*)\}(?P<areas>(?:\s*\([^()]*\))*)", re.DOTALL)
_AREA: Final = re.compile(r"\(([^()]*)\)")
_NUMBER: Final = re.compile(r"\s*-?[0-9]{1,5}\s*")
_LONGEST_SCRIPT: Final = 160
#: Condition of what is held instead -> how the import says it.
_HELD: Final = {
    "true": "every image is held, because conditions cannot say which",
    "false": "nothing: whatever the test, CTP blanks nothing by it",
}


def is_pixel_script(text: str) -> bool:
    """Whether ``text`` is a script of the DicomPixelAnonymizer rather than of the DicomFilter."""
    return any(signature["areas"].strip() for signature in _SIGNATURE.finditer(text))


def import_pixels(text: str, *, file: str, draft: Draft) -> None:
    """Add a mask rule for every signature of a pixel script.

    A signature that cannot be carried over holds the instances that it may be about, by the tests that can be said;
    every image if none can.

    Parameters
    ----------
    text
        the script
    file
        its name, for comments and reasons
    draft
        gets the rules, and what is not carried over as it was
    """
    for signature in _SIGNATURE.finditer(text):
        if not signature["areas"].strip():
            continue
        line = text.count("\n", 0, signature.start()) + 1
        place = f"{file}:{line}"
        script = " ".join(f"{{{signature['test'].strip()}}} {signature['areas'].strip()}".split())[:_LONGEST_SCRIPT]
        because = f"the CTP script {file}, line {line}, blanks a part of such images"
        try:
            condition, remarks = filter_condition(signature["test"])
        except FilterError as failed:
            held = _widest(signature["test"])
            if held != "false":
                draft.pixels.append(PixelMask((), "" if held == "true" else held, because))
            draft.not_carried.append(NotCarried(place, script, str(failed), _HELD.get(held, f"held: {held}")))
            continue
        if condition == "false":
            why = "the condition is never true: CTP blanks nothing by it"
            draft.not_carried.append(NotCarried(place, script, why, "nothing; instances of risky kinds are held"))
            continue
        draft.not_carried += [NotCarried(place, script, why, "the condition of the mask") for _, why in remarks]
        areas = _areas(signature["areas"])
        if areas is None:
            why = "an area is not (x,y,width,height) of an image"
            draft.not_carried.append(NotCarried(place, script, why, "such images are held"))
        draft.pixels.append(PixelMask(areas or (), "" if condition == "true" else condition, because))


def _widest(test: str) -> str:
    """The condition for the images that a signature may be about, of which a part cannot be said."""
    try:
        return widest_condition(test).text
    except FilterError:
        return "true"


def _areas(text: str) -> tuple[str, ...] | None:
    """The rectangles as a profile writes them, None if one is no rectangle.

    CTP's ranges include their ends, so that it blanks a column and a row more than the script says.
    """
    rectangles = []
    for area in _AREA.findall(text):
        numbers = area.split(",")
        if len(numbers) != 4 or not all(_NUMBER.fullmatch(number) for number in numbers):
            return None
        x, y, width, height = (int(number) for number in numbers)
        if width < 0 or height < 0:
            return None
        sizes = [
            "-" if start < 0 and size + 1 >= -start else str(size + 1) for start, size in ((x, width), (y, height))
        ]
        rectangles.append(f"[{x}, {y}, {sizes[0]}, {sizes[1]}]")
    return tuple(rectangles)
