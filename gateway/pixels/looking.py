"""What a profile does about text burned into images, kind by kind: which are searched, held, or pass unlooked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.dicom.storage_classes import STORAGE_SOP_CLASSES
from gateway.errors import RuleFailed
from gateway.pixels.caution import CAUTIONS
from gateway.profile import Condition, Program
from gateway.profile.condition_types import SOP_CLASS, sop_class_keyword
from gateway.profile.pixel_program import Crop, HoldPixels, KeepRegion, Mask, Pass, UltrasoundRegions
from gateway.profile.situation import NOBODY

__all__ = ["Fate", "Kind", "in_lines", "kinds", "unlooked", "unlooked_in_words"]


class Fate(StrEnum):
    """What becomes of ordinary images of a kind."""

    SEARCHED = "searched for text"
    SAMPLED = "searched for text, of original series of slices a sample"
    BY_RULE = "blackened where a rule says so"
    DECLARED = "declared free of text"
    HELD = "held for a person"
    REJECTED = "kept out"
    UNLOOKED = "pass unlooked"


@dataclass(frozen=True, slots=True)
class Kind:
    """A SOP class with one of its modalities, and what becomes of such images.

    Attributes
    ----------
    modality
        as Modality (0008,0060) has it
    name
        of the SOP class
    fate
        what becomes of images that say nothing else of themselves
    """

    modality: str
    name: str
    fate: Fate


def kinds(program: Program) -> tuple[Kind, ...]:
    """What becomes of each kind of image that the table of caution knows.

    Conditions are asked about an image that has a SOP class, a modality, the Image Type ORIGINAL, PRIMARY, and nothing
    else: what a rule does for one device alone is not done for the kind.
    """
    return tuple(_kinds(program))


def unlooked(program: Program) -> tuple[Kind, ...]:
    """The kinds of which ordinary images pass without that a rule or a person looks at them or vouches for them."""
    return tuple(kind for kind in kinds(program) if kind.fate is Fate.UNLOOKED)


def unlooked_in_words(program: Program) -> str | None:
    """Why images may pass with text that nobody has seen, and which; None if none do."""
    unseen = unlooked(program)
    if not unseen:
        return None
    lines = "; ".join(in_lines(unseen))
    return f"no rule looks for text burned into images of these kinds, which pass unlooked: {lines}"


def in_lines(shown: Iterable[Kind]) -> tuple[str, ...]:
    """Kinds for people: modalities, each with the names of its SOP classes."""
    by_modality: dict[str, dict[str, None]] = {}
    for kind in shown:
        by_modality.setdefault(kind.modality, {})[kind.name] = None
    return tuple(f"{modality} ({', '.join(names)})" for modality, names in sorted(by_modality.items()))


_ORDINARY: Final = {"ImageType": ["ORIGINAL", "PRIMARY"], **NOBODY}
_SUFFIX: Final = " Storage"


def _kinds(program: Program) -> Iterator[Kind]:
    for (what, uid), caution in CAUTIONS.items():
        if what != "sop-class" or caution.look == "none":
            continue
        name = STORAGE_SOP_CLASSES[uid].replace(" Image Storage", "").removesuffix(_SUFFIX)
        for modality in caution.modalities:
            risky = CAUTIONS.get(("modality", modality))
            text = caution.text or (risky is not None and risky.text)
            values: dict[str, object] = {
                "SOPClassUID": uid,
                SOP_CLASS: sop_class_keyword(uid),
                "Modality": modality,
                "ImageType": ["ORIGINAL", "PRIMARY"],
                **NOBODY,
            }
            yield Kind(modality, name, _fate(program, values, risky=text, slices=caution.look == "sample"))


def _fate(program: Program, values: Mapping[str, object], *, risky: bool, slices: bool) -> Fate:
    decision = next((rule.decision for rule in program.accept if _holds(rule.condition, values)), "accept")
    if decision != "accept":
        return Fate.REJECTED if decision == "reject" else Fate.HELD
    rules = program.pixels.specialised({one for one in program.conditions if _holds(one, values)})
    if any(isinstance(rule, HoldPixels) for rule in rules):
        return Fate.HELD
    find = rules.find_text
    if find is not None and (find.scan != "risky" or risky):
        return Fate.SAMPLED if find.scan == "sampled" and slices and not risky else Fate.SEARCHED
    if any(isinstance(rule, Pass) for rule in rules):
        return Fate.DECLARED
    if any(isinstance(rule, Mask | KeepRegion | UltrasoundRegions | Crop) for rule in rules):
        return Fate.BY_RULE
    return Fate.HELD if risky else Fate.UNLOOKED


def _holds(condition: Condition, values: Mapping[str, object]) -> bool:
    listed: dict[str, object] = {name: [] for name in condition.keywords if "/" in name}
    try:
        return condition.evaluate({**listed, **values})
    except RuleFailed:
        # What compares a value that the kind alone does not have says nothing of the kind.
        return False
