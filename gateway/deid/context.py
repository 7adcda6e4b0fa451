"""The identifying values of one study, for recognising them in its free text.

They come from the instance itself: names, identifiers, institutions, addresses, telephone numbers and stations at every
depth (``gateway.dicom.identifying``), folded so that case, accents and punctuation do not matter. Dates are not among
them: the cleaner removes every date. What the profile keeps or cleans is not either: it is known to stay.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.deid.words import Words, fold, words_of
from gateway.dicom.charset import DEFAULT_REPERTOIRE, CharacterSets, character_sets, decode, split_values
from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.identifying import KIND_OF_VR, KINDS, Kind
from gateway.dicom.instance import Instance
from gateway.errors import LimitExceeded
from gateway.profile import Program, Verb
from gateway.remembering import BoundedMapping

__all__ = ["Context", "Contexts", "study_context"]

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_CODE_VALUE: Final = 0x00080100
_CODE_MEANING: Final = 0x00080104
_CODED: Final = {
    Kind.PERSON_CODE: ((_CODE_VALUE, Kind.ID), (_CODE_MEANING, Kind.NAME)),
    Kind.INSTITUTION_CODE: ((_CODE_VALUE, Kind.ID), (_CODE_MEANING, Kind.INSTITUTION)),
}
#: A longer value is no name, and its beginning is enough.
_LONGEST: Final = 1024
#: No real instance comes near (promise P7).
_MOST_VALUES: Final = 5_000
#: Contexts that are remembered, each under at most this many bytes of its instance.
_MOST_CONTEXTS: Final = 64
_LONGEST_KEY: Final = 65_536
_MOST_PARTS: Final = 256
#: What may hold items.
_NESTING: Final = frozenset((b"SQ", b"UN"))
#: Instead of a VR: character sets, and where those of an item begin and end to hold.
_SETS, _BEGIN, _END = b"sets", b"(", b")"
#: Shorter ones are compared with whole values.
_SHORTEST_IDENTIFIER: Final = 4
_SHORTEST_ADDRESS: Final = 8
_SHORTEST_PHONE: Final = 7
_NATIONAL_NUMBER: Final = 9
_PARTS_OF_ADDRESS: Final = re.compile(r"[,;^\r\n\\]+")
_PUNCTUATION_INSIDE: Final = re.compile(r"(?<=\w)['`\u2019\u00b4-](?=\w)")
#: How German and Scandinavian writers spell these letters where a keyboard lacks them.
_TRANSCRIBED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})


@dataclass(frozen=True, slots=True)
class Context:
    """What identifies a study, folded. Instances of one study mostly have equal contexts.

    Attributes
    ----------
    names
        words of two letters and more of the names of persons
    phrases
        identifiers, institutions, addresses, telephone numbers and stations of four characters and more
    short
        shorter ones, which identify only where they are the whole value
    sites
        of institutions, the whole and each of its words, of four characters and more
    """

    names: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()


#: Kind, VR and the beginning of a value that may identify; of a character set the element's own.
_Told: TypeAlias = "tuple[Kind | None, bytes, bytes]"


def study_context(instance: Instance, program: Program) -> Context:
    """The identifying values of ``instance`` that ``program``, its conditions decided, does not let stay.

    Raises
    ------
    LimitExceeded
        there are more distinct values than any real instance has
    """
    return _context_of(_Gatherer(instance.buffer, program).of(instance.elements))


class Contexts:
    """The contexts of the studies that come through, made once for the instances that tell the same.

    Parameters
    ----------
    program
        its conditions decided
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: BoundedMapping[tuple[_Told, ...], Context] = BoundedMapping(_MOST_CONTEXTS)
        #: What runs of the top level tell, which many instances have.
        self._runs: BoundedMapping[bytes, _Telling] = BoundedMapping(_MOST_PARTS)
        self._tellings: BoundedMapping[tuple[_Told, ...], _Telling] = BoundedMapping(_MOST_PARTS)
        #: Make of data sets and what their runs tell -> numbers of the elements between runs that tell something; None
        #: where that is not told by their bytes alone.
        self._asked: BoundedMapping[tuple[object, ...], tuple[int, ...] | None] = BoundedMapping(_MOST_CONTEXTS)
        #: The same, with the bytes of these elements.
        self._contexts: BoundedMapping[tuple[object, ...], Context] = BoundedMapping(_MOST_CONTEXTS)

    def of(self, instance: Instance) -> Context:
        """As ``study_context``."""
        if instance.make is None or instance.implicit:
            return self._known_context(_Gatherer(instance.buffer, self._program).of(instance.elements))
        place = instance.make, *map(self._runs.get, instance.runs)
        if None in place:
            place = instance.make, *[self._telling(instance, raw, elements) for raw, elements in instance.parts if raw]
        if place not in self._asked:
            self._asked[place] = self._speaking(instance)
        asked = self._asked[place]
        if asked is None:
            return self._known_context(_Gatherer(instance.buffer, self._program).of(instance.elements))
        buffer, elements = instance.buffer, instance.elements
        # Their headers tell their VRs.
        between = [buffer[elements[number][2] : elements[number][4]] for number in asked]
        told = *place, *between
        context = self._contexts.get(told)
        if context is None:
            context = self._known_context(self._told(instance))
            if sum(map(len, between)) <= _LONGEST_KEY:
                self._contexts[told] = context
        return context

    def _telling(self, instance: Instance, raw: bytes, elements: list[Element]) -> _Telling:
        """What a run tells, as one object for all runs that tell the same."""
        telling = self._runs.get(raw)
        if telling is None:
            told = _Gatherer(instance.buffer, self._program).of(elements)
            telling = self._tellings.get(told)
            if telling is None:
                telling = self._tellings.keep(told, _Telling(told))
            self._runs[raw] = telling
        return telling

    def _told(self, instance: Instance) -> tuple[_Told, ...]:
        """What all elements tell, in their order."""
        gatherer = _Gatherer(instance.buffer, self._program)
        told: list[_Told] = []
        for raw, elements in instance.parts:
            told += self._telling(instance, raw, elements).told if raw else gatherer.of(elements)
        return tuple(told)

    def _speaking(self, instance: Instance) -> tuple[int, ...] | None:
        """Numbers of the elements between runs that may tell something; None where one has items without saying so."""
        gatherer = _Gatherer(instance.buffer, self._program)
        numbers: list[int] = []
        first = 0
        for raw, elements in instance.parts:
            if not raw:
                numbers += [
                    first + number for number, element in enumerate(elements) if not gatherer.is_silent(element)
                ]
            first += len(elements)
        # How items in VR UN are encoded may be told by what follows.
        speaking = [instance.elements[number] for number in numbers]
        return None if any(one[1] != b"SQ" and one[5] is not None for one in speaking) else tuple(numbers)

    def _known_context(self, told: tuple[_Told, ...]) -> Context:
        context = self._known.get(told)
        if context is None:
            context = _context_of(told)
            if sum(len(raw) for _, _, raw in told) <= _LONGEST_KEY:
                self._known[told] = context
        return context


class _Telling:
    """What some runs tell; equal to itself only."""

    __slots__ = ("told",)

    def __init__(self, told: tuple[_Told, ...]) -> None:
        self.told = told


class _Gatherer:
    """Finds what may identify, as it is encoded: in the order in which it stands, at every depth."""

    def __init__(self, buffer: Buffer, program: Program) -> None:
        self._buffer = buffer
        self._program = program
        self._found: list[_Told] = []

    def of(self, elements: list[Element]) -> tuple[_Told, ...]:
        self._found = []
        self._level(elements)
        return tuple(self._found)

    def _level(self, elements: list[Element]) -> None:
        buffer = self._buffer
        for tag, coded_vr, _start, value, end, items in elements:
            kind = KINDS[tag] if tag in KINDS else KIND_OF_VR.get(coded_vr)
            if items is not None:
                for item in items:
                    if kind in _CODED:
                        self._coded(item[4], kind)
                    within = len(self._found)
                    self._level(item[4])
                    if any(vr == _SETS for _, vr, _ in self._found[within:]):
                        # Character sets of an item hold in it alone.
                        self._found.insert(within, (None, _BEGIN, b""))
                        self._found.append((None, _END, b""))
            elif tag == _SPECIFIC_CHARACTER_SET:
                self._found.append((None, _SETS, bytes(buffer[value:end])))
            elif kind in _COLLECTED and value != end and not self._stays(tag):
                vr = vr_of(tag) if coded_vr == b"UN" else coded_vr  # PS3.5 6.2.2
                self._found.append((kind, vr, bytes(buffer[value : min(end, value + 64 * _LONGEST)])))

    def is_silent(self, element: Element) -> bool:
        """Whether elements with this tag and VR tell nothing."""
        tag, vr = element[:2]
        if tag == _SPECIFIC_CHARACTER_SET or vr in _NESTING:
            return False
        kind = KINDS[tag] if tag in KINDS else KIND_OF_VR.get(vr)
        return kind not in _COLLECTED or self._stays(tag)

    def _stays(self, tag: int) -> bool:
        return self._program.action(tag).verb in (Verb.KEEP, Verb.CLEAN)

    def _coded(self, elements: list[Element], kind: Kind) -> None:
        """Code Value and Code Meaning of a person or an institution (PS3.3 section 8.8)."""
        for tag, meant in _CODED[kind]:
            element = find(elements, tag)
            if element is not None and element[5] is None:
                self._found.append((meant, element[1], bytes(self._buffer[element[3] : element[4]])))


def _context_of(told: tuple[_Told, ...]) -> Context:
    collector = _Collector(words_of(frozenset()))
    sets, outer = DEFAULT_REPERTOIRE, []
    for kind, vr, raw in told:
        if kind is not None:
            collector.values(kind, vr, raw, sets)
        elif vr == _SETS:
            sets = character_sets(raw)
        elif vr == _BEGIN:
            outer.append(sets)
        else:
            sets = outer.pop()
    return Context(
        frozenset(collector.names),
        frozenset(collector.phrases),
        frozenset(collector.short),
        frozenset(collector.sites),
    )


class _Collector:
    def __init__(self, words: Words) -> None:
        self._words = words
        self._seen: set[tuple[Kind, str]] = set()
        self.names: set[str] = set()
        self.phrases: set[str] = set()
        self.short: set[str] = set()
        self.sites: set[str] = set()

    def values(self, kind: Kind, vr: bytes, raw: bytes, sets: CharacterSets) -> None:
        """Add what the values of an element tell."""
        for one in split_values(decode(raw, vr, sets).text, vr):
            text = one.strip("\0 \r\n\t")[:_LONGEST]
            if text and (kind, text) not in self._seen:
                self._seen.add((kind, text))
                if len(self._seen) > _MOST_VALUES:
                    raise LimitExceeded(limit=_MOST_VALUES, unit="identifying values", where="the cleaning of text")
                self._add(kind, text)

    def _add(self, kind: Kind, text: str) -> None:
        match kind:
            case Kind.NAME:
                self._name(text)
            case Kind.DEVICE:
                # Without a digit it is a model or a role ("CT", "ARCHIVE"), which many stations share.
                if len(text) > _SHORTEST_IDENTIFIER and any(letter.isdecimal() for letter in text):
                    self._phrase(text)
            case Kind.ADDRESS:
                for part in (text, *_PARTS_OF_ADDRESS.split(text)):
                    if len(fold(part)) >= _SHORTEST_ADDRESS:
                        self._phrase(part)
            case Kind.PHONE:
                self._phone(text)
            case Kind.INSTITUTION:
                self._phrase(text)
                words = (fold(word) for word in (text, *re.findall(r"[^\W_]+", text)))
                self.sites.update(word for word in words if len(word) >= _SHORTEST_IDENTIFIER)
            case _:
                self._phrase(text)

    def _name(self, text: str) -> None:
        """Each word of each component of each component group (PS3.5 6.2.1)."""
        plain = unicodedata.normalize("NFC", text)
        for spelling in (plain, _PUNCTUATION_INSIDE.sub("", plain), plain.casefold().translate(_TRANSCRIBED)):
            for word in re.findall(r"[^\W_]+", spelling):
                folded = fold(word)
                if len(folded) > 1 and folded not in self._words.particles and folded not in self._words.person:
                    self.names.add(folded)

    def _phrase(self, text: str) -> None:
        """The value as it is, and a number without its leading zeros."""
        folded = fold(text)
        for form in {folded, folded.lstrip("0")} if folded.isdecimal() else {folded}:
            if len(form) >= _SHORTEST_IDENTIFIER:
                self.phrases.add(form)
            elif form:
                self.short.add(form)

    def _phone(self, text: str) -> None:
        folded = fold(text)
        digits = "".join(letter for letter in folded if letter.isdecimal())
        for form in {folded, digits, digits[-_NATIONAL_NUMBER:]}:
            if len(form) >= _SHORTEST_PHONE:
                self.phrases.add(form)


_COLLECTED: Final = frozenset((Kind.NAME, Kind.ID, Kind.DEVICE, Kind.INSTITUTION, Kind.ADDRESS, Kind.PHONE))
