"""What coarser times of day take from the data that they are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from gateway.dicom.dictionary import keyword_of, tag_of
from gateway.errors import RuleFailed
from gateway.profile.condition import Condition
from gateway.profile.program import Program
from gateway.profile.situation import NOBODY
from gateway.profile.times import REMOVED, TIMES
from gateway.profile.verb import Verb
from gateway.profile.verb_options import TimeOfDay

__all__ = ["lost", "takes"]

_ORIGINAL: Final = ("ORIGINAL", "PRIMARY")

#: Modality -> SOP classes, what is computed of times, and of which: to the minute at least.
_NEEDS: Final = {
    "PT": (("1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"), "decay and SUV"),
    "NM": (("1.2.840.10008.5.1.4.1.1.20",), "decay and uptake"),
}
_OF: Final = tuple(
    tag
    for keyword in (
        "SeriesTime", "AcquisitionTime", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime",
        "DecayCorrectionDateTime",
    )
    if (tag := tag_of(keyword)) is not None
)  # fmt: skip


def lost(program: Program) -> Iterator[str]:
    """What ``times`` of a program takes from data that it lets pass, and where it says nothing; a sentence each."""
    if program.times == "keep":
        return
    cut = frozenset(tag for tag in TIMES if _is_cut(program, tag))
    if not cut and not program.shift and program.safe is None and not program.private_elements:
        yield f"times: {program.times} never counts, for no time of day stays"
    names = ", ".join(keyword_of(tag) for tag in _OF if tag in cut)
    for modality, (classes, what) in _NEEDS.items():
        if names and any(takes(program, modality, uid) != "reject" for uid in classes):
            how = "keep" if program.shift is None else "keep, or what has a date with shift-date,"
            yield (
                f"times: {program.times} takes the minutes from which {what} of {modality} are computed; name what is "
                f"needed of {names} in a rule with {how} and because"
            )


def _is_cut(program: Program, tag: int) -> bool:
    """Whether ``times`` decides about the element."""
    actions = [*program.rules.get(tag, ()), *(rule.action for rule in program.paths if rule.tag == tag)]
    return any(
        isinstance(action.options, TimeOfDay)
        or (action.verb is Verb.REMOVE_OR_EMPTY_OR_DUMMY and action.because == REMOVED)
        for action in actions
    )


def takes(
    program: Program, modality: str, sop_class: str, image_type: Sequence[str] = _ORIGINAL, **values: str
) -> Literal["accept", "reject", "hold"]:
    """What becomes of ordinary images of a kind, as far as that can be told without one.

    Parameters
    ----------
    program
        the compiled profile
    modality, sop_class, image_type
        the kind
    values
        other elements by keyword
    """
    known: dict[str, object] = {
        "Modality": modality,
        "SOPClassUID": sop_class,
        "ImageType": list(image_type),
        **values,
        **NOBODY,
    }
    return next((rule.decision for rule in program.accept if _holds(rule.condition, known)), "accept")


def _holds(condition: Condition, values: dict[str, object]) -> bool:
    listed: dict[str, object] = {name: [] for name in condition.keywords if "/" in name}
    try:
        return condition.evaluate({**listed, **values})
    except RuleFailed:
        return False
