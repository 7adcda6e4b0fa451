"""Why what looks like an identifying value may be a term that stands there anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.dicom.dictionary import tag_of
from gateway.dicom.identifying import Kind
from gateway.verify import harmless_words
from gateway.verify.needle import Mode, Needle

__all__ = ["FREE_TEXT", "Place", "counts"]

FREE_TEXT: Final = frozenset((b"LO", b"LT", b"PN", b"ST", b"UC", b"UT"))
_SHORT_TEXT: Final = frozenset((b"SH", b"AE"))
_CODE_VALUE, _DESIGNATOR, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
#: Code Value, designator, version and meaning; Long and URN Code Value.
_CODE: Final = frozenset((_CODE_VALUE, _DESIGNATOR, 0x00080103, _CODE_MEANING, 0x00080119, 0x00080120))
#: What a device is, and not which; how it made the image.
_MACHINE: Final = frozenset(
    tag_of(keyword)
    for keyword in (
        "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "SecondaryCaptureDeviceManufacturer",
        "SecondaryCaptureDeviceManufacturerModelName", "SecondaryCaptureDeviceSoftwareVersions",
        "DetectorManufacturerName", "DetectorManufacturerModelName", "ReceiveCoilManufacturerName",
        "TransmitCoilManufacturerName", "ApplicationName", "ApplicationVersion", "ApplicationManufacturer",
        "AttenuationCorrectionMethod", "ScatterCorrectionMethod", "ReconstructionMethod", "LUTExplanation",
        "FilterMaterial", "ReconstructionAlgorithm",
    )
)  # fmt: skip
#: Fewer digits tell nothing among device types, and among codes.
_LEAST_DIGITS, _LEAST_CODE_DIGITS = 6, 7
_SHORTEST: Final = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands.

    Attributes
    ----------
    tag, vr
        of the element
    own
        words of the gateway's own texts there
    coded
        whether the item is a code of a standard scheme
    """

    tag: int
    vr: bytes
    own: frozenset[str] = frozenset()
    coded: bool = False

    @property
    def is_term(self) -> bool:
        """Whether terms of closed vocabularies stand there."""
        return self.vr == b"CS" or (self.coded and self.tag in _CODE)

    @property
    def needs_sure_dates(self) -> bool:
        """Whether three numbers are hardly a date there."""
        return self.is_term or self.tag in _MACHINE


def counts(needle: Needle, text: str, place: Place) -> bool:
    """Whether the needle is found in a squashed value, and what is found is no term.

    A part of a word is judged by the word.
    """
    if needle.mode is Mode.WHOLE and needle.form != text:
        return False
    for start, end in needle.occurrences(text):
        behind = text.find(" ", end)
        words = text[text.rfind(" ", 0, start) + 1 : len(text) if behind < 0 else behind].split()
        if needle.is_spaced and len(words) > 1:
            words = ["".join(words)]
        if not _excused(needle, words, place):
            return True
    return False


def _excused(needle: Needle, words: list[str], place: Place) -> bool:
    if place.own and all(part in place.own for part in words):
        return True
    if needle.mode is Mode.PAIR:
        return False
    if place.vr not in FREE_TEXT and len(needle.form) < _SHORTEST:
        return True
    if place.tag in _MACHINE:
        return all(harmless_words.is_vendor(part) or _is_term(part) or _below(part, _LEAST_DIGITS) for part in words)
    if place.is_term:
        return all(_is_term(part) or _below(part, _LEAST_CODE_DIGITS) for part in words)
    if place.vr in _SHORT_TEXT and needle.kind is Kind.NAME:
        return all(harmless_words.is_vendor(part) or _is_term(part) for part in words)
    return False


def _is_term(part: str) -> bool:
    return part in harmless_words.vocabulary()


def _below(part: str, digits: int) -> bool:
    """Whether a word is too short to tell anything."""
    return len(part) < _SHORTEST or (part.isdecimal() and len(part) < digits)
