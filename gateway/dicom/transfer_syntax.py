"""Transfer syntaxes of the standard (PS3.5 A, PS3.6 Table A-1)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded.

    Attributes
    ----------
    uid, name
        as registered in PS3.6 Table A-1
    implicit
        elements carry no VR
    big_endian
        numbers have their most significant byte first
    deflated
        the whole data set is compressed (RFC 1951)
    encapsulated
        pixel data is a sequence of fragments (PS3.5 A.4)
    """

    uid: str
    name: str
    implicit: bool
    big_endian: bool
    deflated: bool
    encapsulated: bool


def _table() -> dict[str, TransferSyntax]:
    text = (files("gateway.dicom") / "data" / "transfer-syntaxes.csv").read_text(encoding="utf-8")
    return {
        row["uid"]: TransferSyntax(
            uid=row["uid"],
            name=row["name"],
            implicit=row["implicit"] == "Y",
            big_endian=row["big_endian"] == "Y",
            deflated=row["deflated"] == "Y",
            encapsulated=row["encapsulated"] == "Y",
        )
        for row in csv.DictReader(text.splitlines())
    }


#: UID -> transfer syntax, for every one that encodes a data set, retired ones included.
TRANSFER_SYNTAXES: Final[dict[str, TransferSyntax]] = _table()

#: Deflated syntaxes and how the data set is encoded once inflated (PS3.5 A.5, A.7, A.9).
_INFLATED: Final = {
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.95": "1.2.840.10008.1.2.4.94",
    "1.2.840.10008.1.2.4.205": "1.2.840.10008.1.2.4.204",
}


def transfer_syntax(uid: str) -> TransferSyntax | None:
    """The transfer syntax with this UID, or None if it is private or unknown or encodes no data set."""
    return TRANSFER_SYNTAXES.get(uid)


def inflated(syntax: TransferSyntax) -> TransferSyntax:
    """The syntax of the same data set when it is not deflated; ``syntax`` itself if it is not."""
    return TRANSFER_SYNTAXES[_INFLATED[syntax.uid]] if syntax.deflated else syntax
