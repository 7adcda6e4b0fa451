"""What of an original identifies: collected from every depth, independently of the de-identification engine.

What to collect is ``data/identifying.csv``; names and UIDs are recognised by their VR as well, in private and unlisted
elements too. Free text, characteristics and times of day are not collected: they are common to many patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, character_sets, decode, split_values
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.instance import Instance
from gateway.dicom.uid import is_well_known
from gateway.errors import LimitExceeded
from gateway.verify.identifying import KIND_OF_VR, KINDS, Kind
from gateway.verify.needle import date_digits

__all__ = ["Finding", "Harvest", "harvest"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
_CODE_VALUE: Final = 0x00080100
_CODE_MEANING: Final = 0x00080104
_SOURCE_AE: Final = 0x00020016
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
#: The beginning of a long value is enough to find a copy of it.
_LONGEST: Final = 1024
#: No real instance comes near; a hostile one must not make the search quadratic (promise P7).
_MOST_FINDINGS: Final = 20_000
#: The device's own type: a station that is named after it names no station.
_DEVICE_TYPE: Final = (0x00080070, 0x00081090, 0x00181020)

_CODED: Final = {
    Kind.PERSON_CODE: ((_CODE_VALUE, Kind.ID), (_CODE_MEANING, Kind.NAME)),
    Kind.INSTITUTION_CODE: ((_CODE_VALUE, Kind.ID), (_CODE_MEANING, Kind.INSTITUTION)),
}


@dataclass(frozen=True, slots=True)
class Finding:
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
    findings: every distinct value other than UIDs
    uids: UID -> the attributes that hold it; well-known UIDs and those of classes are not among them
    device_type: manufacturer, model and software version of the device, as decoded
    """

    findings: frozenset[Finding]
    uids: dict[str, frozenset[int]]
    device_type: tuple[str, ...]


def harvest(instance: Instance) -> Harvest:
    """The identifying values of ``instance`` at every depth.

    Raises
    ------
    LimitExceeded: there are more distinct values than any real instance has
    """
    collector = _Collector(instance.buffer)
    collector.level(instance.elements, DEFAULT_REPERTOIRE)
    collector.uid(_MEDIA_STORAGE_SOP_INSTANCE_UID, instance.meta.sop_instance_uid)
    for title in (instance.meta.source_ae, instance.meta.receiving_ae):
        collector.add(Kind.DEVICE, _SOURCE_AE, title)
    return Harvest(
        findings=frozenset(collector.findings),
        uids={uid: frozenset(tags) for uid, tags in collector.uids.items()},
        device_type=tuple(text for tag in _DEVICE_TYPE if (text := instance.text(tag))),
    )


class _Collector:
    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self.findings: set[Finding] = set()
        self.uids: dict[str, set[int]] = {}

    def level(self, elements: list[Element], sets: CharacterSets) -> None:
        buffer = self._buffer
        for tag, coded_vr, _start, value, end, items in elements:
            kind = KINDS.get(tag) or KIND_OF_VR.get(coded_vr)
            if items is not None:
                for item in items:
                    if kind in _CODED:
                        self._coded(item[4], sets, kind)
                    self.level(item[4], sets)
            elif tag == SPECIFIC_CHARACTER_SET:
                sets = character_sets(bytes(buffer[value:end]))
            elif kind is None or kind is Kind.NONE or value == end:
                continue
            else:
                vr = vr_of(tag) if coded_vr == b"UN" else coded_vr  # PS3.5 6.2.2
                self._value(kind, tag, vr, bytes(buffer[value : min(end, value + 64 * _LONGEST)]), sets)

    def _value(self, kind: Kind, tag: int, vr: bytes, raw: bytes, sets: CharacterSets) -> None:
        if kind is Kind.UID:
            for one in raw.decode("latin-1").split("\\"):
                self.uid(tag, one.strip("\0 "))
            return
        for one in split_values(decode(raw, vr, sets).text, vr):
            self.add(kind, tag, one)

    def _coded(self, elements: list[Element], sets: CharacterSets, kind: Kind) -> None:
        """Code Value and Code Meaning of a person or an institution (PS3.3 Table 10-1, PS3.3 8.8)."""
        for tag, meaning in _CODED[kind]:
            found = find(elements, tag)
            if found is not None and found[5] is None:
                self._value(meaning, tag, found[1], bytes(self._buffer[found[3] : found[4]]), sets)

    def add(self, kind: Kind, tag: int, text: str) -> None:
        text = text.strip("\0 \r\n\t")[:_LONGEST]
        if kind in (Kind.DATE, Kind.BIRTH_DATE):
            # A thousand frames have a thousand times of one date.
            text = date_digits(text)
        if text:
            self.findings.add(Finding(kind, tag, text))
            if len(self.findings) > _MOST_FINDINGS:
                raise LimitExceeded(limit=_MOST_FINDINGS, unit="identifying values", where="the leak scan")

    def uid(self, tag: int, uid: str) -> None:
        if uid and not is_well_known(uid):
            self.uids.setdefault(uid, set()).add(tag)
