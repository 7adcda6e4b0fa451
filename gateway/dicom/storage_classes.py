"""The storage SOP classes of the standard, retired ones included (PS3.4 B.5, I.4 and GG.3)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final


def _table() -> dict[str, str]:
    text = (files("gateway.dicom") / "data" / "storage-classes.csv").read_text(encoding="utf-8")
    return {row["uid"]: row["name"] for row in csv.DictReader(text.splitlines())}


#: SOP Class UID -> name, by ``scripts/generate-storage-classes``.
STORAGE_SOP_CLASSES: Final[Mapping[str, str]] = MappingProxyType(_table())
