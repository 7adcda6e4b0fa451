"""Replacing UIDs (PS3.15 Table E.1-1, action U), and retaining those that tell nothing (PS3.15 E.3.9)."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final

from gateway.deid.project_key import ProjectKey
from gateway.dicom import encode
from gateway.dicom.encoded import Element
from gateway.dicom.uid import is_well_known
from gateway.profile import Action, RetainedUid

__all__ = ["holds_date", "made", "replace", "replaced_element", "retained"]

#: As the form of VR UI has it: with or without zeros in front of components, of any length.
_UID: Final = re.compile(r"[0-2](?:\.[0-9]+)*", re.ASCII)
#: Year, month and day at the beginning of a component, as three components, and as Siemens syngo writes them.
_DATES: Final = re.compile(
    r"(?<![0-9])(?:((?:18|19|20)[0-9]{2})([01][0-9])([0-3][0-9])|300000([0-9]{2})([01][0-9])([0-3][0-9])|"
    r"((?:18|19|20)[0-9]{2})\.([01]?[0-9])\.([0-3]?[0-9])(?![0-9]))",
    re.ASCII,
)
#: A UUID written as a decimal number (PS3.5 B.2): its digits say nothing.
_UUID: Final = re.compile(r"2\.25\.[0-9]{36,39}", re.ASCII)


def replace(original: str, key: ProjectKey) -> str:
    """The UID that stands for ``original`` everywhere in the project.

    Well-known UIDs (PS3.6 Annex A: SOP classes, well-known frames of reference, standard palettes) name no instance
    and stay; so does the empty value. Anything else is replaced, whether it is a valid UID or not.
    """
    if not original or is_well_known(original):
        return original
    return key.uid(original)


def retained(original: str, key: ProjectKey, *, dates: bool) -> str:
    """What stands for ``original`` where UIDs are retained: itself, if it is a UID and tells no date.

    The UID alone decides, and no header: what refers to an instance gets the same UID as the instance, in every file.

    Parameters
    ----------
    original
        as received
    key
        of the project
    dates
        whether dates leave as they are, so that a UID may hold them
    """
    if original and _UID.fullmatch(original) and (dates or not holds_date(original)):
        return original
    return replace(original, key)


@lru_cache(maxsize=16_384)
def holds_date(uid: str) -> bool:
    """Whether a UID has a date in it, such as the time at which a machine made it."""
    if _UUID.fullmatch(uid):
        return False
    for match in _DATES.finditer(uid):
        year, month, day = (int(one) for one in match.groups() if one is not None)
        try:
            date(year if year > 99 else 2000 + year, month, day)
        except ValueError:
            continue
        return True
    return False


def made(original: str, key: ProjectKey, rule: Action | None) -> str:
    """What ``rule``, which replaces or retains UIDs, makes of one; None: it is replaced."""
    if rule is not None and isinstance(rule.options, RetainedUid):
        return retained(original, key, dates=rule.options.dates)
    return replace(original, key)


def replaced_element(
    element: Element, raw: bytes, key: ProjectKey, rule: Action | None, *, implicit: bool
) -> bytes | None:
    """An element of VR UI with what its rule makes of the UIDs in ``raw``, its value; None if it stays."""
    text = raw.decode("latin-1")
    new = "\\".join(made(one.strip("\0 "), key, rule) for one in text.split("\\"))
    if new == text.strip("\0 "):
        return None
    return encode.element(element[0], b"UI", new.encode("ascii"), implicit=implicit)
