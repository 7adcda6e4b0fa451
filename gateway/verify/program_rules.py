"""What a program says of every element at every place, read from the program alone.

The engine has its own reading, made for speed; this one is made to disagree with it where one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from gateway.dicom.dictionary import vr_of
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.instance import Instance
from gateway.dicom.tag import is_group_length, is_private, is_private_creator
from gateway.profile import Action, Believing, Numeric, Program, Technical, TimeOfDay, Verb
from gateway.profile.safe_private import SAFE_PRIVATE

__all__ = ["Rules", "Said"]

_CHARACTERISTICS: Final = 0x00080300
#: UID (0040,A124) of a content item; Retain UIDs Option (PS3.16 CID 7050).
_UID: Final = 0x0040A124
_RETAIN_UIDS: Final = "113110"
#: Device Observer UID and Device Subject UID stay under the Retain Device Identity Option.
_RETAIN_DEVICES: Final = "113109"
_DEVICES: Final = frozenset((b"121012", b"121198"))
_CONCEPT_NAME, _CODE_VALUE, _DESIGNATOR = 0x0040A043, 0x00080100, 0x00080102
_ACTIONS: Final = {b"D": Verb.DUMMY, b"Z": Verb.EMPTY, b"U": Verb.HASH_UID}
_TIMED: Final = frozenset((b"DT", b"TM"))
_MOST_TAGS: Final = 100_000

#: Place of a private element in any block: group, creator, last byte of the number.
Said: TypeAlias = Mapping[tuple[int, bytes, int], Verb]


class Rules:
    """The rules of a program without conditions.

    Parameters
    ----------
    program
        specialised: ``Program.specialise``
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._actions: dict[int, Action] = {}
        #: Elements of the standard that were asked for and stay wherever they stand.
        self.kept: set[int] = set()
        self._paths: dict[tuple[tuple[int, ...], int], Action | None] = {}
        self._path_tags = frozenset(rule.tag for rule in program.paths)
        self._named = frozenset(program.actions)
        #: Content items that name a study or a series keep their UIDs under this option (Table E.3.4-1).
        self._retains_uids = any(code.value == _RETAIN_UIDS for code in program.codes)
        self._retains_devices = any(code.value == _RETAIN_DEVICES for code in program.codes)
        self._has_numbers = any(isinstance(rule.action.options, Numeric) for rule in program.private_elements)
        #: Whether any private element may stay.
        self.has_private = bool(
            program.private_elements or program.safe is not None or program.private.verb is not Verb.REMOVE
        )

    def action(self, path: tuple[int, ...], tag: int) -> Action:
        """The action for an element inside the sequences ``path``; for a private one what holds without its creator."""
        if tag in self._path_tags:
            special = self._at(path, tag)
            if special is not None:
                return special
        action = self._actions.get(tag)
        if action is None:
            action = self.program.action(tag)
            if len(self._actions) < _MOST_TAGS:
                self._actions[tag] = action
                keeps = action.verb is Verb.KEEP and not is_private(tag) and tag not in self._path_tags
                if keeps and (self.program.times == "keep" or vr_of(tag) not in _TIMED or self.is_exact(action)):
                    self.kept.add(tag)
        return action

    def keeps_time(self, path: tuple[int, ...], tag: int) -> bool:
        """Whether a rule keeps the time of day of an element of the standard as it is."""
        return self.is_exact(self.action(path, tag))

    def is_exact(self, action: Action) -> bool:
        """Where times of day are made coarser, the default keeps nothing exact, nor does a shift without a reason."""
        if isinstance(action.options, TimeOfDay):
            return False
        if action.verb is Verb.SHIFT_DATE:
            return bool(action.because)
        return action.verb is Verb.KEEP and (self.program.times == "keep" or action is not self.program.unlisted)

    def exact(self, buffer: Buffer, elements: list[Element]) -> frozenset[int]:
        """The private elements of a data set or item that a rule keeps by its own number, times of day and all."""
        named = [
            rule for rule in self.program.private_elements if rule.offset is not None and self.is_exact(rule.action)
        ]
        if not named:
            return frozenset()
        creators = _creators(buffer, elements)
        return frozenset(
            tag
            for tag, *_ in elements
            if is_private(tag)
            and (creator := creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF, b"").decode("latin-1"))
            and any(rule.matches(tag, creator) for rule in named)
        )

    def keeps(self, path: tuple[int, ...], tag: int) -> bool:
        """Whether a rule, not only the default, keeps an element of the standard with its value."""
        if tag in self._path_tags:
            special = self._at(path, tag)
            if special is not None:
                return special.verb is Verb.KEEP
        if tag == _UID and self._retains_uids and self._is_cleaned(path):
            return True
        if tag not in self._named:
            return False
        action = self.action(path, tag)
        # What stays only as far as it is technical is searched like everything that nobody vouched for.
        return action.verb is Verb.KEEP and not isinstance(action.options, Technical)

    def keeps_device(self, path: tuple[int, ...], buffer: Buffer, elements: list[Element]) -> bool:
        """Whether ``elements`` are the content item of a device whose UID stays (Table E.3.4-1)."""
        if not self._retains_devices or not self._is_cleaned(path):
            return False
        concept = find(elements, _CONCEPT_NAME)
        codes = [_values(buffer, item[4]) for item in (concept[5] or [])] if concept is not None else []
        return any(code.get(_DESIGNATOR) == b"DCM" and code.get(_CODE_VALUE) in _DEVICES for code in codes)

    def _is_cleaned(self, path: tuple[int, ...]) -> bool:
        """Whether one of the sequences ``path`` is cleaned."""
        return any(self.action(path[:depth], tag).verb is Verb.CLEAN for depth, tag in enumerate(path))

    def _at(self, path: tuple[int, ...], tag: int) -> Action | None:
        place = path, tag
        if place not in self._paths:
            matching = (rule.action for rule in self.program.paths if rule.matches(path, tag))
            action = next(matching, None)
            if len(self._paths) >= _MOST_TAGS:
                return action
            self._paths[place] = action
        return self._paths[place]

    def private(self, buffer: Buffer, elements: list[Element], said: Said) -> dict[int, Verb]:
        """Tag -> verb for the private elements of one data set or item that need not go, creators included.

        Parameters
        ----------
        buffer, elements
            the data set or item
        said
            what the original says of its private elements: ``said_by``
        """
        if not self.has_private:
            return {}
        private = [element for element in elements if element[0] & 0x10000]
        if not private:
            return {}
        creators = _creators(buffer, private)
        verbs: dict[int, Verb] = {}
        for tag, *_ in private:
            if not is_private(tag) or is_group_length(tag) or tag & 0xFFFF < 0x1000:
                continue
            reserved = tag & 0xFFFF0000 | tag >> 8 & 0xFF
            creator = creators.get(reserved, b"")
            verb = self._private_verb(tag, creator, said) if creator else Verb.REMOVE
            if verb is not Verb.REMOVE:
                verbs[tag] = verb
                verbs[reserved] = Verb.KEEP
        return verbs

    def _private_verb(self, tag: int, creator: bytes, said: Said) -> Verb:
        name, group, offset = creator.decode("latin-1"), tag >> 16, tag & 0xFF
        for rule in self.program.private_elements:
            if rule.matches(tag, name):
                numeric = isinstance(rule.action.options, Numeric) and (group, creator, -1) in said
                told = said.get((group, creator, offset), said[group, creator, -1]) if numeric else Verb.KEEP
                return rule.action.verb if told is Verb.KEEP else Verb.REMOVE
        if self.program.safe is None:
            return self.program.private.verb
        believed = isinstance(self.program.safe.options, Believing) or (group, offset, name) in SAFE_PRIVATE
        if (group, creator, -1) in said:
            if not believed:
                return Verb.REMOVE
            return said.get((group, creator, offset), said[group, creator, -1])
        if (group, offset, name) in SAFE_PRIVATE:
            return Verb.KEEP
        return self.program.private.verb

    def said_by(self, instance: Instance) -> Said:
        """What an original says of its private elements (PS3.3 C.12.1.1.7), if the program asks.

        Returns
        -------
        (group, creator, last byte) -> verb; -1 instead of the byte for all others. Of what is said in several items the
        strictest counts.
        """
        verbs: dict[tuple[int, bytes, int], Verb] = {}
        asks = self.program.safe is not None or self._has_numbers
        sequence = find(instance.elements, _CHARACTERISTICS) if asks else None
        for item in (sequence[5] or []) if sequence is not None else []:
            values = _values(instance.buffer, item[4])
            status, creator = values.get(0x00080303, b""), values.get(0x00080302, b"").upper()
            one: dict[int, Verb] = {-1: Verb.KEEP if status == b"SAFE" else Verb.REMOVE}
            if status == b"MIXED":
                one.update(dict.fromkeys(_bytes(values.get(0x00080304, b"")), Verb.KEEP))
            acted: dict[int, Verb] = {}
            actions = find(item[4], 0x00080305)
            for action in (actions[5] or []) if actions is not None else []:
                told = _values(instance.buffer, action[4])
                verb = _ACTIONS.get(told.get(0x00080307, b""), Verb.REMOVE)
                for offset in _bytes(told.get(0x00080306, b"")):
                    acted[offset] = verb if acted.get(offset, verb) is verb else Verb.REMOVE
            one.update(acted)
            for group in _numbers(values.get(0x00080301, b"")):
                for offset, verb in one.items():
                    place = group, creator, offset
                    verbs[place] = verb if verbs.get(place, verb) is verb else Verb.REMOVE
        return verbs


def _creators(buffer: Buffer, elements: list[Element]) -> dict[int, bytes]:
    """Tag of a Private Creator -> the creator in capital letters."""
    return {
        tag: bytes(buffer[value:end]).strip(b"\0 ").upper()
        for tag, _vr, _start, value, end, items in elements
        if is_private_creator(tag) and items is None
    }


def _values(buffer: Buffer, elements: list[Element]) -> dict[int, bytes]:
    return {
        tag: bytes(buffer[value:end]) if vr == b"US" or tag in (0x00080301, 0x00080304, 0x00080306)
        else bytes(buffer[value:end]).strip(b"\0 ")
        for tag, vr, _start, value, end, items in elements
        if items is None
    }  # fmt: skip


def _numbers(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[start : start + 2], "little") for start in range(0, len(raw) - 1, 2)]


def _bytes(raw: bytes) -> list[int]:
    return [number & 0xFF for number in _numbers(raw)]
