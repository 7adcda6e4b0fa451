"""Scripts of CTP's DicomPixelAnonymizer: signatures of devices and the rectangles to blank.

``{ condition } (x,y,w,h) (x,y,w,h)`` with free text around. Profiles do not blank pixels: the instances that CTP would
blank are held, and every signature is listed as not carried over.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.profile.ctp.filters import FilterError, filter_condition
from gateway.profile.ctp.model import Acceptance, Draft, NotCarried

_SIGNATURE: Final = re.compile(r"\{(?P<test>(?:[^{}\"]|\"[^\"]*\")*)\}(?P<areas>(?:\s*\([^()]*\))*)", re.DOTALL)
_LONGEST_SCRIPT: Final = 160


def is_pixel_script(text: str) -> bool:
    """Whether ``text`` is a script of the DicomPixelAnonymizer rather than of the DicomFilter."""
    return any(found["areas"].strip() for found in _SIGNATURE.finditer(text))


def import_pixels(text: str, *, file: str, draft: Draft) -> None:
    """Hold the instances that the signatures of a pixel script are about, and list every signature."""
    for found in _SIGNATURE.finditer(text):
        if not found["areas"].strip():
            continue
        line = text.count("\n", 0, found.start()) + 1
        script = " ".join(f"{{{found['test'].strip()}}} {found['areas'].strip()}".split())
        held = "such instances are held"
        try:
            condition = filter_condition(found["test"]).text
        except FilterError as failed:
            condition, held = "true", f"every instance is held, because conditions cannot say which: {failed}"
        if condition != "false":
            because = f"the CTP script {file}, line {line}, blanks a part of such images"
            draft.accept.append(Acceptance("hold", condition, because))
        why = "pixel rules are not supported by this version"
        draft.not_carried.append(NotCarried(f"{file}:{line}", script[:_LONGEST_SCRIPT], why, held))
