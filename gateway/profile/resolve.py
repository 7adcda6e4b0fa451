"""From layers to a program: which rule counts for which element.

Of two rules that name an element, that of the later layer counts; within a layer the more specific one (a place
inside sequences before an element, an element before a pattern, a pattern before a VR), and of two alike the later
one. Where two options of PS3.15 disagree, one keeping and one cleaning an element, it is cleaned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gateway.dicom.dictionary import is_known
from gateway.profile.action import Reading
from gateway.profile.condition import Condition
from gateway.profile.program import Action, Origin, PathRule, Pattern, PrivateRule, Program
from gateway.profile.rules import KEPT_OR_HASHED, ONLY_KEPT, check_action, private_vr
from gateway.profile.target import FOREIGN_GROUPS, At, ByVr, Default, Mask, PrivateElement, Target
from gateway.profile.verb import Verb

#: Verbs that replace a value by one of similar meaning: code C of Table E.1-1a.
CLEANING: Final = frozenset((Verb.CLEAN, Verb.SHIFT_DATE, Verb.TRUNCATE_DATE, Verb.PSEUDONYMISE, Verb.GENERALISE))


#: Retain Longitudinal Temporal Information Modified Dates Option (PS3.16 CID 7050).
MODIFIED_DATES: Final = "113107"


class LayerRules(NamedTuple):
    """What one layer says.

    Attributes
    ----------
    readings
        its rules, in their order
    option
        code of the option of PS3.15 that it implements, or None
    """

    readings: Sequence[Reading]
    option: str | None


class Disagreement(NamedTuple):
    """Two options of the standard that say different things of an element, which is cleaned."""

    tag: int
    kept: Action
    cleaned: Action


@dataclass(frozen=True, slots=True)
class Resolved:
    """The rules of all layers, ranked.

    Attributes
    ----------
    program
        a program with everything that comes from rules
    ranked
        every rule with its rank, weakest first; also those that another one overrides
    disagreements
        where options of the standard disagree
    unlisted
        whether a rule says what happens to elements that no rule names
    """

    program: Program
    ranked: tuple[tuple[Target, Action], ...]
    disagreements: tuple[Disagreement, ...]
    unlisted: bool


def resolve_rules(layers: Sequence[LayerRules], empty: Program) -> Resolved:
    """Resolve the rules of ``layers``, the earliest first, into ``empty``, a program without rules for elements."""
    ordered = _ordered(layers)
    conditions = _shared_conditions(ordered, empty)
    ranked: list[tuple[Target, Action]] = []
    options: dict[int, str | None] = {}
    for rank, (reading, option) in enumerate(ordered, start=1):
        action = reading.action
        when = None if action.when is None else conditions[action.when.text]
        ranked.append((reading.target, replace(action, rank=rank, when=when)))
        options[rank] = option
    strongest_first = ranked[::-1]

    defaults = {
        default.value: actions
        for default in Default
        if (actions := _cut(action for target, action in strongest_first if target is default))
    }
    program = replace(
        empty,
        patterns=_patterns(strongest_first),
        private=_last(defaults, Default.PRIVATE, empty.private),
        unknown=_last(defaults, Default.UNKNOWN, empty.unknown),
        unlisted=_last(defaults, Default.UNLISTED, empty.unlisted),
        pixels=empty.pixels.sharing(conditions),
        conditions=tuple(conditions.values()),
    )
    rules, disagreements = _rules(strongest_first, program, defaults, options)
    program = replace(
        program,
        rules=rules,
        actions={tag: candidates[-1] for tag, candidates in rules.items()},
        defaults=defaults,
        safe=_safe(defaults, program.private),
        private_elements=_private_elements(strongest_first, program.private),
    )
    program = _with_essentials(program)
    program = replace(
        program, paths=_paths(strongest_first, program), inserts=_inserts(strongest_first, program)
    )  # fmt: skip
    return Resolved(
        program=program,
        ranked=tuple(ranked),
        disagreements=tuple(disagreements),
        unlisted=any(action.when is None for action in defaults.get(Default.UNLISTED.value, ())),
    )


def _ordered(layers: Sequence[LayerRules]) -> list[tuple[Reading, str | None]]:
    """All rules, the weakest first."""
    ranked: list[tuple[tuple[int, int, int, int], Reading, str | None]] = []
    for position, layer in enumerate(layers):
        for number, reading in enumerate(layer.readings):
            major, minor = _specificity(reading)
            ranked.append(((position, major, minor, number), reading, layer.option))
    return [(reading, option) for _, reading, option in sorted(ranked, key=lambda one: one[0])]


def _specificity(reading: Reading) -> tuple[int, int]:
    target = reading.target
    if reading.action.verb in (Verb.INSERT, Verb.COPY):
        return (5, 0)
    match target:
        case Default():
            return (0, target is Default.SAFE_PRIVATE)
        case ByVr():
            return (1, 0)
        case Mask():
            return (2, target.mask.bit_count())
        case PrivateElement():
            return (3, target.offset is not None)
        case At():
            return (5, sum(isinstance(step, int) for step in target.path))
        case _:
            return (4, 0)


def _shared_conditions(ordered: Iterable[tuple[Reading, str | None]], empty: Program) -> dict[str, Condition]:
    """One condition per text: equal ones are decided once."""
    conditions: dict[str, Condition] = {}
    stated = [*(reading.action.when for reading, _ in ordered), *(rule.condition for rule in empty.pixels)]
    for condition in stated:
        if condition is not None:
            conditions.setdefault(condition.text, condition)
    return conditions


def _cut(candidates: Iterable[Action]) -> tuple[Action, ...]:
    """The candidates up to the first one without a condition, which the rest cannot pass."""
    actions: list[Action] = []
    conditions: set[Condition] = set()
    for action in candidates:
        if action.when is not None:
            if action.when in conditions:
                continue
            conditions.add(action.when)
        actions.append(action)
        if action.when is None:
            break
    return tuple(actions)


def _last(defaults: dict[str, tuple[Action, ...]], default: Default, otherwise: Action) -> Action:
    candidates = defaults.get(default.value, ())
    return candidates[-1] if candidates and candidates[-1].when is None else otherwise


def _safe(defaults: dict[str, tuple[Action, ...]], private: Action) -> Action | None:
    candidates = defaults.get(Default.SAFE_PRIVATE.value, ())
    if not candidates or candidates[-1].when is not None:
        return None
    last = candidates[-1]
    return last if last.verb is Verb.KEEP and last.rank > private.rank else None


def _patterns(strongest_first: Sequence[tuple[Target, Action]]) -> tuple[Pattern, ...]:
    patterns: list[tuple[Mask, Action]] = []
    for target, action in strongest_first:
        masks = (target,) if isinstance(target, Mask) else target.masks() if isinstance(target, ByVr) else ()
        for mask in masks:
            if not any(stronger.covers(mask) and one.when is None for stronger, one in patterns):
                patterns.append((mask, action))
    return tuple(Pattern(mask.mask, mask.value, action) for mask, action in patterns)


def _rules(
    strongest_first: Sequence[tuple[Target, Action]],
    program: Program,
    defaults: dict[str, tuple[Action, ...]],
    options: dict[int, str | None],
) -> tuple[dict[int, tuple[Action, ...]], list[Disagreement]]:
    """The candidates of every tag that a rule names by itself or by its VR."""
    named: dict[int, list[Action]] = {}
    for target, action in strongest_first:
        if isinstance(target, int) and action.verb not in (Verb.INSERT, Verb.COPY):
            named.setdefault(target, []).append(action)
        elif isinstance(target, ByVr):
            for tag in target.tags():
                if _takes(tag, action):
                    named.setdefault(tag, []).append(action)
    masks = [(target, action) for target, action in strongest_first if isinstance(target, Mask)]
    rules: dict[int, tuple[Action, ...]] = {}
    disagreements: list[Disagreement] = []
    for tag, actions in sorted(named.items()):
        covering = [action for mask, action in masks if mask.matches(tag)]
        every = sorted((*actions, *covering), key=lambda action: -action.rank) if covering else actions
        kept = _agreed(tag, every, options, disagreements)
        candidates = _cut(kept)
        if not any(action in actions for action in candidates):
            continue
        if candidates[-1].when is not None:
            candidates = _cut((*candidates, *_otherwise(tag, program, defaults)))
        rules[tag] = candidates
    return rules, disagreements


def _takes(tag: int, action: Action) -> bool:
    """Whether a rule for a VR can be applied to ``tag``: what an instance cannot lose is left out."""
    try:
        check_action(tag, action)
    except ValueError:
        return False
    return True


def _agreed(
    tag: int, actions: Sequence[Action], options: dict[int, str | None], disagreements: list[Disagreement]
) -> Sequence[Action]:
    """The candidates without those by which an option keeps what another option cleans."""
    if len(actions) < 2:
        return actions
    cleaned = [action for action in actions if action.when is None and _changes(action, options[action.rank])]
    if not cleaned:
        return actions
    left = []
    for action in actions:
        outranks = action.verb is Verb.KEEP and options[action.rank] is not None and action.rank > cleaned[0].rank
        if action.verb is Verb.KEEP and options[action.rank] not in (None, options[cleaned[0].rank]):
            disagreements.append(Disagreement(tag, action, cleaned[0]))
        if not outranks:
            left.append(action)
    return left


def _changes(action: Action, option: str | None) -> bool:
    """Whether an option changes what another may keep. What shifts dates also takes those of machines away."""
    if option is None:
        return False
    return action.verb in CLEANING or (option == MODIFIED_DATES and action.verb is not Verb.KEEP)


def _otherwise(tag: int, program: Program, defaults: dict[str, tuple[Action, ...]]) -> tuple[Action, ...]:
    """What counts for ``tag`` where no rule that names it does."""
    if not is_known(tag):
        return (*defaults.get(Default.UNKNOWN.value, ()), program.unknown)
    if tag >> 16 in FOREIGN_GROUPS:
        return (program.action(tag),)
    return (*defaults.get(Default.UNLISTED.value, ()), program.unlisted)


def _with_essentials(program: Program) -> Program:
    """The program with what no pattern and no default may take from an instance.

    Raises
    ------
    ValueError
        the rules take away what the archive finds instances by
    """
    for tag in sorted(KEPT_OR_HASHED):
        for action in (*program.rules.get(tag, ()), program.action(tag), *_conditional(program, tag)):
            try:
                check_action(tag, action)
            except ValueError as failed:
                rule = f"{action.origin.file}, line {action.origin.line}"
                raise ValueError(f"{failed}, but {rule} says {action.verb}") from None
    lost = [
        tag
        for tag in sorted(ONLY_KEPT)
        if any(action.verb is not Verb.KEEP for action in (*program.rules.get(tag, ()), program.action(tag)))
        or _conditional(program, tag)
    ]
    if not lost:
        return program
    kept = Action(Verb.KEEP, Origin("standard", "PS3.3 C.12.1", "", 0))
    return replace(
        program,
        actions={**program.actions, **dict.fromkeys(lost, kept)},
        rules={**program.rules, **dict.fromkeys(lost, (kept,))},
    )


def _conditional(program: Program, tag: int) -> list[Action]:
    """Actions that patterns and defaults may bring upon a tag that no rule names."""
    if tag in program.rules:
        return []
    patterns = [
        pattern.action for pattern in program.patterns if pattern.action.when is not None and pattern.matches(tag)
    ]
    defaults = program.defaults.get(Default.UNLISTED.value, ())
    return [*patterns, *(action for action in defaults if action.when is not None)]


def _private_elements(strongest_first: Sequence[tuple[Target, Action]], private: Action) -> tuple[PrivateRule, ...]:
    rules: list[PrivateRule] = []
    for target, action in strongest_first:
        if not isinstance(target, PrivateElement) or action.rank < private.rank:
            continue
        group, offset, creator = target
        shadowed = any(
            rule.action.when is None
            and (rule.group, rule.creator) == (group, creator)
            and rule.offset in (None, offset)
            for rule in rules
        )
        if not shadowed:
            rules.append(PrivateRule(group, offset, creator, private_vr(group, offset, creator), action))
    return tuple(rules)


def _paths(strongest_first: Sequence[tuple[Target, Action]], program: Program) -> tuple[PathRule, ...]:
    rules: list[PathRule] = []
    for target, action in strongest_first:
        if not isinstance(target, At) or action.rank < program.action(target.tag).rank:
            continue
        if not any(rule.action.when is None and (rule.path, rule.tag) == target for rule in rules):
            rules.append(PathRule(target.path, target.tag, action))
    return tuple(rules)


def _inserts(strongest_first: Sequence[tuple[Target, Action]], program: Program) -> tuple[tuple[int, Action], ...]:
    inserts: list[tuple[int, Action]] = []
    for target, action in strongest_first:
        if action.verb not in (Verb.INSERT, Verb.COPY):
            continue
        assert isinstance(target, int)
        if action.rank < program.action(target).rank or any(
            rule.tag == target and not rule.path and rule.action.when is None and rule.rank > action.rank
            for rule in program.paths
        ):
            continue
        if not any(tag == target and one.when is None for tag, one in inserts):
            inserts.append((target, action))
    return tuple(inserts)
