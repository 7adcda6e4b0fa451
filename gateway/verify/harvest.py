"""What of an original identifies: collected from every depth, independently of the de-identification engine.

What to collect is in ``gateway.dicom.identifying``; names and UIDs are recognised by their VR as well, in private and
unlisted elements too. Free text, characteristics and times of day are not collected: they are common to many patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, character_sets, decode, split_values
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.identifying import KIND_OF_VR, KINDS, Kind
from gateway.dicom.instance import Instance
from gateway.dicom.uid import is_well_known
from gateway.errors import LimitExceeded
from gateway.profile import Verb
from gateway.verify.needle import date_digits
from gateway.verify.rules import Rules, Said

__all__ = ["Finding", "Harvest", "harvest"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
_CODE_VALUE: Final = 0x00080100
_CODE_MEANING: Final = 0x00080104
_SOURCE_AE: Final = 0x00020016
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
_SOP_INSTANCE_UID: Final = 0x00080018
#: The beginning of a long value is enough to find a copy of it.
_LONGEST: Final = 1024
#: A longer value is hardly met twice.
_LONGEST_REMEMBERED: Final = 256
#: No real instance comes near; a hostile one must not make the search quadratic (promise P7).
_MOST_FINDINGS: Final = 20_000
#: The device's own type: a station that is named after it names no station.
_DEVICE_TYPE: Final = (0x00080070, 0x00081090, 0x00181020)

_CODED: Final = {
    Kind.PERSON_CODE: ((_CODE_VALUE, Kind.ID), (_CODE_MEANING, Kind.NAME)),
    Kind.INSTITUTION_CODE: ((_CODE_VALUE, Kind.ID), (_CODE_MEANING, Kind.INSTITUTION)),
}


class Finding(NamedTuple):
    """One identifying value: its kind, the attribute that held it, and the decoded text of one of its
    values; of a date and time only the date, as eight digits.
    """

    kind: Kind
    tag: int
    text: str


@dataclass(frozen=True, slots=True)
class Harvest:
    """The identifying values of one instance.

    Attributes
    ----------
    findings: every distinct value other than UIDs that no rule keeps where it stands
    uids: UID -> the attributes that hold it; well-known UIDs and those of classes are not among them
    kept: the values other than UIDs that a rule keeps somewhere
    kept_uids: the UIDs that a rule keeps somewhere
    device_type: manufacturer, model and software version of the device, as decoded
    """

    findings: frozenset[Finding]
    uids: dict[str, frozenset[int]]
    device_type: tuple[str, ...]
    kept: frozenset[Finding] = frozenset()
    kept_uids: frozenset[str] = frozenset()


def harvest(instance: Instance, rules: Rules | None = None) -> Harvest:
    """The identifying values of ``instance`` at every depth.

    Parameters
    ----------
    instance: the original
    rules: what tells which values are kept; without them none is

    Raises
    ------
    LimitExceeded: there are more distinct values than any real instance has
    """
    collector = _Collector(instance.buffer, rules, {} if rules is None else rules.said_by(instance))
    collector.level(instance.elements, DEFAULT_REPERTOIRE, ())
    collector.keeps = rules is not None and rules.keeps((), _SOP_INSTANCE_UID)
    collector.uid(_MEDIA_STORAGE_SOP_INSTANCE_UID, instance.meta.sop_instance_uid)
    collector.keeps = False
    for title in (instance.meta.source_ae, instance.meta.receiving_ae):
        collector.add(Kind.DEVICE, _SOURCE_AE, title)
    return Harvest(
        findings=frozenset(collector.findings),
        uids={uid: frozenset(tags) for uid, tags in collector.uids.items()},
        device_type=tuple(text for tag in _DEVICE_TYPE if (text := instance.text(tag))),
        kept=frozenset(collector.kept),
        kept_uids=frozenset(collector.kept_uids),
    )


class _Collector:
    def __init__(self, buffer: Buffer, rules: Rules | None, said: Said) -> None:
        self._buffer = buffer
        self._rules = rules
        self._said = said
        #: Whether what comes next is kept where it stands.
        self.keeps = False
        self.findings: set[Finding] = set()
        self.uids: dict[str, set[int]] = {}
        self.kept: set[Finding] = set()
        self.kept_uids: set[str] = set()

    def level(self, elements: list[Element], sets: CharacterSets, path: tuple[int, ...]) -> None:
        buffer, rules = self._buffer, self._rules
        private = {} if rules is None else rules.private(buffer, elements, self._said)
        for tag, coded_vr, _start, value, end, items in elements:
            # Most elements tell nothing.
            if not (tag in KINDS or coded_vr in KIND_OF_VR or items is not None or tag == SPECIFIC_CHARACTER_SET):
                continue
            kind = KINDS.get(tag) or KIND_OF_VR.get(coded_vr)
            if items is not None:
                below = (*path, tag)
                for item in items:
                    if kind in _CODED:
                        self.keeps = rules is not None and rules.keeps(path, tag)
                        self._coded(item[4], sets, kind)
                    self.level(item[4], sets, below)
            elif tag == SPECIFIC_CHARACTER_SET:
                sets = character_sets(bytes(buffer[value:end]))
            elif kind is None or kind is Kind.NONE or value == end:
                continue
            else:
                vr = vr_of(tag) if coded_vr == b"UN" else coded_vr  # PS3.5 6.2.2
                if rules is not None:
                    self.keeps = private.get(tag) is Verb.KEEP if tag & 0x10000 else rules.keeps(path, tag)
                self._value(kind, tag, vr, bytes(buffer[value : min(end, value + 64 * _LONGEST)]), sets)

    def _value(self, kind: Kind, tag: int, vr: bytes, raw: bytes, sets: CharacterSets) -> None:
        if kind is Kind.UID:
            for one in raw.decode("latin-1").split("\\"):
                self.uid(tag, one.strip("\0 "))
        elif len(raw) <= _LONGEST_REMEMBERED:
            self._add(_remembered(kind, tag, vr, raw, sets))
        else:
            self._add(_findings(kind, tag, vr, raw, sets))

    def _coded(self, elements: list[Element], sets: CharacterSets, kind: Kind) -> None:
        """Code Value and Code Meaning of a person or an institution (PS3.3 Table 10-1, PS3.3 8.8)."""
        for tag, meaning in _CODED[kind]:
            found = find(elements, tag)
            if found is not None and found[5] is None:
                self._value(meaning, tag, found[1], bytes(self._buffer[found[3] : found[4]]), sets)

    def add(self, kind: Kind, tag: int, text: str) -> None:
        self._add(_finding(kind, tag, text))

    def _add(self, found: tuple[Finding, ...]) -> None:
        (self.kept if self.keeps else self.findings).update(found)
        if len(self.findings) + len(self.kept) > _MOST_FINDINGS:
            raise LimitExceeded(limit=_MOST_FINDINGS, unit="identifying values", where="the leak scan")

    def uid(self, tag: int, uid: str) -> None:
        if uid and not is_well_known(uid):
            self.uids.setdefault(uid, set()).add(tag)
            if self.keeps:
                self.kept_uids.add(uid)


def _findings(kind: Kind, tag: int, vr: bytes, raw: bytes, sets: CharacterSets) -> tuple[Finding, ...]:
    """What the values of an element other than a UID tell."""
    return tuple(one for text in split_values(decode(raw, vr, sets).text, vr) for one in _finding(kind, tag, text))


#: The instances of a study share most of their values.
_remembered: Final = lru_cache(maxsize=16_384)(_findings)


def _finding(kind: Kind, tag: int, text: str) -> tuple[Finding, ...]:
    text = text.strip("\0 \r\n\t")[:_LONGEST]
    if kind in (Kind.DATE, Kind.BIRTH_DATE):
        # A thousand frames have a thousand times of one date.
        text = date_digits(text)
    return (Finding(kind, tag, text),) if text else ()
