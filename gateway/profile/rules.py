"""Which action an element can take: checked when a profile is loaded, not when an instance comes."""

from __future__ import annotations

from typing import Final

from pydicom import config as pydicom_config
from pydicom.valuerep import validate_value

from gateway.dicom.dictionary import entry, is_known, keyword_of
from gateway.dicom.tag import show
from gateway.profile.program import Action
from gateway.profile.target import Default, Mask, Target
from gateway.profile.verb import Verb

#: SOP Class UID and Specific Character Set: without them an instance is none, or its text cannot be read.
ONLY_KEPT: Final = frozenset((0x00080005, 0x00080016))
#: SOP, Study and Series Instance UID: the archive finds instances by them.
KEPT_OR_HASHED: Final = frozenset((0x00080018, 0x0020000D, 0x0020000E))

#: Verbs that say all about many elements at once, whatever their VR.
_ANY_VR: Final = frozenset((Verb.KEEP, Verb.REMOVE, Verb.EMPTY, Verb.REMOVE_OR_EMPTY))
_DEFAULT_VERBS: Final[dict[Default, frozenset[Verb]]] = {
    Default.PRIVATE: frozenset((Verb.REMOVE,)),
    Default.UNKNOWN: frozenset((Verb.REMOVE,)),
    Default.UNLISTED: frozenset((Verb.KEEP, Verb.REMOVE)),
}
#: VRs whose values a profile can write as text.
_TEXT_VRS: Final = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)


def check_action(target: Target, action: Action) -> None:
    """Check that the elements of ``target`` can take ``action``.

    Raises
    ------
    ValueError: they cannot; the text says why
    """
    verb = action.verb
    if isinstance(target, Default):
        allowed = _DEFAULT_VERBS[target]
        if verb not in allowed:
            names = " or ".join(sorted(allowed))
            raise ValueError(f'for "{target.value}" this version knows {names} only, not {verb}')
    elif isinstance(target, Mask):
        if verb not in _ANY_VR:
            raise ValueError(f"{verb} cannot be applied to a pattern, whose elements differ in VR")
    elif target in ONLY_KEPT and verb is not Verb.KEEP:
        raise ValueError(f"{keyword_of(target)} can only be kept")
    elif target in KEPT_OR_HASHED and verb not in (Verb.KEEP, Verb.HASH_UID):
        raise ValueError(f"{keyword_of(target)} can only be kept or replaced by hash-uid")
    else:
        _check_element(target, action)


def _check_element(tag: int, action: Action) -> None:
    verb = action.verb
    if verb in _ANY_VR:
        return
    row = entry(tag)
    if row is None or not is_known(tag):
        raise ValueError(f"{verb} needs a VR, and the data dictionary does not know {show(tag)}")
    if verb is Verb.HASH_UID and row.vr != "UI":
        raise ValueError(f"hash-uid replaces UIDs, and {row.keyword} has VR {row.vr}")
    if verb is Verb.REMOVE_OR_EMPTY_OR_HASH_UID and row.vr not in ("UI", "SQ"):
        raise ValueError(f"{verb} is for UIDs and sequences, and {row.keyword} has VR {row.vr}")
    if verb is Verb.REPLACE:
        _check_value(row.keyword, row.vr, action.value)


def _check_value(keyword: str, vr: str, value: str | None) -> None:
    if vr not in _TEXT_VRS:
        raise ValueError(f"{keyword} has VR {vr}, which a profile cannot write")
    if not value:
        raise ValueError(f'the value is empty: "empty: [{keyword}]" says that')
    if any(character < " " and character not in "\r\n\t\f" for character in value):
        raise ValueError("the value holds control characters")
    for part in [value] if vr in ("LT", "ST", "UT", "UR") else value.split("\\"):
        try:
            validate_value(vr, part, pydicom_config.RAISE)
        except ValueError:
            raise ValueError(f'"{part}" is no valid value for {keyword}, VR {vr} (PS3.5 6.2)') from None
