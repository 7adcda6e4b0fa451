"""A volume in one picture leaves with the number of its slices, or is held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.errors import SlicesLost
from tests.unit.deid.profiles import dataset, program, treat

LAYERS = "basic, retain-acquisition-private"
SIEMENS, CSA = "SIEMENS MR HEADER", "SIEMENS CSA HEADER"


def add(found: Dataset, group: int, creator: str, offset: int, vr: str, value: Any) -> None:
    found.private_block(group, creator, create=True).add_new(offset, vr, value)


def mosaic(*elements: tuple[int, str, int, str, Any], image_type: str = "MOSAIC") -> Dataset:
    source = dataset("1.2.840.10008.5.1.4.1.1.4", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", image_type])
    for one in elements:
        add(source, *one)
    return source


COUNT = (0x0019, SIEMENS, 0x0A, "US", 48)
TIMES = (0x0019, SIEMENS, 0x29, "FD", [0.0, 62.5])
HEADER = (0x0029, CSA, 0x10, "OB", b"SV10")
WRONG = (0x0019, SIEMENS, 0x0A, "SH", "48")


@pytest.mark.parametrize(
    ("source", "use", "lost"),
    [
        # the number stays, or the times of the slices, which tell it
        (mosaic(COUNT), LAYERS, False),
        (mosaic(COUNT, HEADER), LAYERS, False),
        (mosaic(TIMES, WRONG), LAYERS, False),
        # only in the header that goes; not what it should be
        (mosaic(HEADER), LAYERS, True),
        (mosaic(WRONG), LAYERS, True),
        (mosaic(WRONG, HEADER), LAYERS, True),
        # never had one; is no mosaic
        (mosaic(), LAYERS, False),
        (mosaic(HEADER, image_type="NORM"), LAYERS, False),
        # the profile does not mean to keep it: `gateway profile check` says so
        (mosaic(COUNT), "basic", False),
        (mosaic(HEADER), "basic, retain-safe-private", False),
    ],
)
def test_a_mosaic_that_would_lose_its_slices_is_held(tmp_path: Path, source: Dataset, use: str, lost: bool) -> None:
    if lost:
        with pytest.raises(SlicesLost, match="would lose the number of its slices"):
            treat(tmp_path, program(tmp_path, "", use=use), source)
    else:
        assert treat(tmp_path, program(tmp_path, "", use=use), source).dataset.ImageType[-1] in ("MOSAIC", "NORM")
