"""What a rule does to an element: the action codes of PS3.15 Table E.1-1 under readable names, and what sites add."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


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
        return self in _COMPOUND


#: Verb -> what it becomes for Type 3 or an attribute that the IOD does not have, for Type 2 and for Type 1.
#: X/D by the letter removes a Type 2 attribute; its zero length is as anonymous and keeps the instance valid.
#: X/Z/U* keeps a Type 2 sequence with its UIDs replaced: emptied, it would contradict the Common Instance Reference
#: Module, which lists what the instance refers to (PS3.3 C.12.2).
_COMPOUND: Final[dict[Verb, tuple[Verb, Verb, Verb]]] = {
    Verb.REMOVE_OR_EMPTY: (Verb.REMOVE, Verb.EMPTY, Verb.EMPTY),
    Verb.REMOVE_OR_DUMMY: (Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
    Verb.EMPTY_OR_DUMMY: (Verb.EMPTY, Verb.EMPTY, Verb.DUMMY),
    Verb.REMOVE_OR_EMPTY_OR_DUMMY: (Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
    Verb.REMOVE_OR_EMPTY_OR_HASH_UID: (Verb.REMOVE, Verb.HASH_UID, Verb.HASH_UID),
}


def resolve(verb: Verb, element_type: str | None, *, lists_references: bool = False) -> Verb:
    """The simple verb that ``verb`` stands for, given the attribute's Type (PS3.5 7.4, PS3.15 Table E.1-1a).

    Parameters
    ----------
    verb: any verb; a simple one is returned as it is
    element_type: ``1``, ``1C``, ``2``, ``2C`` or ``3`` as ``gateway.dicom.iod.element_type`` gives it. 1C and 2C count
        as 1 and 2: the rule runs because the attribute is present, so its condition was met. None means that the IOD
        is not known; then the choice that is valid for every Type is taken, which never leaves the original value.

    lists_references: whether the instance has a Common Instance Reference Module, which needs the references it lists:
        ``gateway.dicom.iod.lists_references``

    Returns
    -------
    A verb that is not compound. ``HASH_UID`` from ``remove-or-empty-or-hash-uid`` on a sequence means: keep the
    sequence and replace the UIDs in its items.

    Raises
    ------
    ValueError: ``element_type`` is not a Type of the standard
    """
    if lists_references and verb is Verb.REMOVE_OR_EMPTY_OR_HASH_UID:
        return Verb.HASH_UID
    choices = _COMPOUND.get(verb)
    if choices is None:
        return verb
    if element_type in ("1", "1C", None):
        return choices[2]
    if element_type in ("2", "2C"):
        return choices[1]
    if element_type == "3":
        return choices[0]
    raise ValueError(f"{element_type!r} is no attribute Type")
