"""Times of day made coarser: ``times: hour`` and ``times: remove`` of a profile.

What a rule for many elements lets stay, by an option of the standard, a VR, a pattern, a block of private elements or a
default, stays only as exact as ``times`` says, and so does what is shifted. A rule of a profile stays above it that
keeps one element by its own name, or shifts it and says why. Rules that write another value (``replace``, ``map``,
``generalise`` and the like) say themselves how exact it is.

Offsets from UTC tell nothing without times, and go with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from gateway.dicom.dictionary import VR_OF
from gateway.profile.program import Action, Code, Origin, PrivateRule, Program, Times
from gateway.profile.target import FOREIGN_GROUPS, At, PrivateElement, Target
from gateway.profile.verb import Verb
from gateway.profile.verb_options import TimeOfDay

__all__ = ["OFFSET_FROM_UTC", "REMOVED", "TIMES", "claimed", "coarsened", "exempt", "is_exempt", "own_names"]

OFFSET_FROM_UTC: Final = 0x00080201
_TIME_VRS: Final = frozenset((b"TM", b"DT"))
#: Elements of the standard that hold a time of day.
TIMES: Final = frozenset(tag for tag, vr in VR_OF.items() if vr in _TIME_VRS and tag >> 16 not in FOREIGN_GROUPS)
#: Why a time of day goes.
REMOVED: Final = "times: remove"
#: Verbs after which a time of day is still there.
_LEAVING: Final = frozenset((Verb.KEEP, Verb.SHIFT_DATE))
#: Codes of CID 7050: with full, and with modified dates.
_FULL_DATES: Final = "113106"
_MODIFIED_DATES: Final = "113107"


def own_names(ranked: Iterable[tuple[Target, Action]], options: frozenset[str]) -> frozenset[int]:
    """Ranks of the rules that keep one element by its own name, or shift it with a reason.

    Parameters
    ----------
    ranked
        all rules
    options
        names of the layers that carry out the profile or an option of PS3.15, whose rules are not a site's own
    """
    return frozenset(
        action.rank
        for target, action in ranked
        if (action.verb is Verb.KEEP or (action.verb is Verb.SHIFT_DATE and action.because))
        and action.origin.layer not in options
        and _is_one(target)
    )


def _is_one(target: Target) -> bool:
    if isinstance(target, PrivateElement):
        return target.offset is not None
    return isinstance(target, At | int)


def coarsened(program: Program, own: frozenset[int], origin: Origin) -> Program:
    """``program`` with its times of day as coarse as ``program.times`` says.

    Parameters
    ----------
    program
        resolved
    own
        ranks of the rules that stay above it: ``own_names``
    origin
        where the profile says it
    """
    times = program.times
    if times == "keep":
        return program

    def cut(tag: int, action: Action) -> Action:
        if action.verb not in _LEAVING or action.rank in own:
            return action
        if times == "remove" and (tag == OFFSET_FROM_UTC or VR_OF[tag] == b"TM"):
            return replace(
                action,
                verb=Verb.REMOVE_OR_EMPTY_OR_DUMMY,
                origin=origin,
                options=None,
                because=REMOVED,
                value=None,
            )
        return action if tag == OFFSET_FROM_UTC else replace(action, options=TimeOfDay(times))

    tags = (*sorted(TIMES), OFFSET_FROM_UTC)
    rules = {tag: tuple(cut(tag, action) for action in _candidates(program, tag)) for tag in tags}
    changed = {tag: actions for tag, actions in rules.items() if actions != _candidates(program, tag)}
    return replace(
        program,
        rules={**program.rules, **changed},
        actions={**program.actions, **{tag: actions[-1] for tag, actions in changed.items()}},
        paths=tuple(
            replace(rule, action=cut(rule.tag, rule.action)) if rule.tag in rules else rule for rule in program.paths
        ),
        private_elements=tuple(
            replace(rule, action=replace(rule.action, options=TimeOfDay(times)))
            if rule.action.verb is Verb.SHIFT_DATE and rule.action.rank not in own
            else rule
            for rule in program.private_elements
        ),
    )


def _candidates(program: Program, tag: int) -> tuple[Action, ...]:
    """The actions that may apply to an element, strongest first, the last one without a condition."""
    if tag in program.rules:
        return program.rules[tag]
    patterns = [pattern.action for pattern in program.patterns if pattern.matches(tag)]
    every = (*patterns, *program.defaults.get("unlisted", ()), program.unlisted)
    last = next(number for number, action in enumerate(every) if action.when is None)
    return every[: last + 1]


def exempt(program: Program) -> Mapping[int, Action]:
    """The elements of the standard whose time of day a rule keeps as it is although others are made coarser."""
    exempted: dict[int, Action] = {}
    for tag in sorted(TIMES) if program.times != "keep" else ():
        actions = [*_candidates(program, tag), *(rule.action for rule in program.paths if rule.tag == tag)]
        kept = [action for action in actions if action.verb in _LEAVING and not isinstance(action.options, TimeOfDay)]
        if kept:
            exempted[tag] = kept[0]
    return exempted


def is_exempt(rule: PrivateRule) -> bool:
    """Whether a rule keeps one private element by its own name, times of day and all."""
    if rule.action.verb not in _LEAVING or rule.offset is None:
        return False
    return not isinstance(rule.action.options, TimeOfDay)


def claimed(codes: tuple[Code, ...], modified: Code, times: Times) -> tuple[Code, ...]:
    """The profile and the options that the output claims.

    Dates that stay while times of day become coarser are no full dates: what PS3.15 E.3.6 calls modified covers them.

    Parameters
    ----------
    codes
        of the layers
    modified
        the code of modified dates
    times
        what is done with times of day
    """
    if times == "keep":
        return codes
    return tuple(
        {one.value: one for one in (modified if code.value == _FULL_DATES else code for code in codes)}.values()
    )
