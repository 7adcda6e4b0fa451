"""Numeric private elements that research needs: b-values, directions, numbers of slices, scaling.

The rows of ``data/acquisition-private.csv`` give VR, number of values, range and, of what makers write as text, the
form; the sources stand in its first line. ``scripts/generate-profiles`` makes the layer of them. A rule with ``only:
numeric`` takes what it needs to know from here, and of other private elements from the private dictionary.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.dicom.private_dictionary import private_vr
from gateway.profile.verb_options import Numeric

__all__ = ["ACQUISITION_PRIVATE", "NUMERIC_VRS", "AcquisitionElement", "numeric_of"]

#: VRs that hold numbers and nothing else.
NUMERIC_VRS: Final = frozenset(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"))


class AcquisitionElement(NamedTuple):
    """What the table says of one element.

    Attributes
    ----------
    creator
        as its maker writes it
    numeric
        what its values have to be
    meaning
        what it holds
    topic
        ``diffusion``, ``scaling``, ``slices`` or ``timing``
    """

    creator: str
    numeric: Numeric
    meaning: str
    topic: str


def _table() -> dict[tuple[int, int, str], AcquisitionElement]:
    text = (files("gateway.profile") / "data" / "acquisition-private.csv").read_text(encoding="utf-8")
    return {
        (int(row["group"], 16), int(row["offset"], 16), row["creator"].upper()): AcquisitionElement(
            row["creator"],
            Numeric(
                tuple(row["vrs"].split()),
                row["vm"],
                float(row["low"]) if row["low"] else None,
                float(row["high"]) if row["high"] else None,
                row["form"],
            ),
            row["meaning"],
            row["topic"],
        )
        for row in csv.DictReader(text.splitlines()[1:])
    }


#: (group, last byte of the element number, creator in capital letters) -> the element.
ACQUISITION_PRIVATE: Final[Mapping[tuple[int, int, str], AcquisitionElement]] = MappingProxyType(_table())


def numeric_of(group: int, offset: int, creator: str) -> Numeric:
    """What the values of a private element have to be under ``only: numeric``.

    Parameters
    ----------
    group, offset
        group and last byte of the element number
    creator
        trimmed and in capital letters

    Raises
    ------
    ValueError
        nobody knows that it holds numbers
    """
    listed = ACQUISITION_PRIVATE.get((group, offset, creator))
    if listed is not None:
        return listed.numeric
    vr = private_vr(group << 16 | 0x1000 | offset, creator).decode("ascii")
    if vr not in NUMERIC_VRS:
        known = "is not known" if vr == "UN" else f"is {vr}"
        raise ValueError(f"only: numeric is for private elements that hold numbers, and the VR of this one {known}")
    return Numeric((vr,), "1-n")
