"""Images with text burned in, generated from a seed, with the pixels of every line as ground truth."""

from __future__ import annotations

from tests.burned_in.cases import Case, Line, cases, clean_cases, compressed_cases, marked_cases
from tests.burned_in.kinds import clean_kinds, film_cases, frame_cases, radiograph_cases, slanted_cases
from tests.burned_in.measure import Delivered, Measured, Total, deliver, measure
from tests.burned_in.overlays import deliver_overlay, overlay_cases
from tests.burned_in.pictures import write_pictures

__all__ = [
    "Case",
    "Delivered",
    "Line",
    "Measured",
    "Total",
    "cases",
    "clean_cases",
    "clean_kinds",
    "compressed_cases",
    "deliver",
    "deliver_overlay",
    "film_cases",
    "frame_cases",
    "marked_cases",
    "measure",
    "overlay_cases",
    "radiograph_cases",
    "slanted_cases",
    "write_pictures",
]
