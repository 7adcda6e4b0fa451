"""Unique identifiers (PS3.5 9)."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
#: Context groups are numbered on from 1 without a gap (PS3.6 Table A-3); this leaves later editions some hundred.
_CONTEXT_GROUP: Final = re.compile(r"1\.2\.840\.10008\.6\.1\.([1-9][0-9]{0,3})", re.ASCII)
_LAST_CONTEXT_GROUP: Final = 1699


def is_valid_uid(text: str) -> bool:
    """Whether ``text`` is a UID: at most 64 characters, numeric components without leading zeros (PS3.5 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_well_known(text: str) -> bool:
    """Whether the standard registers ``text``: classes, transfer syntaxes, coding schemes, context groups, well-known
    instances and frames of reference (PS3.6 A), coding schemes of others (PS3.16 8.1); or whether it is a class that a
    maker of machines publishes. Such a UID identifies nobody; one that somebody made up under the standard's root may
    hold a date, a device or a patient's number, and is not registered.
    """
    if text in _registered():
        return True
    group = _CONTEXT_GROUP.fullmatch(text)
    return group is not None and int(group[1]) <= _LAST_CONTEXT_GROUP


@cache
def _registered() -> frozenset[str]:
    """By ``scripts/generate-uids``, and by hand what others register."""
    data = files("gateway.dicom") / "data"
    text = (data / "uids.csv").read_text(encoding="ascii")
    others: dict[str, str | dict[str, str]] = yaml.safe_load(
        (data / "registered-uids.yaml").read_text(encoding="ascii")
    )
    uids = {uid for one in others.values() for uid in (one.split() if isinstance(one, str) else one.values())}
    return frozenset(uids).union(row["uid"] for row in csv.DictReader(text.splitlines()))
