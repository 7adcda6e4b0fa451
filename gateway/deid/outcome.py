"""What de-identification makes of an instance."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.dicom.segments import Segment

__all__ = ["Deidentified"]


@dataclass(frozen=True, slots=True)
class Deidentified:
    """An output that may leave once it is verified.

    ``segments`` are the whole Part 10 file in order. The identifiers are the new ones. ``sop_key`` is a keyed token of
    the original SOP Instance UID, the same for every transmission of that instance within the project. ``actions``
    counts what was done by verb. ``identities`` says what belongs to one patient alone, in keyed tokens: kind
    (``study``, ``patient-id``), what, and whose it is or who issued it. ``unknown_words`` are words of the study's
    text, folded, that went because no list has them.
    """

    segments: tuple[Segment, ...]
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    sop_key: str
    actions: dict[str, int]
    identities: tuple[tuple[str, str, str], ...] = ()
    unknown_words: frozenset[str] = field(default=frozenset(), repr=False)
