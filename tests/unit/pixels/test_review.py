"""Decisions about pixels."""

from __future__ import annotations

import pytest

from gateway.pixels.review import Decision, Review
from gateway.profile.pixel_program import Rectangle


@pytest.mark.parametrize(
    ("decision", "boxes"),
    [
        # nothing would be blackened
        ("mask", ()),
        # boxes that nobody blackens
        ("release", (Rectangle(0, 0, 1, 1),)),
    ],
)
def test_contradictions_are_refused(decision: Decision, boxes: tuple[Rectangle, ...]) -> None:
    with pytest.raises(ValueError, match="mask needs boxes"):
        Review(decision=decision, boxes=boxes, actor="dpo", because="it is so")
