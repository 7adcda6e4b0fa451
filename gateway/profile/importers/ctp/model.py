"""What the translation of CTP's scripts produces, before it is written as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias


class NotTranslatable(ValueError):
    """A script that the profile language does not say.

    Attributes
    ----------
    what_instead
        what a profile offers for the purpose, empty if nothing
    """

    def __init__(self, why: str, what_instead: str = "") -> None:
        super().__init__(why)
        self.what_instead = what_instead


@dataclass(frozen=True, slots=True)
class NotCarried:
    """Something of the scripts that the profile does not do, or does more strictly.

    Attributes
    ----------
    place
        file and line of the script
    script
        what stands there
    why
        why the profile does not do the same
    what_instead
        what the profile does, and what a rule of one's own could do
    """

    place: str
    script: str
    why: str
    what_instead: str


#: What a rule writes beside its target: text, or the keys of a flow mapping.
Value: TypeAlias = "str | Mapping[str, str | int | float] | None"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of an element, without saying of which.

    Attributes
    ----------
    action
        key of the rule, such as ``remove`` or ``pseudonymise``; ``hold`` holds the instance
    value
        what the rule writes beside its target, for actions that have a value per target
    extra
        further keys of the rule, such as ``to: year``
    when
        a condition beyond those of the script's branches, empty for none
    top_only
        whether the action exists at the top level only
    """

    action: str
    value: Value = None
    extra: tuple[tuple[str, str], ...] = ()
    when: str = ""
    top_only: bool = False


class Phase(IntEnum):
    """Order of the rules in the profile; later ones override earlier ones."""

    GROUPS = 0
    FALLBACKS = 1
    ELEMENTS = 2
    CONDITIONAL = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the profile for one target."""

    phase: Phase
    target: str
    outcome: Outcome
    when: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One ``accept`` rule: decision, condition and reason."""

    decision: str
    condition: str
    because: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class PixelMask:
    """One pixel rule: rectangles as a profile writes them, condition and reason; without a rectangle it holds."""

    rectangles: tuple[str, ...]
    condition: str
    because: str


@dataclass(frozen=True, slots=True)
class Patient:
    """The ``identity`` of the profile: kind of pseudonym, its format, the table, and the script that asked for it."""

    pseudonym: str
    format: str = ""
    table: str = ""
    comment: str = ""


@dataclass(slots=True)
class Draft:
    """A profile as far as it is translated."""

    name: str
    sources: list[str]
    use: list[str] = field(default_factory=lambda: ["basic"])
    patient: Patient | None = None
    shift: tuple[int, int] | None = None
    dates_kept: bool = False
    accept: list[Acceptance] = field(default_factory=list)
    pixels: list[PixelMask] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    not_carried: list[NotCarried] = field(default_factory=list)

    def widen_shift(self, first: int, last: int) -> None:
        """Let the date shift range over ``first`` to ``last`` days at least."""
        if self.shift is not None:
            first, last = min(first, self.shift[0]), max(last, self.shift[1])
        self.shift = (first, last)
