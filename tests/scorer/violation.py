"""What can be wrong with an output."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong."""

    NOT_REMOVED = "an element that must go is present"
    NOT_REPLACED = "an original value is present where a dummy or nothing must be"
    NOT_KEPT = "an element that an option retains is gone or changed"
    NOT_SHIFTED = "a date is not the original, shifted by the patient's whole days"
    LOST = "an element that must be there, empty or with a dummy, is not"
    EMPTIED = "an element that must have a dummy is empty"
    PRIVATE = "a private element is present that is not known to be safe"
    UNKNOWN = "an element that no dictionary knows is present"
    GROUP_LENGTH = "a group length is present"
    UID_KEPT = "an original UID is present"
    UID_INVALID = "a UID is not valid"
    UID_INCONSISTENT = "one UID became two, or two became one"
    IDENTITY = "an identity is present"
    CONTENT = "a content item is not valid within its tree"
    PREAMBLE = "the preamble is not zero"
    META = "the file meta information has what it must not have, or lacks what it must"
    STAMP = "a stamp of de-identification is missing or wrong"
    INVALID = "a value is not valid for its VR, and is not the original's"
    PIXELS = "pixel data is not the original's"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong at one place of the output."""

    kind: Kind
    place: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.kind.value}{': ' if self.detail else ''}{self.detail}"
