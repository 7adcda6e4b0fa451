"""Which action an element can take: checked when a profile is loaded, not when an instance comes."""

from __future__ import annotations

from typing import Final

from pydicom import config as pydicom_config
from pydicom.valuerep import validate_value

from gateway.dicom import private_dictionary
from gateway.dicom.dictionary import entry, is_known, keyword_of
from gateway.dicom.tag import is_private, show
from gateway.profile import pseudonym
from gateway.profile.acquisition import ACQUISITION_PRIVATE
from gateway.profile.program import Action
from gateway.profile.stamps import is_stamp
from gateway.profile.target import FOREIGN_GROUPS, At, ByVr, Default, Mask, PrivateElement, Target
from gateway.profile.verb import DESCRIPTIONS, TEXT_VRS, WORDS, Verb
from gateway.profile.verb_options import Believing, Bins, Mapping_, Prefix, Pseudonym, Rounding, Source, Technical

#: SOP Class UID and Specific Character Set: without them an instance is none, or its text cannot be read.
ONLY_KEPT: Final = frozenset((0x00080005, 0x00080016))
#: SOP, Study and Series Instance UID: the archive finds instances by them.
KEPT_OR_HASHED: Final = frozenset((0x00080018, 0x0020000D, 0x0020000E))

#: Verbs that say all about many elements at once, whatever their VR.
_ANY_VR: Final = frozenset(verb for verb, one in DESCRIPTIONS.items() if one.any_vr)
_DEFAULT_VERBS: Final[dict[Default, frozenset[Verb]]] = {
    Default.PRIVATE: frozenset((Verb.REMOVE,)),
    Default.UNKNOWN: frozenset((Verb.REMOVE,)),
    Default.UNLISTED: frozenset((Verb.KEEP, Verb.REMOVE)),
    Default.SAFE_PRIVATE: frozenset((Verb.KEEP, Verb.REMOVE)),
}
_INTEGERS: Final = frozenset(("IS", "SL", "SS", "SV", "UL", "US", "UV"))
_DECIMALS: Final = frozenset(("DS", "FD", "FL"))
#: Longest value in characters (PS3.5 6.2).
_LONGEST: Final = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64}
#: VRs of one value, in which a backslash is text (PS3.5 6.4).
_SINGLE: Final = frozenset(("LT", "ST", "UR", "UT"))
#: Verbs that work on the elements that a pattern names, although these differ in VR.
_FOR_PATTERNS: Final = _ANY_VR | {Verb.CLEAN}
_AT_THE_TOP: Final = frozenset((Verb.INSERT, Verb.COPY))
#: Verbs by which a profile's author says what a value is.
_WRITING: Final = frozenset(verb for verb, one in DESCRIPTIONS.items() if one.writes)


def private_vr(group: int, offset: int | None, creator: str) -> str:
    """The VR that the dictionaries have for a private element of ``creator``; ``UN`` if they do not know it.

    Parameters
    ----------
    group, offset
        group and last byte of the element number; no offset means the creator's whole block
    creator
        trimmed and in capital letters
    """
    if offset is None:
        return "UN"
    listed = ACQUISITION_PRIVATE.get((group, offset, creator))
    if listed is not None:
        return listed.numeric.vrs[0]
    return private_dictionary.private_vr(group << 16 | 0x1000 | offset, creator).decode("ascii")


def check_action(target: Target, action: Action) -> None:
    """Check that the elements of ``target`` can take ``action``.

    Raises
    ------
    ValueError
        they cannot; the text says why
    """
    verb = action.verb
    several = isinstance(target, Default | Mask)
    _need(not (several and isinstance(action.options, Technical)), "only: technical is for elements of one VR")
    believing = isinstance(action.options, Believing)
    _need(not believing or target is Default.SAFE_PRIVATE, f'"believe: sender" is for "{Default.SAFE_PRIVATE.value}"')
    if isinstance(target, Default):
        allowed = _DEFAULT_VERBS[target]
        if verb not in allowed:
            names = " or ".join(sorted(allowed))
            raise ValueError(f'for "{target.value}" this version knows {names} only, not {verb}')
        return
    if verb in _AT_THE_TOP and not isinstance(target, int):
        raise ValueError(f"{verb} writes one element of the standard at the top level")
    if isinstance(target, Mask):
        if verb not in _FOR_PATTERNS:
            raise ValueError(f"{verb} cannot be applied to a pattern, whose elements differ in VR")
    elif isinstance(target, ByVr):
        if verb not in _ANY_VR:
            _check_vr(f"an element of VR {target.vr}", target.vr, action)
    elif isinstance(target, PrivateElement):
        _check_private(target, action)
    elif isinstance(target, At):
        _check_stamp(target.path, target.tag, verb)
        _check_tag(target.tag, action, top=not target.path)
    else:
        _check_stamp((), target, verb)
        _check_tag(target, action, top=True)


def _check_stamp(path: tuple[object, ...], tag: int, verb: Verb) -> None:
    """What was done is said by who has done it: a profile that says it could say what is not true."""
    if verb in _WRITING and is_stamp(path, tag):
        raise ValueError(
            f"{keyword_of(tag)} is the gateway's own stamp (PS3.15 E.2): it says what was really done, and no rule can"
        )


def _check_tag(tag: int, action: Action, *, top: bool) -> None:
    verb = action.verb
    if tag in ONLY_KEPT and verb is not Verb.KEEP:
        raise ValueError(f"{keyword_of(tag)} can only be kept")
    if top and tag in KEPT_OR_HASHED and verb not in (Verb.KEEP, Verb.HASH_UID):
        raise ValueError(f"{keyword_of(tag)} can only be kept or replaced by hash-uid")
    if verb in _AT_THE_TOP and tag >> 16 in FOREIGN_GROUPS:
        raise ValueError(f"{show(tag)} has no place in a data set")
    if isinstance(action.options, Technical):
        known = entry(tag)
        _need(known is not None and known.vr in WORDS | {"UR"}, f"only: technical is for text, unlike {show(tag)}")
    if verb in _ANY_VR:
        return
    row = entry(tag)
    if row is None or not is_known(tag):
        raise ValueError(f"{verb} needs a VR, and the data dictionary does not know {show(tag)}")
    _check_vr(row.keyword, row.vr, action)


def _check_private(target: PrivateElement, action: Action) -> None:
    verb = action.verb
    if verb in _ANY_VR:
        return
    if target.offset is None:
        raise ValueError(f"{verb} cannot be applied to all elements of a creator, which differ in VR")
    vr = private_vr(target.group, target.offset, target.creator)
    if vr != "UN":
        _check_vr(f"the private element with VR {vr}", vr, action)
    elif verb is Verb.REPLACE:
        raise ValueError("the dictionary does not know the VR of this private element, so replace cannot write it")


def _check_vr(name: str, vr: str, action: Action) -> None:
    """Check the action against a VR, and what it writes against the rules for values of that VR."""
    verb, options = action.verb, action.options
    if verb in (Verb.REPLACE, Verb.INSERT):
        _check_value(name, vr, action.value)
        return
    known = DESCRIPTIONS[verb]
    if known.vrs is not None and vr not in known.vrs and not (verb is Verb.CLEAN and vr == "OB or OW"):
        if known.works:
            raise ValueError(f"{known.works}, and {name} has VR {vr}")
        raise ValueError(f"{name} has VR {vr}, which no rule can write")
    if isinstance(options, Pseudonym):
        _check_pseudonym(name, vr, options)
    elif isinstance(options, Mapping_):
        for _, replacement in options.pairs:
            if replacement:
                _check_value(name, vr, replacement)
    elif isinstance(options, Source):
        _check_source(name, vr, options.tag)
    elif isinstance(options, Bins):
        _need(vr == "AS", f"bins are for ages, and {name} has VR {vr}")
    elif isinstance(options, Rounding):
        _need(vr in _INTEGERS | _DECIMALS, f"round is for numbers, and {name} has VR {vr}")
        _need(vr in _DECIMALS or options.step == int(options.step), f"{name} holds whole numbers: round to whole ones")
    elif isinstance(options, Prefix):
        _need(vr in WORDS, f"first is for text, and {name} has VR {vr}")


def _need(holds: bool, problem: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(problem)


def _check_pseudonym(name: str, vr: str, options: Pseudonym) -> None:
    if options.kind == "table":
        assert options.table is not None
        for number, text in enumerate(options.table.rows.values(), start=1):
            try:
                _check_value(name, vr, text)
            except ValueError:
                problem = (
                    f"the pseudonym of entry {number} in {options.table.name} is no valid value for {name}, VR {vr}"
                )
                raise ValueError(problem) from None
        return
    samples = (
        [pseudonym.keyed(options.format, bytes([byte]) * pseudonym.DIGEST_BYTES) for byte in (0x00, 0xFF)]
        if options.kind == "keyed"
        else [pseudonym.sequential(options.format, 10**pseudonym.NUMBER_DIGITS - 1)]
    )
    for sample in samples:
        longest = _LONGEST.get(vr)
        if longest is not None and len(sample) > longest:
            raise ValueError(f"pseudonyms grow to {len(sample)} characters, and {name}, VR {vr}, holds {longest}")
        _check_value(name, vr, sample)


def _check_source(name: str, vr: str, source: int) -> None:
    row = entry(source)
    if row is None or is_private(source) or row.vr not in TEXT_VRS:
        raise ValueError(f"{show(source)} holds no text that could be copied")
    if vr != row.vr and vr not in WORDS - {"AE", "CS", "PN"}:
        raise ValueError(f"{name} has VR {vr} and cannot take values of {row.keyword}, VR {row.vr}")


def _check_value(name: str, vr: str, value: str | None) -> None:
    if vr not in TEXT_VRS:
        raise ValueError(f"{name} has VR {vr}, which a profile cannot write")
    if not value:
        raise ValueError(f'the value is empty: "empty: [{name}]" says that')
    if any(character < " " and character not in "\r\n\t\f" for character in value):
        raise ValueError("the value holds control characters")
    for part in [value] if vr in _SINGLE else value.split("\\"):
        try:
            validate_value(vr, part, pydicom_config.RAISE)
        except ValueError:
            raise ValueError(f'"{part}" is no valid value for {name}, VR {vr} (PS3.5 6.2)') from None
