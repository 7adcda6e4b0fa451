"""What the ledger keeps of a held instance, so that people find it again and decide on all alike at once.

Keyed hashes of study and series, the type of the device, the size of the image, and where text was found: nothing by
which anybody is known who has not the project's secret (promise P9).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.deid import ProjectKey
from gateway.dicom.identifying import Kind
from gateway.dicom.instance import Instance
from gateway.errors import InstanceError, PixelsUnreadable
from gateway.ledger import HeldAbout
from gateway.pixels.description import describe
from gateway.pixels.sampling import SERIES_INSTANCE_UID
from gateway.verify.harvest import harvest

__all__ = ["about", "series_key", "study_key"]

_MODALITY: Final = 0x00080060
_MANUFACTURER: Final = 0x00080070
_MODEL: Final = 0x00081090
_STUDY_INSTANCE_UID: Final = 0x0020000D
#: Letters of a word below which it is in every text.
_SHORTEST: Final = 3
#: What people are known by.
_PEOPLE: Final = (Kind.NAME, Kind.ID, Kind.BIRTH_DATE, Kind.ADDRESS, Kind.PHONE)


def about(instance: Instance, key: ProjectKey, error: InstanceError) -> HeldAbout:
    """What is known of an instance that ``error`` holds.

    Parameters
    ----------
    instance
        as received
    key
        of its project
    error
        why it is held; its facts ``boxes`` and ``left`` tell where text is
    """
    people = [one.text for one in harvest(instance).findings if one.kind in _PEOPLE]
    try:
        description = describe(instance)
    except PixelsUnreadable:
        description = None
    return HeldAbout(
        study_key=study_key(key, instance.text(_STUDY_INSTANCE_UID)),
        series_key=series_key(key, instance.text(SERIES_INSTANCE_UID)),
        maker=_harmless(instance.text(_MANUFACTURER), people),
        model=_harmless(instance.text(_MODEL), people),
        modality=_harmless(instance.text(_MODALITY), people),
        rows=0 if description is None else description.rows,
        columns=0 if description is None else description.columns,
        frames=0 if description is None else description.frames,
        boxes=_boxes(error, "boxes"),
        left=_boxes(error, "left"),
    )


def study_key(key: ProjectKey, uid: str) -> str:
    """The keyed hash of a Study Instance UID; empty without one."""
    return key.token("study", uid) if uid else ""


def series_key(key: ProjectKey, uid: str) -> str:
    """The keyed hash of a Series Instance UID; empty without one."""
    return key.token("series", uid) if uid else ""


def _harmless(text: str, people: list[str]) -> str:
    """The text, if no word of anybody's name or number is in it: people write anything anywhere."""
    words = {word for one in people for word in _words(one)}
    return "" if any(word in words for word in _words(text)) else text


def _words(text: str) -> list[str]:
    """The words of a text that tell something."""
    return [word for word in re.split(r"[\W_]+", text.casefold()) if len(word) >= _SHORTEST]


def _boxes(error: InstanceError, name: str) -> tuple[tuple[int, int, int, int], ...]:
    boxes = error.facts.get(name)
    return boxes if isinstance(boxes, tuple) else ()
