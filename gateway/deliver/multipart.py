"""The request body of STOW-RS: several Part 10 files as one multipart/related message (PS3.18 10.5.1, RFC 2387)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.deliver.base import Parcel
from gateway.dicom.segments import Segment, total_length


@dataclass(frozen=True, slots=True)
class Multipart:
    """A body whose length is known before the first byte is sent.

    Attributes
    ----------
    content_type
        value of the request's Content-Type
    segments
        the body
    owners
        for each segment the position of the parcel that it belongs to
    length
        bytes of the body
    """

    content_type: str
    segments: tuple[Segment, ...]
    owners: tuple[int, ...]
    length: int


def multipart(parcels: Sequence[Parcel]) -> Multipart:
    """The parcels as one body, in their order.

    Parameters
    ----------
    parcels
        at least one
    """
    # 128 random bits do not occur in the parts by chance, so nothing needs to be searched.
    boundary = secrets.token_hex(16)
    segments: list[Segment] = []
    owners: list[int] = []
    for position, parcel in enumerate(parcels):
        opening = "\r\n" if position else ""
        # Without the parameter transfer-syntax: the file states it, and Orthanc 1.10 drops parts that have it.
        segments.append(f"{opening}--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii"))
        segments.extend(parcel.parts)
        owners.extend([position] * (1 + len(parcel.parts)))
    segments.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    owners.append(len(parcels) - 1)
    return Multipart(
        content_type=f'multipart/related; type="application/dicom"; boundary={boundary}',
        segments=tuple(segments),
        owners=tuple(owners),
        length=total_length(segments),
    )
