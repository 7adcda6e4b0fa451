"""Direct identifiers: what names a patient by itself (GDPR article 4(1)).

A profile whose outputs may hold one as received makes no de-identified data. It must say so: ``identified: true``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.dicom.dictionary import keyword_of
from gateway.dicom.tag import show
from gateway.profile.program import Action, Program
from gateway.profile.verb import Verb
from gateway.profile.verb_options import Source

__all__ = ["DIRECT", "revealed"]

_PATIENT_NAME: Final = 0x00100010
_PATIENT_ID: Final = 0x00100020
#: Names, identifiers, birth date, address and telephone of a patient.
DIRECT: Final = frozenset(
    (
        _PATIENT_NAME,
        _PATIENT_ID,
        0x00100030,  # Patient's Birth Date
        0x00100033,  # Patient's Birth Date in Alternative Calendar
        0x00101000,  # Other Patient IDs
        0x00101001,  # Other Patient Names
        0x00101002,  # Other Patient IDs Sequence
        0x00101005,  # Patient's Birth Name
        0x00101040,  # Patient's Address
        0x00101060,  # Patient's Mother's Birth Name
        0x00101090,  # Medical Record Locator
        0x00102154,  # Patient's Telephone Numbers
        0x00102155,  # Patient's Telecom Information
    )
)
#: Verbs of Patient's Name and Patient ID in whose stead the pseudonym is written.
_PSEUDONYM_INSTEAD: Final = frozenset((Verb.EMPTY, Verb.DUMMY))


#: Those that also count where they stay only because no rule names them.
_PLAINEST: Final = frozenset((_PATIENT_NAME, _PATIENT_ID))


def revealed(program: Program) -> Iterator[tuple[str, Action]]:
    """The direct identifiers that ``program`` keeps or copies as received: the element and the rule that does it."""
    for tag in sorted(DIRECT):
        yield from ((_name(tag), action) for action in _actions(program, tag) if _keeps(action))
    for rule in program.paths:
        if rule.tag in DIRECT and _keeps(rule.action):
            yield _name(rule.tag), rule.action
    for _, action in program.inserts:
        source = action.options
        if isinstance(source, Source) and source.tag in DIRECT and not _pseudonym_at(program, source.tag):
            yield _name(source.tag), action


def _actions(program: Program, tag: int) -> Iterator[Action]:
    """What may be done to an element anywhere, whatever the conditions."""
    if tag in program.rules:
        yield from program.rules[tag]
        return
    yield from (pattern.action for pattern in program.patterns if pattern.matches(tag))
    if tag in _PLAINEST:
        yield program.action(tag)
        yield from program.defaults.get("unlisted", ())


def _keeps(action: Action) -> bool:
    return action.verb is Verb.KEEP or getattr(action.options, "otherwise", "") == "keep"


def _pseudonym_at(program: Program, tag: int) -> bool:
    """Whether the pseudonym stands in the element, whatever the conditions, so that it is what is copied."""
    if tag not in (_PATIENT_NAME, _PATIENT_ID):
        return False
    candidates = program.rules.get(tag) or (program.action(tag),)
    return all(action.verb.is_compound or action.verb in _PSEUDONYM_INSTEAD for action in candidates)


def _name(tag: int) -> str:
    return keyword_of(tag) or show(tag)
