"""What is known of an instance's series when the instance is treated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.pixels.faces.blanking import Face

__all__ = ["NOTHING_KNOWN", "SeriesKnowledge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKnowledge:
    """Answers about the other instances of a series, asked only where a rule needs them.

    Attributes
    ----------
    features_settled
        whether a person has decided about the faces of the series
    has_text
        whether another slice of it had text
    face
        what was found of a face in it, None if nothing yet; without this nobody looks for one
    """

    features_settled: Callable[[], bool] = bool
    has_text: Callable[[], bool] = bool
    face: Callable[[], Face | None] | None = None


#: Of an instance by itself.
NOTHING_KNOWN: Final = SeriesKnowledge()
