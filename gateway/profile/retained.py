"""What is done with the UIDs of instances and the like that a rule keeps (PS3.15 E.3.9)."""

from __future__ import annotations

from dataclasses import replace

from gateway.dicom.dictionary import vr_of
from gateway.dicom.identifying import KINDS, Kind
from gateway.profile.program import Action, Program
from gateway.profile.verb import Verb
from gateway.profile.verb_options import RetainedUid

__all__ = ["retaining"]


def retaining(program: Program, tag: int, action: Action) -> Action:
    """``action``, with what is to be done with UIDs where it keeps them.

    A UID with a date in it has the time as well, so that it stays only where both leave as they are.
    """
    if action.verb is not Verb.KEEP or action.options is not None or vr_of(tag) != b"UI":
        return action
    if KINDS.get(tag, Kind.UID) is not Kind.UID:
        return action
    return replace(action, options=RetainedUid(dates=program.longitudinal == "UNMODIFIED"))
