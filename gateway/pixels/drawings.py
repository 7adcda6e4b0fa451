"""What becomes of the drawings that lie over an image: overlay planes, and whether Clean Graphics may be claimed.

A rule that cleans overlay planes (Clean Graphics, PS3.15 E.3.3) lets them stay once they were looked at: they are
searched for text as the image is, and what is found is taken out. Where nobody looks, or the search is not sure, the
plane goes. A rule that keeps them keeps them; where text is looked for they are searched all the same, and doubt holds
the instance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.dicom.encoded import find
from gateway.dicom.instance import Instance
from gateway.errors import BurnedInTextSuspected
from gateway.pixels.areas import Area
from gateway.pixels.overlays import OVERLAY_DATA, OverlayPlane, overlay_groups
from gateway.pixels.text import TextBox, TextFinder
from gateway.profile import Program, Verb
from gateway.profile.pixel_program import FindText

__all__ = ["Drawings", "drawings_of", "keeps_overlays_in_pixels"]

#: Clean Graphics Option (PS3.16 CID 7050).
_CLEAN_GRAPHICS: Final = "113103"
_GRAPHIC_ANNOTATIONS: Final = 0x00700001
#: Curve Data of the repeating groups 50xx (retired).
_CURVES: Final = range(0x5000, 0x5020, 2)
_CURVE_DATA: Final = 0x3000


@dataclass(frozen=True, slots=True)
class Drawings:
    """What changes in the drawings of one instance.

    Attributes
    ----------
    elements
        tag -> the whole encoded element, None for one that goes
    unlooked
        whether a drawing stays that nobody has looked at, so that Clean Graphics must not be claimed
    because
        what was done, for receipts
    """

    elements: Mapping[int, tuple[bytes, ...] | None] = field(default_factory=dict)
    unlooked: bool = False
    because: tuple[str, ...] = ()


def drawings_of(
    program: Program,
    instance: Instance,
    *,
    finder: TextFinder | None,
    words: Callable[[], frozenset[str]],
    reviewed: bool = False,
) -> Drawings:
    """Look at the overlay planes of an instance as far as rules let them stay.

    Parameters
    ----------
    program
        specialised
    instance
        as received
    finder
        finds text; None if nothing can
    words
        gives what identifies in the instance's header
    reviewed
        whether a person decided about the image: the planes are no part of what that person saw

    Raises
    ------
    BurnedInTextSuspected
        a plane that a rule keeps may have text that cannot be taken out
    """
    elements: dict[int, tuple[bytes, ...] | None] = {}
    because: list[str] = []
    unlooked = _CLEAN_GRAPHICS in {code.value for code in program.codes} and _keeps_others(program, instance)
    rule = None if reviewed or finder is None else program.pixels.find_text
    for group in overlay_groups(instance):
        tag = group.group << 16 | OVERLAY_DATA
        verb = program.action(tag).verb
        if verb not in (Verb.KEEP, Verb.CLEAN):
            continue
        kept = verb is Verb.KEEP
        if group.plane is None or rule is None or finder is None:
            looked, why = None, "nobody looked at it"
        else:
            looked, why = _looked_at(group.plane, finder, rule, words)
        if looked is not None and group.data is not None:
            # A rule that cleans takes away what is not written here.
            received = bytes(instance.buffer[group.data[2] : group.data[4]])
            changed = looked is not group.plane
            elements[tag] = (looked.encoded(tag, implicit=instance.implicit) if changed else received,)
            if changed:
                because.append(f"text was taken out of overlay {group.group:04X}")
        elif not kept:
            elements.update(dict.fromkeys(group.tags))
            because.append(f"overlay {group.group:04X} went: {why}")
        elif rule is not None and group.plane is not None:
            raise BurnedInTextSuspected(reason=f"of overlay {group.group:04X}, which a rule keeps: {why}")
        else:
            unlooked = True
    return Drawings(elements, unlooked, tuple(because))


def keeps_overlays_in_pixels(program: Program, instance: Instance) -> bool:
    """Whether a rule keeps, as it is, an overlay that lies in the bits of Pixel Data beside the samples (retired)."""
    return any(
        group.data is None and program.action(group.group << 16 | OVERLAY_DATA).verb is Verb.KEEP
        for group in overlay_groups(instance)
    )


def _looked_at(
    plane: OverlayPlane, finder: TextFinder, rule: FindText, words: Callable[[], frozenset[str]]
) -> tuple[OverlayPlane | None, str]:
    """The plane without text, the same one if there was none; None and why if that is not sure."""
    where = plane.drawn
    if where is None:
        return plane, ""
    part = plane.within(where)
    identity = words()
    findings = finder.find(part, part.description, rule, identity)
    reason = findings.hold or findings.unsure
    if reason is not None:
        return None, reason
    if not findings.boxes:
        return plane, ""
    clean = plane.without(_moved(box, where) for box in findings.boxes)
    rest = clean.within(where)
    remains = finder.check(rest, rest.description, rule, identity)
    return (clean, "") if remains is None else (None, remains.reason)


def _moved(box: TextBox, part: Area) -> Area:
    left, top = box.x + part.left, box.y + part.top
    return Area(left, top, left + box.width, top + box.height)


def _keeps_others(program: Program, instance: Instance) -> bool:
    """Whether a rule keeps curves or annotations as they are."""
    tags = (_GRAPHIC_ANNOTATIONS, *(group << 16 | _CURVE_DATA for group in _CURVES))
    return any(program.action(tag).verb is Verb.KEEP for tag in tags if find(instance.elements, tag) is not None)
