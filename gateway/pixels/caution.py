"""The gateway's judgement of kinds of images: ``data/caution.csv``, by SOP class, modality, image type and conversion.

Columns: ``what`` and ``value`` name the kind; ``text`` is Y where images of it often hold burned-in text; ``face`` is
``face`` where a face may be seen, ``volume`` where one may be rendered, else N; ``look`` says how much a rule that
samples looks at: ``whole`` at every image, ``sample`` at some slices of an original series, ``none`` at nothing, for
these are maps and no pictures; ``modality`` lists the usual ones of a SOP class; ``because`` is its name or the reason.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

__all__ = ["CAUTIONS", "Caution"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """One row of the table.

    Attributes
    ----------
    because
        the kind in words, for a SOP class without text its name
    text
        whether images of the kind often hold text
    face
        ``face``, ``volume`` or ``N``
    look
        ``whole``, ``sample`` or ``none``; empty where the row is not about pictures
    modalities
        the usual values of Modality (0008,0060) of a SOP class
    """

    because: str
    text: bool
    face: str
    look: str
    modalities: tuple[str, ...]


def _table() -> Mapping[tuple[str, str], Caution]:
    rows = (files("gateway.pixels") / "data" / "caution.csv").read_text(encoding="utf-8").splitlines()
    return {
        (row["what"], row["value"]): Caution(
            because=row["because"],
            text=row["text"] == "Y",
            face=row["face"],
            look=row["look"],
            modalities=tuple(row["modality"].split()),
        )
        for row in csv.DictReader(rows)
    }


#: (what, value) -> the row.
CAUTIONS: Final = _table()
