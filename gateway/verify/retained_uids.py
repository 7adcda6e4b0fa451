"""What a UID that a rule keeps may tell: numbers of the patient, and dates.

Many systems build their UIDs of accession numbers, patients' numbers and the time at which they made them. Replaced
UIDs tell nothing; of retained ones this is looked for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.dicom.identifying import Kind
from gateway.verify.needle import Mode, Needle
from gateway.verify.needles import is_time

__all__ = ["kinds_in_uid"]

_NUMBERS: Final = frozenset((Kind.ID, Kind.PHONE))
#: A shorter number is looked for as a whole component, at its beginning and at its end only.
_ANYWHERE: Final = 8
_SHORTEST: Final = 6
#: A UUID (PS3.5 B.2): what it holds is chance.
_UUID: Final = re.compile(r"2\.25\.[0-9]{36,39}")
#: Siemens syngo: ``30000022071112...`` was made on the eleventh of July 2022.
_SYNGO: Final = re.compile(r"300000([0-9]{6})")
#: Answers that are remembered; each keeps the needles of its study.
_MOST_UIDS: Final = 512


@lru_cache(maxsize=_MOST_UIDS)
def kinds_in_uid(uid: str, needles: frozenset[Needle]) -> tuple[Kind, ...]:
    """The kinds of the needles that ``uid`` holds, sorted.

    Numbers of at least six digits are looked for in its components; dates at the beginning of a component, as three
    components, and in the form that Siemens writes.
    """
    components = uid.split(".")
    if _UUID.fullmatch(uid):
        return ()
    begun = {component[:8] for component in components}
    begun.update(
        f"{year}{int(month):02d}{int(day):02d}"
        for year, month, day in zip(components, components[1:], components[2:], strict=False)
        if len(year) == 4 and len(month) <= 2 and len(day) <= 2
    )
    begun.update(f"20{match[1]}" for component in components if (match := _SYNGO.match(component)))
    return tuple(sorted({needle.kind for needle in needles if _is_in(needle, uid, components, begun)}))


def _is_in(needle: Needle, uid: str, components: list[str], begun: set[str]) -> bool:
    form = needle.form
    if needle.mode is Mode.DATE:
        return form in begun
    # The time at which a machine made a number is in its UIDs as well; its date is looked for.
    if needle.kind not in _NUMBERS or not form.isdecimal() or len(form) < _SHORTEST or is_time(form):
        return False
    if len(form) >= _ANYWHERE and form in uid:
        return True
    return any(component.startswith(form) or component.endswith(form) for component in components)
