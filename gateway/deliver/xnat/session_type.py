"""Which type of session XNAT makes of SOP classes, and what that means for instances that come late.

The types and their order are those of XNAT 1.9 (``dicom-xnat-sop``: ``series-scans.properties``,
``lead-session-types``; Simplified BSD). A session has one type, which leads from the SOP classes of the import that
made it: a PET before an MR before a CT, and SR or secondary capture only if there is nothing else. What is not in the
table is not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_PREFIX: Final = "1.2.840.10008.5.1.4.1.1."
#: Modality -> SOP classes below the prefix, in the order in which they lead.
_CLASSES: Final = {
    "PT": ("128", "130"),
    "MR": ("4", "4.1", "4.3"),
    "CT": ("2", "2.1"),
    "XA": ("12.1", "13.1.1"),
    "US": ("6.1", "3.1"),
    "RT": tuple(f"481.{number}" for number in range(1, 10)),
    "CR": ("1",),
    "OPT": ("77.1.5.4",),
    "MG": ("1.2", "1.2.1"),
    "DX": ("1.1", "1.1.1"),
    "NM": ("20",),
    "RF": ("12.2",),
    "SR": ("88.11", "88.22", "88.33", "88.50", "88.65", "88.67"),
    "SEG": ("66.4",),
    "SC": ("7",),
    "PR": tuple(f"11.{number}" for number in range(1, 5)),
}
_MODALITIES: Final = {_PREFIX + one: modality for modality, classes in _CLASSES.items() for one in classes}
#: Beginning of the type's name where it is not the modality.
_NAMES: Final = {"PT": "pet", "RT": "rt"}

#: Beginning of the type of sessions that nothing with a type of its own is in, and what may be in them.
_REST: Final = "otherdicom"
_OF_THE_REST: Final = frozenset({"SEG", "SC", "PR"})


def modality_of(sop_class_uid: str) -> str:
    """The modality by which XNAT types a session of this SOP class alone; empty if that is not known."""
    return _MODALITIES.get(sop_class_uid, "")


def lead_of(sop_class_uids: Iterable[str]) -> str:
    """The modality that gives a session with these SOP classes its type; empty if that is not known."""
    modalities = {modality_of(one) for one in sop_class_uids}
    return next((one for one in _CLASSES if one in modalities), "") if "" not in modalities else ""


def is_of(modality: str, session_type: str) -> bool:
    """Whether a session of XNAT's type, such as ``xnat:ctSessionData``, is what this modality makes.

    True as well where either is not known: XNAT then decides.
    """
    name = session_type.rpartition(":")[2].lower()
    if not modality or not name.endswith("sessiondata"):
        return True
    known = {_NAMES.get(one, one).lower() for one in _CLASSES}
    beginning = name.removesuffix("sessiondata")
    if beginning == _REST:
        return modality in _OF_THE_REST
    return beginning not in known or beginning == _NAMES.get(modality, modality).lower()
