"""The table of what depends on where pixels lie: its rows are of the standard, and what the standard has is in it."""

from __future__ import annotations

import csv
import re
from importlib.resources import files
from typing import Final

import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from gateway.pixels.geometry import Effect, effect_of

TABLE: Final = list(
    csv.DictReader((files("gateway.pixels") / "data" / "geometry.csv").read_text(encoding="ascii").splitlines())
)
SHARED, PER_FRAME = 0x52009229, 0x52009230
#: What names of attributes say that count pixels, or lie where the image begins.
COUNTING: Final = re.compile(
    r"(Left|Right) Vertical Edge|(Upper|Lower) Horizontal Edge|^Center of Circular|Vertices of|Hand Corner|"
    r"^Image Position|Region Location M|Origin Relative|Pixel Offset|Pixel Matrix|Field of View (Origin|Dim|Shape)|"
    r"Centroid|Anchor Point$|Coordinates? Center|Reference Point|Cursor Position|A-line Location|Graphic Data$"
)
#: Ones of objects that have no pixels of their own, or of other things.
OTHERS: Final = frozenset(
    (
        "TotalPixelMatrixOriginSequence", "TotalPixelMatrixFocalPlanes",  # a sequence that has its rows, a depth
        "MPRTopLeftHandCorner",  # of a presentation state, in mm
        "SurfaceMeshZPixelOffset",  # into a volume of depths
    )
)  # fmt: skip


def test_rows_are_of_the_standard() -> None:
    for row in TABLE:
        assert keyword_for_tag(int(row["tag"], 16)) == row["keyword"], row
        for keyword in row["inside"].split("/"):
            assert keyword in ("", "*", "frames") or tag_for_keyword(keyword) is not None, row
        assert row["module"], row
        assert row["because"] or row["effect"] != "unchanged", row
    places = [(row["tag"], row["inside"]) for row in TABLE]
    assert len(set(places)) == len(places)
    assert {row["effect"] for row in TABLE} == set(Effect)


def test_what_counts_pixels_is_in_the_table() -> None:
    known = {int(row["tag"], 16) for row in TABLE}
    missing = {
        keyword
        for tag, (_vr, _vm, name, _retired, keyword) in DicomDictionary.items()
        if COUNTING.search(name) and tag not in known and not 0x300A0000 <= tag < 0x30200000
    }
    assert missing == OTHERS


@pytest.mark.parametrize(
    ("path", "tag", "effect"),
    [
        ((), 0x00200032, Effect.POSITION),
        # both functional groups alike
        ((SHARED, 0x00209113), 0x00200032, Effect.POSITION),
        ((PER_FRAME, 0x00209113), 0x00200032, Effect.POSITION),
        # a place that the table does not know
        ((PER_FRAME,), 0x00200032, Effect.HELD),
        ((0x00209113,), 0x00200032, Effect.HELD),
        ((PER_FRAME, 0x00209113, 0x00209113), 0x00200032, Effect.HELD),
        # anywhere
        ((0x00880200,), 0x00280010, Effect.UNCHANGED),
        ((0x00081140, 0x00082112), 0x0028135A, Effect.NOT_PRESERVED),
        ((PER_FRAME, 0x0048021A), 0x0048021E, Effect.HELD),
        # repeating groups, and private ones between them
        ((), 0x60000050, Effect.ROWS_AND_COLUMNS),
        ((), 0x601E0050, Effect.ROWS_AND_COLUMNS),
        ((), 0x50043000, Effect.HELD),
        ((), 0x60013000, None),
        # not in the table
        ((), 0x00100010, None),
        ((PER_FRAME, 0x00209113), 0x00100010, None),
    ],
)
def test_effect(path: tuple[int, ...], tag: int, effect: Effect | None) -> None:
    assert effect_of(path, tag) is effect
