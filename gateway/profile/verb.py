"""What a rule does to an element: the action codes of PS3.15 Table E.1-1 under readable names, and what sites add."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

#: VRs whose values a profile can write as text.
TEXT_VRS: Final = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)
#: Those of them that are words.
WORDS: Final = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"))


class Verb(StrEnum):
    """One action on an element, simple or compound (PS3.15 E.3, Table E.1-1a).

    A compound verb names its choices from the mildest for the data set's validity to the strictest; ``resolve``
    picks one by the Type of the attribute in the instance's IOD.
    """

    KEEP = "keep"
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    HASH_UID = "hash-uid"
    CLEAN = "clean"
    REPLACE = "replace"
    SHIFT_DATE = "shift-date"
    TRUNCATE_DATE = "truncate-date"
    PSEUDONYMISE = "pseudonymise"
    INSERT = "insert"
    COPY = "copy"
    MAP = "map"
    GENERALISE = "generalise"
    REGEX = "regex"
    REMOVE_OR_EMPTY = "remove-or-empty"
    REMOVE_OR_DUMMY = "remove-or-dummy"
    EMPTY_OR_DUMMY = "empty-or-dummy"
    REMOVE_OR_EMPTY_OR_DUMMY = "remove-or-empty-or-dummy"
    REMOVE_OR_EMPTY_OR_HASH_UID = "remove-or-empty-or-hash-uid"

    @property
    def is_compound(self) -> bool:
        """Whether the attribute's Type decides what is done."""
        return DESCRIPTIONS[self].choices is not None


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a verb wherever it is read, checked and told; what it does stands in ``gateway.deid.engine``.

    Attributes
    ----------
    words
        what becomes of an element, as the rest of a sentence that begins with it
    example
        a rule with the verb, as it stands in ``attributes``
    takes
        what stands behind the verb: names of ``elements``; ``values`` by element; ``lists``, a mapping of values by
        element; or ``forms`` of its own by element (``gateway.profile.language``)
    keys
        keys of a rule that belong to the verb alone
    any_vr
        whether it says all about an element whatever its VR
    vrs
        the VRs that it works on; None if the VR does not matter or its options decide
    works
        what it does to them, as the beginning of a sentence; empty for a verb that writes a text
    writes
        whether by it a profile's author says what a value is
    choices
        of a compound verb, what it becomes for Type 3 or an attribute that the IOD does not have, for Type 2 and
        for Type 1
    """

    words: str
    example: str
    takes: Literal["elements", "values", "lists", "forms"] = "elements"
    keys: tuple[str, ...] = ()
    any_vr: bool = False
    vrs: frozenset[str] | None = None
    works: str = ""
    writes: bool = False
    choices: tuple[Verb, Verb, Verb] | None = None


#: X/D by the letter removes a Type 2 attribute; its zero length is as anonymous and keeps the instance valid.
#: X/Z/U* keeps a Type 2 sequence with its UIDs replaced: emptied, it would contradict the Common Instance Reference
#: Module, which lists what the instance refers to (PS3.3 C.12.2).
DESCRIPTIONS: Final[dict[Verb, Description]] = {
    Verb.KEEP: Description(
        "stays as it is",
        "keep: [PatientSex]",
        keys=("without", "only", "believe"),
        any_vr=True,
    ),
    Verb.REMOVE: Description(
        "is removed",
        'remove: [RequestingService, "(0019,xx10) SIEMENS MR HEADER"]',
        any_vr=True,
    ),
    Verb.EMPTY: Description(
        "stays without a value",
        "empty: [ReferringPhysicianName]",
        any_vr=True,
    ),
    Verb.DUMMY: Description(
        "is replaced by a dummy value",
        "dummy: [PerformedStationName]",
        writes=True,
    ),
    Verb.HASH_UID: Description(
        "is replaced by a UID computed from the project's secret",
        "hash-uid: [FrameOfReferenceUID]",
        vrs=frozenset(("UI",)),
        works="hash-uid replaces UIDs",
    ),
    Verb.CLEAN: Description(
        "stays without what identifies",
        "clean: [StudyDescription, ImageComments]",
        vrs=WORDS | {"SQ", "OB", "OW", "UR"},
        works="clean works on text, sequences and graphics",
    ),
    Verb.REPLACE: Description(
        "is replaced by a fixed value",
        "replace: {InstitutionName: Regional Health Service}",
        takes="values",
        vrs=TEXT_VRS,
        writes=True,
    ),
    Verb.SHIFT_DATE: Description(
        "is shifted by the patient's number of days",
        "shift-date: [StudyDate, AcquisitionDateTime]",
        vrs=frozenset(("DA", "DT", "TM")),
        works="shift-date shifts dates and times",
    ),
    Verb.TRUNCATE_DATE: Description(
        "keeps a part of the date",
        "truncate-date: [PatientBirthDate]\n    to: year",
        keys=("to",),
        vrs=frozenset(("DA", "DT")),
        works="truncate-date shortens dates",
    ),
    Verb.PSEUDONYMISE: Description(
        "is replaced by a pseudonym",
        'pseudonymise: [AccessionNumber]\n    format: "A{base32:12}"',
        keys=("format", "table", "missing", "sequential"),
        vrs=WORDS,
        works="pseudonymise writes text",
        writes=True,
    ),
    Verb.INSERT: Description(
        "is written with a fixed value, whether it was there or not",
        "insert: {ClinicalTrialProtocolID: LUNG-7}",
        takes="values",
        vrs=TEXT_VRS,
        writes=True,
    ),
    Verb.COPY: Description(
        "is written with the value of another element",
        "copy: {ClinicalTrialSubjectID: PatientID}",
        takes="values",
        vrs=TEXT_VRS,
        writes=True,
    ),
    Verb.MAP: Description(
        "is replaced by what a list says",
        "map: {StationName: {CT1: scanner A, CT2: scanner B}}\n    otherwise: remove",
        takes="lists",
        keys=("otherwise",),
        vrs=TEXT_VRS,
        works="map writes text",
        writes=True,
    ),
    Verb.GENERALISE: Description(
        "is made less precise",
        "generalise: {PatientAge: {bins: 5Y, top: 090Y}, PatientWeight: {round: 5}}",
        takes="forms",
    ),
    Verb.REGEX: Description(
        "is changed by a regular expression",
        'regex: {ProtocolName: {pattern: "^([A-Z]+) .*", replacement: "\\\\1", otherwise: remove}}',
        takes="forms",
        vrs=WORDS | {"UR"},
        works="regex works on text",
        writes=True,
    ),
    Verb.REMOVE_OR_EMPTY: Description(
        "is removed where optional, otherwise stays without a value",
        "remove-or-empty: [StudyID]",
        choices=(Verb.REMOVE, Verb.EMPTY, Verb.EMPTY),
        any_vr=True,
    ),
    Verb.REMOVE_OR_DUMMY: Description(
        "is removed where optional, otherwise replaced by a dummy value",
        "remove-or-dummy: [DeviceSerialNumber]",
        choices=(Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
    ),
    Verb.EMPTY_OR_DUMMY: Description(
        "stays without a value, or with a dummy value where it needs one",
        "empty-or-dummy: [ContentDate]",
        choices=(Verb.EMPTY, Verb.EMPTY, Verb.DUMMY),
    ),
    Verb.REMOVE_OR_EMPTY_OR_DUMMY: Description(
        "is removed where optional, otherwise stays without a value, or with a dummy value where it needs one",
        "remove-or-empty-or-dummy: [OperatorsName]",
        choices=(Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
    ),
    Verb.REMOVE_OR_EMPTY_OR_HASH_UID: Description(
        "is removed where optional, otherwise stays with its UIDs replaced and the profile applied inside",
        "remove-or-empty-or-hash-uid: [SourceImageSequence]",
        choices=(Verb.REMOVE, Verb.HASH_UID, Verb.HASH_UID),
        vrs=frozenset(("UI", "SQ")),
        works="remove-or-empty-or-hash-uid is for UIDs and sequences",
    ),
}


def resolve(verb: Verb, element_type: str | None, *, lists_references: bool = False) -> Verb:
    """The simple verb that ``verb`` stands for, given the attribute's Type (PS3.5 7.4, PS3.15 Table E.1-1a).

    Parameters
    ----------
    verb
        any verb; a simple one is returned as it is
    element_type
        ``1``, ``1C``, ``2``, ``2C`` or ``3`` as ``gateway.dicom.iod.element_type`` gives it. 1C and 2C count
        as 1 and 2: the rule runs because the attribute is present, so its condition was met. None means that the IOD
        is not known; then the choice that is valid for every Type is taken, which never leaves the original value.

    lists_references
        whether the instance has a Common Instance Reference Module, which needs the references it lists:
        ``gateway.dicom.iod.lists_references``

    Returns
    -------
    A verb that is not compound. ``HASH_UID`` from ``remove-or-empty-or-hash-uid`` on a sequence means: keep the
    sequence and replace the UIDs in its items.

    Raises
    ------
    ValueError
        ``element_type`` is not a Type of the standard
    """
    if lists_references and verb is Verb.REMOVE_OR_EMPTY_OR_HASH_UID:
        return Verb.HASH_UID
    choices = DESCRIPTIONS[verb].choices
    if choices is None:
        return verb
    if element_type in ("1", "1C", None):
        return choices[2]
    if element_type in ("2", "2C"):
        return choices[1]
    if element_type == "3":
        return choices[0]
    raise ValueError(f"{element_type!r} is no attribute Type")
