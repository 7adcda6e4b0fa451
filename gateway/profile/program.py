"""A profile compiled for use: what happens to every element, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from gateway.dicom.dictionary import is_known
from gateway.dicom.tag import is_group_length, is_private
from gateway.profile.identity import Identity
from gateway.profile.verb import Verb

__all__ = ["Action", "Code", "Dates", "Identity", "Origin", "Pattern", "Program"]

#: Value of Longitudinal Temporal Information Modified (0028,0303), PS3.15 E.3.6.
Dates: TypeAlias = Literal["REMOVED", "MODIFIED", "UNMODIFIED"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an action comes from.

    Attributes
    ----------
    layer: name of the profile that holds the rule
    clause: clause of the standard that the rule follows, empty if it follows none
    file: the file as it was found, empty for what the standard itself fixes
    line: line of the rule in that file, from 1; 0 without a file
    """

    layer: str
    clause: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Action:
    """What happens to an element.

    Attributes
    ----------
    verb: the action, perhaps compound: ``gateway.profile.verb.resolve`` decides it by the attribute's Type
    origin: the rule that it comes from
    value: for ``replace`` the value to write, valid for the element's VR; it may hold characters outside ASCII
    because: the rule's reason in the words of its author
    """

    verb: Verb
    origin: Origin
    value: str | None = None
    because: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An action for every tag with ``tag & mask == value``: repeating groups such as 50xx and 60xx (PS3.5 7.6)."""

    mask: int
    value: int
    action: Action

    def matches(self, tag: int) -> bool:
        """Whether ``tag`` is one of the pattern's."""
        return tag & self.mask == self.value


@dataclass(frozen=True, slots=True)
class Code:
    """One item of De-identification Method Code Sequence (0012,0064), from PS3.16 CID 7050."""

    value: str
    scheme: str
    meaning: str


def _fixed(verb: Verb, clause: str) -> Action:
    return Action(verb, Origin("standard", clause, "", 0))


_REMOVE_BY_DEFAULT: Final = _fixed(Verb.REMOVE, "PS3.15 Table E.1-1")
_KEEP_BY_DEFAULT: Final = _fixed(Verb.KEEP, "PS3.15 Table E.1-1")
_GROUP_LENGTH: Final = _fixed(Verb.REMOVE, "PS3.5 7.2")
_FOREIGN_GROUP: Final = _fixed(Verb.REMOVE, "PS3.5 7.1")
#: Command, file meta and directory elements have no place in the data set of a composite instance, and some of them
#: (AE titles, file names) identify.
_FOREIGN_GROUPS: Final = frozenset((0x0000, 0x0002, 0x0004))


@dataclass(frozen=True, slots=True)
class Program:
    """A profile with all its layers resolved.

    Attributes
    ----------
    profile, version: name and version of the outermost profile
    digest: SHA-256 of the resolved content in lower-case hexadecimal; comments and layout do not change it
    actions: exact tag -> action
    patterns: actions for repeating groups; the first that matches counts
    private: action for private elements (odd groups)
    unknown: action for elements of even groups that the standard does not know
    unlisted: action for elements of the standard that no layer mentions
    codes: profile and options that the layers implement, for (0012,0064)
    dates: what is done with dates, for (0028,0303)
    identity: form of the pseudonyms
    """

    profile: str
    version: str
    digest: str
    actions: Mapping[int, Action] = field(hash=False)
    patterns: tuple[Pattern, ...] = ()
    private: Action = _REMOVE_BY_DEFAULT
    unknown: Action = _REMOVE_BY_DEFAULT
    unlisted: Action = _KEEP_BY_DEFAULT
    codes: tuple[Code, ...] = ()
    dates: Dates = "REMOVED"
    identity: Identity = field(default_factory=Identity)

    def action(self, tag: int) -> Action:
        """The action for the element ``tag`` (0xGGGGEEEE), at any nesting depth (PS3.15 E.1.1).

        In this order: group lengths are removed; a rule for the tag; a pattern; the defaults for private and unknown
        elements; elements of groups 0000, 0002 and 0004, which a data set must not hold, are removed; the default for
        elements that no layer mentions. A kept sequence is kept as a container: the program applies to its items.
        """
        if is_group_length(tag):
            return _GROUP_LENGTH
        found = self.actions.get(tag)
        if found is not None:
            return found
        if is_private(tag):
            return self.private
        for pattern in self.patterns:
            if pattern.matches(tag):
                return pattern.action
        if not is_known(tag):
            return self.unknown
        return _FOREIGN_GROUP if tag >> 16 in _FOREIGN_GROUPS else self.unlisted
