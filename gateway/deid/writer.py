"""The elements that the engine writes itself at the top level: pseudonym, stamp, and what the profile inserts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from gateway.deid.dummies import dummy_document
from gateway.deid.insert import Insert, changed, declared_sets
from gateway.deid.level import Level, check_length, value_of
from gateway.deid.patient import PATIENT_ID, PATIENT_NAME, Patient
from gateway.deid.plan import Plan
from gateway.deid.stamp import DEIDENTIFICATION_METHOD, DEIDENTIFICATION_METHOD_CODE_SEQUENCE
from gateway.deid.values import encode_value, read_values, written_vr
from gateway.dicom import encode
from gateway.dicom.charset import CharacterSets
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Element, Make, find
from gateway.dicom.instance import Instance
from gateway.dicom.iod import element_type
from gateway.dicom.pixel_change import PixelChange
from gateway.dicom.tag import show
from gateway.errors import RuleFailed
from gateway.profile import Action, Origin, Source, Verb
from gateway.remembering import BoundedMapping

__all__ = ["Writer", "Writings", "Written"]

_ENCAPSULATED_DOCUMENT: Final = 0x00420011
_ENCAPSULATED_DOCUMENT_LENGTH: Final = 0x00420015
_SOP_CLASS_UID: Final = 0x00080016
_MEDIA_TYPE: Final = 0x00420012
#: Verbs of Patient's Name and Patient ID in whose stead the pseudonym is written.
_PSEUDONYM_INSTEAD: Final = frozenset((Verb.EMPTY, Verb.DUMMY))
#: Elements whose values have a say in what is written.
_READ: Final = (DEIDENTIFICATION_METHOD, DEIDENTIFICATION_METHOD_CODE_SEQUENCE, _ENCAPSULATED_DOCUMENT)
_STAMPED: Final = Action(Verb.INSERT, Origin("standard", "PS3.15 E.1.1", "", 0))
#: Makes of data sets, and patients, that come at the same time.
_MOST_MAKES: Final = 256
_MOST_WRITTEN: Final = 256

#: Elements in tag order, and how many were written by verb.
Written: TypeAlias = "tuple[list[Insert], Counter[str]]"


class Writings:
    """What was written for earlier instances of a program.

    Parameters
    ----------
    plan
        its rules
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._copies = any(isinstance(action.options, Source) for action in plan.inserts.values())
        #: Make -> whether a pseudonym is written; None where values of the instance have a say beside the patient.
        self._makes: BoundedMapping[Make, bool | None] = BoundedMapping(_MOST_MAKES)
        self._written: BoundedMapping[tuple[object, ...], Written] = BoundedMapping(_MOST_WRITTEN)

    def of(self, writer: Writer, make: Make) -> Written:
        """What ``writer`` writes to an instance of this make; not to be changed.

        Raises
        ------
        InstanceError
            as ``Writer.write``
        """
        if make is None or writer.pixels is not None:
            return writer.write()
        if make not in self._makes:
            self._makes[make] = self._needs(writer)
        needs_pseudonym = self._makes[make]
        if needs_pseudonym is None:
            return writer.write()
        top = writer.top
        key = make, writer.patient().pseudonym if needs_pseudonym else "", top.sets(writer.buffer), top.implicit
        written = self._written.get(key)
        if written is None:
            written = self._written.keep(key, writer.write())
        return written

    def _needs(self, writer: Writer) -> bool | None:
        if self._copies or any(find(writer.top.elements, tag) is not None for tag in _READ):
            return None
        return bool(list(writer.replaced()))


class Writer:
    """Writes what belongs to one instance.

    Parameters
    ----------
    plan
        the rules
    instance
        as received
    top
        its top level
    patient
        whose it is; asked only where the pseudonym is written
    pixels
        what the pixel rules made of it
    """

    def __init__(
        self,
        plan: Plan,
        instance: Instance,
        top: Level,
        *,
        patient: Callable[[], Patient],
        pixels: PixelChange | None,
    ) -> None:
        self._plan = plan
        self._instance = instance
        self.buffer = instance.buffer
        self.top = top
        self.patient = patient
        self.pixels = pixels

    def replaced(self) -> list[tuple[int, bytes, Action]]:
        """Tag, VR and rule of the elements in whose place the pseudonym stands."""
        places = []
        for tag, vr in ((PATIENT_NAME, b"PN"), (PATIENT_ID, b"LO")):
            rule = self._plan.rule_at_top(tag)
            if rule is None or (find(self.top.elements, tag) is None and not self._lacks(tag)):
                continue
            if rule.verb.is_compound or rule.verb in _PSEUDONYM_INSTEAD:
                places.append((tag, vr, rule))
        return places

    def _lacks(self, tag: int) -> bool:
        """Whether the instance lacks an attribute that every instance of its kind has (PS3.3 C.7.1.1: Type 2)."""
        sop_class = self._instance.text(_SOP_CLASS_UID) or self._instance.meta.sop_class_uid
        return element_type(sop_class, (), tag) in ("1", "2")

    def write(self) -> Written:
        """The elements that take the place of received ones, or stand beside them.

        Raises
        ------
        InstanceError
            an element cannot be copied, or the patient has no pseudonym
        """
        top, counts = self.top, Counter[str]()
        inserts: dict[int, Insert] = {}
        for tag, vr, rule in self.replaced():
            value = encode_value(tag, vr, self.patient().pseudonym, top.sets(self.buffer))
            element = encode.element(tag, vr, value, implicit=top.implicit)
            inserts[tag] = Insert(tag, element, replace(rule, verb=Verb.PSEUDONYMISE))
            counts[Verb.PSEUDONYMISE.value] += 1
        for insert in self._document():
            inserts[insert.tag] = insert
            counts[Verb.DUMMY.value] = 1
        for tag, action in self._plan.inserts.items():
            written = self._inserted(tag, action, pseudonyms=inserts)
            if written is not None:
                inserts[tag] = written
                counts[action.verb.value] += 1
        if self.pixels is not None:
            inserts.update(changed(self.pixels))
        declared = declared_sets(top, self.buffer)
        if declared is not None:
            inserts[declared.tag] = declared
        stamp = self._plan.stamp
        for tag, element in stamp.elements(self.buffer, top.elements, implicit=top.implicit, pixels=self.pixels):
            inserts[tag] = Insert(tag, element, _STAMPED)
        return [inserts[tag] for tag in sorted(inserts)], counts

    def _document(self) -> list[Insert]:
        """A dummy document of the right media type with its length, where the rule asks for a dummy."""
        rule = self._plan.rule_at_top(_ENCAPSULATED_DOCUMENT)
        if find(self.top.elements, _ENCAPSULATED_DOCUMENT) is None or rule is None or rule.verb is not Verb.DUMMY:
            return []
        document = dummy_document(self._instance.text(_MEDIA_TYPE))
        length = len(document).to_bytes(4, "little")
        return [
            Insert(tag, encode.element(tag, vr, value, implicit=self.top.implicit), rule)
            for tag, vr, value in (
                (_ENCAPSULATED_DOCUMENT, b"OB", document),
                (_ENCAPSULATED_DOCUMENT_LENGTH, b"UL", length),
            )
            if not self._goes(tag)
        ]

    def _goes(self, tag: int) -> bool:
        """Whether the profile takes an element or its value away, whatever its Type."""
        rule = self._plan.rule_at_top(tag)
        return rule is not None and rule.verb in (Verb.REMOVE, Verb.EMPTY)

    def _inserted(self, tag: int, action: Action, *, pseudonyms: Mapping[int, Insert]) -> Insert | None:
        """The element that ``insert`` or ``copy`` writes; None if there is nothing to copy."""
        vr, sets = vr_of(tag), self.top.sets(self.buffer)
        if not isinstance(action.options, Source):
            value = encode_value(tag, vr, action.value or "", sets)
        elif action.options.tag in (PATIENT_NAME, PATIENT_ID) and action.options.tag in pseudonyms:
            # Of a patient's name and identifier only the pseudonym may be repeated.
            value = encode_value(tag, vr, self.patient().pseudonym, sets)
        else:
            source = find(self.top.elements, action.options.tag)
            if source is None or source[3] == source[4]:
                return None
            if source[5] is not None or vr == b"SQ":
                raise RuleFailed(where=show(tag), reason="sequences cannot be copied")
            value = self._copied(source, tag, vr, sets)
        return Insert(tag, encode.element(tag, vr, value, implicit=self.top.implicit), action)

    def _copied(self, source: Element, tag: int, vr: bytes, sets: CharacterSets) -> bytes:
        """The value of ``source`` for an element of VR ``vr``."""
        from_vr = written_vr(source[0], source[1], is_sequence=False)
        if from_vr == vr:
            return value_of(self.buffer, source)
        check_length(source)
        values, exact = read_values(self.buffer, source, from_vr, sets)
        if not exact:
            raise RuleFailed(where=show(source[0]), reason="its text does not fit its character set")
        return encode_value(tag, vr, "\\".join(values), sets)
