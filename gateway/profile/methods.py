"""The codes of De-identification Method Code Sequence (0012,0064): PS3.16 CID 7050."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from gateway.profile.program import Code


def _table() -> dict[str, Code]:
    text = (files("gateway.profile") / "data" / "cid-7050.csv").read_text(encoding="utf-8")
    return {
        row["value"]: Code(row["value"], row["scheme"], row["meaning"]) for row in csv.DictReader(text.splitlines())
    }


#: Code value -> code, by ``scripts/generate-deidentification-methods``.
METHODS: Final[Mapping[str, Code]] = MappingProxyType(_table())
