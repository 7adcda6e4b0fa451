"""A profile compiled for use: what happens to every element, and why.

A program whose rules have conditions is specialised per instance: ``truths`` decides every condition once, and
``specialise`` gives the program for that outcome, in which no condition is left. Few outcomes occur, and they are
remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from gateway.dicom.dictionary import VR_OF, is_known
from gateway.dicom.tag import is_beyond_repeating, is_group_length, is_private
from gateway.profile.condition import Condition
from gateway.profile.identity import Identity
from gateway.profile.origin import Origin
from gateway.profile.pixel_program import PixelProgram, Rectangle
from gateway.profile.verb import Verb
from gateway.profile.verb_options import Options
from gateway.remembering import BoundedMapping

__all__ = [
    "AcceptRule",
    "Action",
    "Code",
    "Dates",
    "GivenValue",
    "Identity",
    "Origin",
    "PathRule",
    "Pattern",
    "PrivateRule",
    "ProfileTest",
    "Program",
    "Shift",
    "Step",
    "TestImage",
    "Times",
]

#: Value of Longitudinal Temporal Information Modified (0028,0303), PS3.15 E.3.6.
Dates: TypeAlias = Literal["REMOVED", "MODIFIED", "UNMODIFIED"]
#: How exact times of day stay.
Times: TypeAlias = Literal["keep", "hour", "remove"]
#: One level of a path: a sequence, any one sequence, or one and more sequences.
Step: TypeAlias = int | Literal["*", "**"]
#: What a test of a profile gives to an element: a text, several, or the items of a sequence.
GivenValue: TypeAlias = "str | tuple[str, ...] | tuple[Mapping[str, GivenValue], ...]"


@dataclass(frozen=True, slots=True)
class Action:
    """What happens to an element.

    Attributes
    ----------
    verb
        the action, perhaps compound: ``gateway.profile.verb.resolve`` decides it by the attribute's Type
    origin
        the rule that it comes from
    value
        for ``replace`` the value to write, valid for the element's VR; it may hold characters outside ASCII
    because
        the rule's reason in the words of its author
    when
        the rule applies to instances for which this holds; None for all
    options
        what the verb needs beyond that
    rank
        position among all rules of the program; of two rules that name an element, the one of higher rank counts
    """

    verb: Verb
    origin: Origin
    value: str | None = None
    because: str = ""
    when: Condition | None = None
    options: Options | None = None
    rank: int = 0


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
class PathRule:
    """An action for an element at certain places only.

    Attributes
    ----------
    path
        the sequences from the top level down to the element; ``()`` is the top level itself
    tag
        the element
    action
        what happens to it
    """

    path: tuple[Step, ...]
    tag: int
    action: Action

    @property
    def rank(self) -> int:
        """Position of the rule among all rules."""
        return self.action.rank

    def matches(self, path: Sequence[int], tag: int) -> bool:
        """Whether the rule is about the element ``tag`` inside the sequences ``path``, outermost first."""
        return tag == self.tag and _fits(self.path, tuple(path))


def _fits(steps: tuple[Step, ...], path: tuple[int, ...]) -> bool:
    if not steps:
        return not path
    if steps[0] == "**":
        return any(_fits(steps[1:], path[count:]) for count in range(1, len(path) + 1))
    return bool(path) and steps[0] in ("*", path[0]) and _fits(steps[1:], path[1:])


@dataclass(frozen=True, slots=True)
class PrivateRule:
    """An action for one private element, found by its creator whatever block it reserves (PS3.5 7.8.1).

    Attributes
    ----------
    group
        odd group
    offset
        the last byte of the element number, 0x00 to 0xFF; None for the whole block of the creator
    creator
        the Private Creator, trimmed, in capital letters as it is compared
    vr
        VR where the rule's author or the private dictionary knows it, otherwise ``UN``
    action
        what happens to it
    """

    group: int
    offset: int | None
    creator: str
    vr: str
    action: Action

    @property
    def rank(self) -> int:
        """Position of the rule among all rules."""
        return self.action.rank

    def matches(self, tag: int, creator: str) -> bool:
        """Whether the rule is about the private element ``tag`` of ``creator``, trimmed and in capital letters."""
        if tag >> 16 != self.group or creator != self.creator:
            return False
        return self.offset is None or tag & 0xFF == self.offset


@dataclass(frozen=True, slots=True)
class AcceptRule:
    """Whether instances for which ``condition`` holds go on. The first rule that matches decides.

    Attributes
    ----------
    decision
        what happens to them
    condition
        which instances
    because
        the reason, in the words of the author
    origin
        where the rule stands
    """

    decision: Literal["accept", "reject", "hold"]
    condition: Condition
    because: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Shift:
    """The range of the per-patient date shift: whole days from ``first`` to ``last``, never 0 (PS3.15 E.3.6)."""

    first: int
    last: int

    @property
    def choices(self) -> int:
        """How many shifts there are."""
        return self.last - self.first + 1 - (self.first <= 0 <= self.last)

    def days(self, number: int) -> int:
        """The shift in days that belongs to ``number``, any integer from 0: one of ``choices``, never 0."""
        days = self.first + number % self.choices
        return days + 1 if self.first <= 0 <= days else days


@dataclass(frozen=True, slots=True)
class TestImage:
    """The size and kind of a test's picture, in which no two neighbourhoods are alike."""

    __test__ = False

    rows: int
    columns: int
    frames: int
    colour: bool


@dataclass(frozen=True, slots=True)
class ProfileTest:
    """One entry of ``tests``: an instance and what becomes of it.

    Attributes
    ----------
    name
        as written, or ``test N``
    given
        target as written -> value; top-level elements, sequences as tuples of items
    sender
        ``source``, ``calling_ae``, ``called_ae`` and ``route`` as far as the test gives them
    expect
        target as written -> text, empty for an empty element, None for an absent one; ``{patient}`` stands for the
        patient's pseudonym
    never
        texts that stand nowhere in the output
    outcome
        what becomes of the instance
    origin
        where the test stands
    file
        a DICOM file to which ``given`` is added; None for an instance of what is given alone
    image
        what its picture is like; None for a black one where the kind of the instance has pixels
    pictured
        whether it has a picture at all
    black
        rectangles that are blackened
    same
        rectangles that stay as they are
    """

    name: str
    given: Mapping[str, GivenValue] = field(hash=False)
    sender: Mapping[str, str] = field(hash=False)
    expect: Mapping[str, str | tuple[str, ...] | None] = field(hash=False)
    never: tuple[str, ...]
    outcome: Literal["accepted", "rejected", "held"]
    origin: Origin
    file: str | None = None
    image: TestImage | None = None
    pictured: bool = True
    black: tuple[Rectangle, ...] = ()
    same: tuple[Rectangle, ...] = ()


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
_REPEATING_GROUP: Final = _fixed(Verb.REMOVE, "PS3.5 7.6")
#: Command, file meta and directory elements have no place in the data set of a composite instance, and some of them
#: (AE titles, file names) identify.
_FOREIGN_GROUPS: Final = frozenset((0x0000, 0x0002, 0x0004))


#: Outcomes of conditions that a program remembers.
_MOST_OUTCOMES: Final = 256


class _Outcomes(BoundedMapping[tuple[bool, ...], "Program"]):
    """Specialised programs by the outcome of the conditions; they do not travel with the program."""

    def __init__(self) -> None:
        super().__init__(_MOST_OUTCOMES)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Outcomes, ())


@dataclass(frozen=True, slots=True)
class Program:
    """A profile with all its layers resolved.

    ``actions``, ``patterns``, ``private``, ``unknown``, ``unlisted``, ``safe`` and ``action`` tell what happens where
    no condition holds.

    Attributes
    ----------
    profile, version
        name and version of the outermost profile
    digest
        SHA-256 of the resolved content in lower-case hexadecimal; comments and layout do not change it
    actions
        exact tag -> action
    patterns
        actions for repeating groups; the first that matches counts, of those without a condition
    private
        action for private elements (odd groups)
    unknown
        action for elements of even groups that the standard does not know
    unlisted
        action for elements of the standard that no layer mentions
    codes
        profile and options that the layers implement, for (0012,0064)
    dates
        what is done with dates; ``longitudinal`` says it of the output
    identity
        form of the pseudonyms
    conditions
        every condition of a rule, each once; ``truths`` has the same order
    rules
        exact tag -> all candidates, strongest first; the last one has no condition
    defaults
        ``private``, ``unknown``, ``unlisted``, ``safe-private`` -> all candidates, strongest first
    paths
        rules for places, strongest first; in a specialised program each of them overrides the rules for its tag
    inserts
        (tag, action) for elements that are written at the top level whether received or not, by ``insert`` and
        ``copy``, strongest first; in a specialised program each tag once, overriding all other rules for it there
    private_elements
        rules for private elements by creator, strongest first; in a specialised program each of them
        overrides ``safe`` and ``private`` as far as it matches
    safe
        the rule that keeps the private elements that the standard or the instance itself calls safe, or None
    accept
        which instances go on; without a match they do
    pixels
        what is done with pixel data
    shift
        range of the date shift, or None if the profile shifts none
    times
        how exact times of day stay, where no rule keeps an element by its name
    vocabulary
        words of the site that ``clean`` keeps, as written
    when_unsure
        what is done where ``clean`` or ``shift-date`` cannot tell: the value goes, or the instance is held
    tests
        the profile's own tests
    identified
        the profile says that its outputs hold direct identifiers; then nothing is claimed of them
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
    conditions: tuple[Condition, ...] = ()
    rules: Mapping[int, tuple[Action, ...]] = field(default_factory=dict, hash=False)
    defaults: Mapping[str, tuple[Action, ...]] = field(default_factory=dict, hash=False)
    paths: tuple[PathRule, ...] = ()
    inserts: tuple[tuple[int, Action], ...] = ()
    private_elements: tuple[PrivateRule, ...] = ()
    safe: Action | None = None
    accept: tuple[AcceptRule, ...] = ()
    pixels: PixelProgram = field(default_factory=PixelProgram)
    shift: Shift | None = None
    times: Times = "keep"
    vocabulary: frozenset[str] = frozenset()
    when_unsure: Literal["remove", "hold"] = "remove"
    tests: tuple[ProfileTest, ...] = ()
    identified: bool = False
    _outcomes: _Outcomes = field(default_factory=_Outcomes, init=False, repr=False, compare=False)

    @property
    def longitudinal(self) -> Dates:
        """Longitudinal Temporal Information Modified (0028,0303): dates with coarser times are modified (E.3.6)."""
        return "MODIFIED" if self.times != "keep" and self.dates == "UNMODIFIED" else self.dates

    @property
    def safe_private(self) -> bool:
        """Whether private elements that are known to be safe stay (PS3.15 E.3.10)."""
        return self.safe is not None

    @property
    def keywords(self) -> frozenset[str]:
        """Names whose values the conditions of rules and of ``accept`` need: ``Condition.keywords``."""
        conditions = (*self.conditions, *(rule.condition for rule in self.accept))
        return frozenset(name for condition in conditions for name in condition.keywords)

    def truths(self, values: Mapping[str, object]) -> tuple[bool, ...]:
        """Whether each of ``conditions`` holds, for ``values`` as ``Condition.evaluate`` takes them.

        Raises
        ------
        RuleFailed
            a condition cannot be decided
        """
        return tuple(condition.evaluate(values) for condition in self.conditions)

    def specialise(self, truths: Sequence[bool]) -> Program:
        """The program for instances for which ``conditions`` have the outcome ``truths``.

        Returns
        -------
        A program without conditions, with one candidate per tag.

        Raises
        ------
        ValueError
            there are not as many truths as conditions
        """
        if len(truths) != len(self.conditions):
            raise ValueError(f"{len(self.conditions)} conditions have not {len(truths)} outcomes")
        outcome = tuple(truths)
        specialised = self._outcomes.get(outcome)
        if specialised is None:
            specialised = self._specialised({one for one, true in zip(self.conditions, outcome, strict=True) if true})
            self._outcomes[outcome] = specialised
        return specialised

    def _specialised(self, true: set[Condition]) -> Program:
        def holds(action: Action) -> bool:
            return action.when is None or action.when in true

        def first(candidates: Iterable[Action], otherwise: Action) -> Action:
            return next((action for action in candidates if holds(action)), otherwise)

        private = first(self.defaults.get("private", ()), self.private)
        safe = next((action for action in self.defaults.get("safe-private", ()) if holds(action)), self.safe)
        if safe is not None and (safe.verb is not Verb.KEEP or safe.rank < private.rank):
            safe = None
        changed = {tag: first(candidates, candidates[-1]) for tag, candidates in self.rules.items()}
        program = replace(
            self,
            actions={**self.actions, **changed},
            patterns=tuple(pattern for pattern in self.patterns if holds(pattern.action)),
            private=private,
            unknown=first(self.defaults.get("unknown", ()), self.unknown),
            unlisted=first(self.defaults.get("unlisted", ()), self.unlisted),
            safe=safe,
            private_elements=tuple(
                rule for rule in self.private_elements if holds(rule.action) and rule.rank > private.rank
            ),
            pixels=self.pixels.specialised(true),
            conditions=(),
            rules={tag: (action,) for tag, action in changed.items()},
            defaults={},
        )
        paths = [rule for rule in self.paths if holds(rule.action) and rule.rank >= program.action(rule.tag).rank]
        top = {rule.tag: rule.rank for rule in reversed(paths) if not rule.path}
        inserts: dict[int, Action] = {}
        for tag, action in self.inserts:
            strongest = max(program.action(tag).rank, top.get(tag, 0))
            if holds(action) and action.rank >= strongest:
                inserts.setdefault(tag, action)
        return replace(program, paths=tuple(paths), inserts=tuple(inserts.items()))

    def action(self, tag: int) -> Action:
        """The action for the element ``tag`` (0xGGGGEEEE), at any nesting depth (PS3.15 E.1.1).

        In this order: group lengths are removed; a rule for the tag; a pattern, which keeps nothing of curves and
        overlays beyond the groups that there can be; the defaults for private and unknown elements; elements of groups
        0000, 0002 and 0004, which a data set must not hold, and of repeating groups that no pattern names are removed;
        the default for elements that no layer mentions. A kept sequence is kept as a container: the program applies to
        its items.
        """
        if is_group_length(tag):
            return _GROUP_LENGTH
        actions = self.actions.get(tag)
        if actions is not None:
            return actions
        if is_private(tag):
            return self.private
        for pattern in self.patterns:
            if (pattern.action.when is None or not self.conditions) and pattern.matches(tag):
                goes = pattern.action.verb is Verb.REMOVE or not is_beyond_repeating(tag)
                return pattern.action if goes else _REPEATING_GROUP
        if not is_known(tag):
            return self.unknown
        if tag not in VR_OF:
            return _REPEATING_GROUP
        return _FOREIGN_GROUP if tag >> 16 in _FOREIGN_GROUPS else self.unlisted
