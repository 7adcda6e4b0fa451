"""Private elements: which of a data set or item are kept, and by which rule (PS3.5 7.8, PS3.15 E.3.10).

A private element is known by its creator, never by its number: the creator reserves a block of the group, another one
in every data set and item. A program names elements by creator; the option Retain Safe Private keeps what the standard
calls safe (Table E.3.10-1), and what the instance itself calls so (Private Data Element Characteristics Sequence) where
the profile believes its sender.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.deid.forms import numbers_form, private_form
from gateway.deid.guard import Guard
from gateway.dicom.encoded import Buffer, Element, Item, find
from gateway.dicom.instance import Instance
from gateway.dicom.private_dictionary import private_vr
from gateway.profile import Action, Believing, Numeric, Program, TimeOfDay, Verb
from gateway.profile.safe_private import SAFE_PRIVATE

__all__ = ["Characteristics", "Known", "PrivateElement", "PrivateElements", "characteristics", "staying"]

_CHARACTERISTICS: Final = 0x00080300
_GROUP: Final = 0x00080301
_CREATOR: Final = 0x00080302
_STATUS: Final = 0x00080303
_NONIDENTIFYING: Final = 0x00080304
_DEIDENTIFICATION_ACTIONS: Final = 0x00080305
_IDENTIFYING: Final = 0x00080306
_ACTION: Final = 0x00080307
_ODD_GROUP: Final = 0x00010000
_FIRST_BLOCK: Final = 0x10
#: PS3.5 6.2: a value of VR LO, with room for several bytes per character.
_LONGEST_CREATOR: Final = 256
_TEXT: Final = frozenset(("CS", "LO", "LT", "SH", "ST", "UC", "UT"))
_MAY_HIDE_ITEMS: Final = frozenset((b"SQ", b"UN"))
#: VRs of times of day, and of text that a device may write one in.
_MAY_HOLD_TIMES: Final = frozenset((b"DT", b"TM", b"LO", b"LT", b"SH", b"ST", b"UC", b"UN", b"UT"))
#: PS3.5 7.8.1: these odd groups hold no private elements.
_ILLEGAL_GROUPS: Final = frozenset((0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF))
#: Deidentification Action (0008,0307).
_VERBS: Final = {"D": Verb.DUMMY, "Z": Verb.EMPTY, "X": Verb.REMOVE, "U": Verb.HASH_UID}
_BECAUSE: Final = "Private Data Element Characteristics Sequence (0008,0300)"


class PrivateElement(NamedTuple):
    """One private element that does not simply go.

    Attributes
    ----------
    action
        what happens to it
    vr
        its VR as far as anybody knows, otherwise ``UN``
    name
        the element whatever its block: ``(0019,xx10) SIEMENS MR HEADER``
    guard
        what it has to be if it stays
    """

    action: Action
    vr: bytes
    name: str
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Characteristics:
    """What an instance says of a block of its private elements (PS3.3 C.12.1.1.7).

    Attributes
    ----------
    safe
        whether elements that nothing else is said of are safe
    nonidentifying
        last bytes of the numbers of safe elements
    verbs
        last byte of the number of an identifying element -> what is to be done with it
    """

    safe: bool
    nonidentifying: frozenset[int]
    verbs: Mapping[int, Verb]


#: (group, creator in capital letters) -> what the instance says.
Known = Mapping[tuple[int, str], Characteristics]


class PrivateElements:
    """The rules of a program for private elements.

    Parameters
    ----------
    program
        without conditions
    """

    def __init__(self, program: Program) -> None:
        self._rules = program.private_elements
        self._safe = program.safe
        self._default = program.private
        self._times = None if program.times == "keep" else TimeOfDay(program.times)
        #: Group and creator of all elements that rules or the standard's table name.
        self._creators = {(rule.group, rule.creator) for rule in self._rules}
        if self._safe is not None:
            self._creators |= {(group, creator) for group, _offset, creator in SAFE_PRIVATE}
        # Without what an instance says of itself, few elements are met again and again.
        self._decided = lru_cache(maxsize=4096)(lambda tag, creator: self._decide(tag, creator, {}))
        self._asks = self._safe is not None or any(isinstance(rule.action.options, Numeric) for rule in self._rules)
        self.active = bool(self._rules) or self._safe is not None or self._default.verb is not Verb.REMOVE

    def known(self, instance: Instance) -> Known:
        """What ``instance`` says of its private elements, if the program asks."""
        return characteristics(instance) if self._asks else {}

    def find(self, buffer: Buffer, elements: list[Element], known: Known) -> dict[int, PrivateElement]:
        """The private elements of one data set or item that do not simply go, by tag; creators are not among them.

        Parameters
        ----------
        buffer, elements
            the data set or item
        known
            what the instance says of private elements
        """
        decided: dict[int, PrivateElement] = {}
        #: First tag of a block -> its creator, for blocks in which something may stay.
        creators: dict[int, str] = {}
        for tag, vr, _start, value, end, items in elements:
            if not tag & _ODD_GROUP:
                continue
            if tag & 0xFF00 == 0 and tag & 0xFFFF >= _FIRST_BLOCK:  # a creator: PS3.5 7.8.1
                if items is None and tag >> 16 not in _ILLEGAL_GROUPS:
                    creator = _text(buffer, value, end)
                    if creator and self._concerns(tag >> 16, creator, known):
                        creators[tag & 0xFFFF0000 | (tag & 0xFF) << 8] = creator
                continue
            if not creators or tag & 0xFFFFFF00 not in creators:
                continue
            creator = creators[tag & 0xFFFFFF00]
            action, told = self._decide(tag, creator, known) if known else self._decided(tag & 0xFFFF00FF, creator)
            if action is not None and action.verb is not Verb.REMOVE:
                known_vr = vr if vr != b"UN" else told or private_vr(tag, creator)
                guard = self._guard(tag, creator, action, known_vr)
                action = self._coarse(tag, creator, action, known_vr)
                name = f"({tag >> 16:04X},xx{tag & 0xFF:02X}) {creator}"
                decided[tag] = PrivateElement(action, known_vr, name, guard)
        return decided

    def make(self, buffer: Buffer, elements: list[Element]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]] | None:
        """What ``find`` looks at of a data set besides its tags: the creators, and the VRs of private elements.

        None if a creator is longer than any can be.
        """
        private = [element for element in elements if element[0] & _ODD_GROUP]
        creators = []
        for tag, _vr, _start, value, end, items in private:
            if tag & 0xFF00 == 0 and items is None:
                if end - value > _LONGEST_CREATOR:
                    return None
                creators.append(bytes(buffer[value:end]))
        return tuple(creators), tuple([element[1] for element in private])

    def _guard(self, tag: int, creator: str, action: Action, vr: bytes) -> Guard | None:
        """What an element that stays has to be: with the table's VR and VM if that vouches for it."""
        if action.verb is not Verb.KEEP:
            return None
        if isinstance(action.options, Numeric):
            return Guard(numbers_form(action.options), technical=False)
        listed = SAFE_PRIVATE.get((tag >> 16, tag & 0xFF, creator)) if action is self._safe else None
        if listed is not None:
            return Guard(private_form(listed.vr, listed.vm), technical=listed.vr in _TEXT)
        return None if vr in _MAY_HIDE_ITEMS else Guard(private_form(vr.decode("ascii"), "1-n"), technical=False)

    def _coarse(self, tag: int, creator: str, action: Action, vr: bytes) -> Action:
        """The action for an element that stays and may hold a time of day, which only its own rule keeps exact."""
        if self._times is None or action.verb is not Verb.KEEP or vr not in _MAY_HOLD_TIMES:
            return action
        if (tag >> 16, tag & 0xFF, creator) in SAFE_PRIVATE and action is self._safe:
            # The table of the standard lists none.
            return action
        own = any(
            rule.offset is not None and rule.matches(tag, creator) for rule in self._rules if rule.action is action
        )
        return action if own else replace(action, options=self._times)

    def _concerns(self, group: int, creator: str, known: Known) -> bool:
        """Whether an element of this creator may stay."""
        place = (group, creator)
        return self._default.verb is not Verb.REMOVE or place in self._creators or place in known

    def _decide(self, tag: int, creator: str, known: Known) -> tuple[Action | None, bytes]:
        """The action for an element, and its VR if the rule or the table knows it."""
        group, offset = tag >> 16, tag & 0xFF
        for rule in self._rules:
            if rule.matches(tag, creator):
                vr = b"" if rule.vr == "UN" else rule.vr.encode("ascii")
                if isinstance(rule.action.options, Numeric) and _is_said_against(known.get((group, creator)), offset):
                    # A layer vouches for a make of machine; what an instance says against its own counts before that.
                    return None, vr
                return rule.action, vr
        if self._safe is not None:
            listed = SAFE_PRIVATE.get((group, offset, creator))
            vr = b"" if listed is None else listed.vr.encode("ascii")
            said = known.get((group, creator))
            if said is None:
                if listed is not None:
                    return self._safe, vr
            elif listed is None and not isinstance(self._safe.options, Believing):
                # A sender that calls its own block safe vouches for nothing, unless the profile says so.
                return None, vr
            elif offset in said.verbs:
                return Action(said.verbs[offset], self._safe.origin, because=_BECAUSE), vr
            elif said.safe or offset in said.nonidentifying:
                return self._safe, vr
            else:
                # What the instance says against itself counts before what the standard says in general.
                return None, vr
        return self._default, b""


def _is_said_against(said: Characteristics | None, offset: int) -> bool:
    """Whether an instance calls an element of its own identifying, or its block not safe."""
    return said is not None and (offset in said.verbs or not (said.safe or offset in said.nonidentifying))


def staying(private: Mapping[int, PrivateElement]) -> frozenset[int] | None:
    """The elements of ``PrivateElements.find`` that stay as they are, and their creators.

    None if that cannot be told without their values: a rule changes one, or it may hide items.
    """
    if any(
        one.action.verb is not Verb.KEEP or one.vr in _MAY_HIDE_ITEMS or isinstance(one.action.options, TimeOfDay)
        for one in private.values()
    ):
        return None
    return frozenset(private) | {tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in private}


def characteristics(instance: Instance) -> Known:
    """What ``instance`` says of its private elements; blocks of which it says two things are not safe."""
    known: dict[tuple[int, str], Characteristics] = {}
    for item in _items(instance.elements, _CHARACTERISTICS):
        elements, buffer = item[4], instance.buffer
        groups, creator = _numbers(buffer, elements, _GROUP), _text_of(buffer, elements, _CREATOR)
        status = _text_of(buffer, elements, _STATUS)
        verbs: dict[int, Verb] = {}
        for action in _items(elements, _DEIDENTIFICATION_ACTIONS):
            verb = _VERBS.get(_text_of(buffer, action[4], _ACTION), Verb.REMOVE)
            for number in _numbers(buffer, action[4], _IDENTIFYING):
                verbs[number & 0xFF] = verb if verbs.get(number & 0xFF, verb) is verb else Verb.REMOVE
        listed = frozenset(number & 0xFF for number in _numbers(buffer, elements, _NONIDENTIFYING))
        said = Characteristics(status == "SAFE", listed if status == "MIXED" else frozenset(), verbs)
        for group in groups:
            place = group, creator
            agreed = place not in known or known[place] == said
            known[place] = said if agreed else Characteristics(safe=False, nonidentifying=frozenset(), verbs={})
    return known


def _items(elements: list[Element], tag: int) -> Iterator[Item]:
    element = find(elements, tag)
    yield from (element[5] or ()) if element is not None else ()


def _text(buffer: Buffer, value: int, end: int) -> str:
    return bytes(buffer[value:end]).decode("latin-1").strip("\0 ").upper()


def _text_of(buffer: Buffer, elements: list[Element], tag: int) -> str:
    element = find(elements, tag)
    return "" if element is None or element[5] is not None else _text(buffer, element[3], element[4])


def _numbers(buffer: Buffer, elements: list[Element], tag: int) -> list[int]:
    """The values of VR US."""
    element = find(elements, tag)
    if element is None or element[5] is not None:
        return []
    raw = bytes(buffer[element[3] : element[4]])
    return [int.from_bytes(raw[start : start + 2], "little") for start in range(0, len(raw) - 1, 2)]
