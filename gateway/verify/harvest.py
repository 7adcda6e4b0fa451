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
from gateway.verify.dates_in_text import date_digits
from gateway.verify.mojibake import other_readings
from gateway.verify.program_rules import Rules, Said
from gateway.verify.recollection import Recollection

__all__ = ["Finding", "Harvest", "Harvester", "harvest"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
_CODE_VALUE: Final = 0x00080100
_CODE_MEANING: Final = 0x00080104
_SOURCE_AE: Final = 0x00020016
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
_SOP_CLASS_UID: Final = 0x00080016
_SOP_INSTANCE_UID: Final = 0x00080018
#: The value of a content item of type UIDREF.
_UID_VALUE: Final = 0x0040A124
#: Kinds that are written in letters.
_WORDS: Final = frozenset((Kind.NAME, Kind.INSTITUTION))
#: The beginning of a long value is enough to find a copy of it.
_LONGEST: Final = 1024
_ODD_GROUP: Final = 0x00010000
#: A longer value is hardly met twice.
_LONGEST_REMEMBERED: Final = 256
#: Studies that come at the same time, each with a few combinations of parts.
_MOST_SUMS: Final = 128
#: Findings of a usual instance.
_USUAL: Final = 256
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
    findings
        every distinct value other than UIDs that no rule keeps where it stands
    uids
        UID -> the attributes that hold it; well-known UIDs and those of classes are not among them
    kept
        the values other than UIDs that a rule keeps somewhere
    kept_uids
        the UIDs that a rule keeps somewhere
    device_type
        manufacturer, model and software version of the device, as decoded
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
    instance
        the original
    rules
        what tells which values are kept; without them none is

    Raises
    ------
    LimitExceeded
        there are more distinct values than any real instance has
    """
    return Harvester(rules).harvest(instance)


@dataclass(frozen=True, slots=True, eq=False)
class Yield:
    """What a part of an instance tells: as in ``Harvest``, and the character sets that hold behind it."""

    findings: frozenset[Finding]
    uids: dict[str, frozenset[int]]
    kept: frozenset[Finding]
    kept_uids: frozenset[str]
    sets: CharacterSets


class Harvester:
    """Harvests one instance after the other; the instances of a series have many parts in common.

    Parameters
    ----------
    rules
        as for ``harvest``
    """

    def __init__(self, rules: Rules | None) -> None:
        self._rules = rules
        self._yields = Recollection[Yield]()
        self._sums = Recollection[Yield](_MOST_SUMS)

    def harvest(self, instance: Instance) -> Harvest:
        """As the function ``harvest``."""
        rules = self._rules
        has_private = rules is not None and rules.has_private
        said: Said = {} if rules is None else rules.said_by(instance)
        rest = _Collector(instance.buffer, rules, said)
        private = rest.private(instance.elements)
        sets = DEFAULT_REPERTOIRE
        # What is said of private elements holds inside sequences as well.
        encoding = instance.implicit, frozenset(said.items())
        known = self._yields.of((encoding, sets))
        yields: list[Yield] = []
        for raw, elements in instance.parts:
            if not raw or (has_private and elements[0][0] & _ODD_GROUP):
                now = rest.level(elements, sets, (), private=private)
            else:
                one = known.get(raw)
                if one is None:
                    part = _Collector(instance.buffer, rules, said)
                    one = self._yields.keep((encoding, sets), raw, part.yields(elements, sets))
                yields.append(one)
                now = one.sets
            if now is not sets:
                sets = now
                known = self._yields.of((encoding, sets))
        rest.keeps = rules is not None and rules.keeps((), _SOP_INSTANCE_UID)
        rest.uid(_MEDIA_STORAGE_SOP_INSTANCE_UID, instance.meta.sop_instance_uid)
        rest.keeps = False
        for title in (instance.meta.source_ae, instance.meta.receiving_ae):
            rest.add(Kind.DEVICE, _SOURCE_AE, title)
        total = self._sum(tuple(yields), rest)
        uids = dict(total.uids)
        for uid, tags in rest.uids.items():
            uids[uid] = uids.get(uid, frozenset()) | tags
        # What the instance is stays, also where the class is nobody's that anybody knows.
        for own in (instance.text(_SOP_CLASS_UID), instance.meta.sop_class_uid):
            uids.pop(own, None)
        return Harvest(
            findings=total.findings,
            uids=uids,
            device_type=tuple(text for tag in _DEVICE_TYPE if (text := instance.text(tag))),
            kept=total.kept,
            kept_uids=total.kept_uids | rest.kept_uids,
        )

    def _sum(self, parts: tuple[Yield, ...], rest: _Collector) -> Yield:
        """What ``parts`` have together; findings, but not UIDs, with those of ``rest``."""
        context = frozenset(rest.findings), frozenset(rest.kept)
        total = self._sums.of(context).get(parts)
        if total is None:
            uids: dict[str, frozenset[int]] = {}
            for part in parts:
                for uid, tags in part.uids.items():
                    uids[uid] = uids.get(uid, frozenset()) | tags
            total = Yield(
                findings=context[0].union(*(part.findings for part in parts)),
                uids=uids,
                kept=context[1].union(*(part.kept for part in parts)),
                kept_uids=frozenset().union(*(part.kept_uids for part in parts)),
                sets=DEFAULT_REPERTOIRE,
            )
            _check_number(len(total.findings) + len(total.kept))
            number = len(total.findings) + len(total.kept) + len(total.uids)
            self._sums.keep(context, parts, total, weight=1 + number // _USUAL)
        return total


def _check_number(number: int) -> None:
    if number > _MOST_FINDINGS:
        raise LimitExceeded(limit=_MOST_FINDINGS, unit="identifying values", where="the leak scan")


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

    def yields(self, elements: list[Element], sets: CharacterSets) -> Yield:
        """What a part without private elements of its own tells."""
        sets = self.level(elements, sets, (), private={})
        return Yield(
            findings=frozenset(self.findings),
            uids={uid: frozenset(tags) for uid, tags in self.uids.items()},
            kept=frozenset(self.kept),
            kept_uids=frozenset(self.kept_uids),
            sets=sets,
        )

    def private(self, elements: list[Element]) -> dict[int, Verb]:
        """What becomes of the private elements of one data set or item."""
        return {} if self._rules is None else self._rules.private(self._buffer, elements, self._said)

    def level(
        self, elements: list[Element], sets: CharacterSets, path: tuple[int, ...], *, private: dict[int, Verb]
    ) -> CharacterSets:
        """Collect one data set or item, or a part of it; returns the character sets that hold behind it."""
        buffer, rules = self._buffer, self._rules
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
                    self.level(item[4], sets, below, private=self.private(item[4]))
            elif tag == SPECIFIC_CHARACTER_SET:
                sets = character_sets(bytes(buffer[value:end]))
            elif kind is None or kind is Kind.NONE or value == end:
                continue
            else:
                vr = vr_of(tag) if coded_vr == b"UN" else coded_vr  # PS3.5 6.2.2
                if rules is not None:
                    self.keeps = private.get(tag) is Verb.KEEP if tag & _ODD_GROUP else rules.keeps(path, tag)
                    if tag == _UID_VALUE and not self.keeps:
                        self.keeps = rules.keeps_device(path, buffer, elements)
                self._value(kind, tag, vr, bytes(buffer[value : min(end, value + 64 * _LONGEST)]), sets)
        return sets

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
            element = find(elements, tag)
            if element is not None and element[5] is None:
                self._value(meaning, tag, element[1], bytes(self._buffer[element[3] : element[4]]), sets)

    def add(self, kind: Kind, tag: int, text: str) -> None:
        self._add(_finding(kind, tag, text))

    def _add(self, findings: tuple[Finding, ...]) -> None:
        (self.kept if self.keeps else self.findings).update(findings)
        _check_number(len(self.findings) + len(self.kept))

    def uid(self, tag: int, uid: str) -> None:
        # Without a dot it is none: ``0``.
        if "." in uid and not is_well_known(uid):
            self.uids.setdefault(uid, set()).add(tag)
            if self.keeps:
                self.kept_uids.add(uid)


def _findings(kind: Kind, tag: int, vr: bytes, raw: bytes, sets: CharacterSets) -> tuple[Finding, ...]:
    """What the values of an element other than a UID tell."""
    texts = [decode(raw, vr, sets).text]
    if kind in _WORDS and not raw.isascii():
        texts += other_readings(raw)
    findings = (one for text in texts for value in split_values(text, vr) for one in _finding(kind, tag, value))
    return tuple(dict.fromkeys(findings))


#: The instances of a study share most of their values.
_remembered: Final = lru_cache(maxsize=1024)(_findings)


def _finding(kind: Kind, tag: int, text: str) -> tuple[Finding, ...]:
    text = text.strip("\0 \r\n\t")[:_LONGEST]
    if kind in (Kind.DATE, Kind.BIRTH_DATE):
        # A thousand frames have a thousand times of one date.
        text = date_digits(text)
    return (Finding(kind, tag, text),) if text else ()
