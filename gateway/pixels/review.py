"""What a person decided who looked at the pixels of a held instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.profile.pixel_program import Rectangle

__all__ = ["Decision", "Review"]

#: ``release``: nothing in the pixels identifies; ``mask``: nothing does once the boxes are blackened.
Decision: TypeAlias = Literal["release", "mask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A decision about one instance; it settles what pixel rules and caution left to a person, and nothing else.

    A word of the header that can be read in the image is not settled by it: such an instance is held again. Rules that
    need nobody (rectangles, regions, crops) apply as ever, and so do all rules for attributes.

    Attributes
    ----------
    decision
        what was decided
    boxes
        with ``mask``, what is blackened on all frames, in the stead of what the finder of text finds
    actor
        who decided
    because
        why
    text
        whether text in the pixels, or a rule that asks for a person, is settled
    features
        whether recognisable faces are

    Raises
    ------
    ValueError
        ``mask`` without a box, or ``release`` with one
    """

    decision: Decision
    boxes: tuple[Rectangle, ...] = ()
    actor: str
    because: str
    text: bool = True
    features: bool = True

    def __post_init__(self) -> None:
        if (self.decision == "mask") != bool(self.boxes):
            raise ValueError("mask needs boxes, and release has none")
