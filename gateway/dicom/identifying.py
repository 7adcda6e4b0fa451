"""Which attributes identify, and what kind of value each holds (``data/identifying.csv``)."""

from __future__ import annotations

import csv
from enum import StrEnum
from importlib.resources import files
from typing import Final


class Kind(StrEnum):
    """What an identifying value is; it decides how it is compared."""

    NAME = "name"
    ID = "id"
    DEVICE = "device"
    DATE = "date"
    BIRTH_DATE = "birth-date"
    INSTITUTION = "institution"
    ADDRESS = "address"
    PHONE = "phone"
    UID = "uid"
    TIME = "time"
    PERSON_CODE = "person-code"
    INSTITUTION_CODE = "institution-code"
    NONE = "none"

    # Of an enumeration it is Python code, and kinds are looked up for every element.
    __hash__ = str.__hash__


def _table() -> dict[int, Kind]:
    text = (files("gateway.dicom") / "data" / "identifying.csv").read_text(encoding="utf-8")
    return {int(row["tag"], 16): Kind(row["kind"]) for row in csv.DictReader(text.splitlines())}


#: Tag -> kind, for every attribute of PS3.15 Table E.1-1 and some beside it.
KINDS: Final[dict[int, Kind]] = _table()

#: What a value of this VR is where ``KINDS`` does not have the tag, private elements included.
KIND_OF_VR: Final[dict[bytes, Kind]] = {b"PN": Kind.NAME, b"UI": Kind.UID}
