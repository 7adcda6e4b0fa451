"""Patients of a great age: with the year of birth left they are few enough to be found (45 CFR 164.514(b)(2)(i)(C)).

Where a profile tops the age, a date of birth tells what the top hides. So a program that leaves one in any form has a
second form, for patients at or above the top, which leaves none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.profile.program import Action, Origin, Program
from gateway.profile.verb import Verb
from gateway.profile.verb_options import Bins

__all__ = ["BIRTH_DATES", "OLDEST", "PATIENT_AGE", "age_limit", "without_birth_dates"]

PATIENT_AGE: Final = 0x00101010
#: Patient's Birth Date, and the same in another calendar.
BIRTH_DATES: Final = (0x00100030, 0x00100033)
#: Ages over 89 years are one group, where the profile does not say another age.
OLDEST: Final = 90
#: Verbs that may leave a part of a date.
_LEAVING: Final = frozenset(
    (Verb.KEEP, Verb.CLEAN, Verb.REGEX, Verb.MAP, Verb.GENERALISE, Verb.TRUNCATE_DATE, Verb.SHIFT_DATE)
)
_GONE: Final = Action(Verb.REMOVE_OR_EMPTY_OR_DUMMY, Origin("standard", "45 CFR 164.514(b)(2)(i)(C)", "", 0))


def age_limit(program: Program) -> int | None:
    """The years of age from which on no date of birth leaves: the top of Patient's Age, 90 where it has none.

    Returns
    -------
    None where no date of birth leaves anyway, or where the profile says that its outputs are identified.
    """
    if program.identified:
        return None
    births = [_actions(program, tag) for tag in BIRTH_DATES]
    if not any(action.verb in _LEAVING for actions in births for action in actions):
        return None
    options = [action.options for action in _actions(program, PATIENT_AGE)]
    return min((one.top for one in options if isinstance(one, Bins) and one.top is not None), default=OLDEST)


def without_birth_dates(program: Program) -> Program:
    """``program``, specialised, with dates of birth removed, emptied or made dummies, as their Type allows."""
    goes = {tag: _GONE for tag in BIRTH_DATES if program.action(tag).verb in _LEAVING}
    paths = tuple(
        replace(rule, action=_GONE) if rule.tag in BIRTH_DATES and rule.action.verb in _LEAVING else rule
        for rule in program.paths
    )
    return replace(program, actions={**program.actions, **goes}, paths=paths)


def _actions(program: Program, tag: int) -> list[Action]:
    """What may be done to an element, wherever it is and whatever the conditions."""
    candidates = program.rules.get(tag) or (program.action(tag),)
    return [*candidates, *(rule.action for rule in program.paths if rule.tag == tag)]
