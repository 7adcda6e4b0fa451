"""The marks that say what was done to an instance (PS3.15 E.2, E.3)."""

from __future__ import annotations

import re
from typing import Final

from gateway.deid.technical import is_technical
from gateway.dicom import encode
from gateway.dicom.encoded import Buffer, Element, find
from gateway.dicom.pixel_change import PixelChange
from gateway.profile import Code, Program
from gateway.profile.methods import METHODS
from gateway.version import SOFTWARE

PATIENT_IDENTITY_REMOVED: Final = 0x00120062
DEIDENTIFICATION_METHOD: Final = 0x00120063
DEIDENTIFICATION_METHOD_CODE_SEQUENCE: Final = 0x00120064
LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED: Final = 0x00280303
#: What claims that an instance is de-identified.
CLAIMS: Final = (PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD, DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
_CODE_VALUE: Final = 0x00080100
_CODING_SCHEME_DESIGNATOR: Final = 0x00080102
_CODE_MEANING: Final = 0x00080104
#: Options that are claimed of an instance only when its pixels were treated (PS3.15 E.3.1, E.3.2).
_CLEAN_PIXELS: Final = "113101"
_CLEAN_FEATURES: Final = "113102"
#: The one that is not claimed of an instance with a drawing that nobody looked at (PS3.15 E.3.3).
_CLEAN_GRAPHICS: Final = "113103"
#: PS3.5 6.2: a value of VR LO.
_LONGEST_VALUE: Final = 64
_DIGEST: Final = re.compile(rb"Digest [0-9a-f]{32}")


class Stamp:
    """The stamp elements of a program, encoded once for all instances.

    On an instance that was de-identified before, method texts and codes are appended, not overwritten. Of earlier texts
    only what is technical stays: somebody may have signed there.
    """

    def __init__(self, program: Program) -> None:
        texts = (
            SOFTWARE,
            f"Profile {program.profile} {program.version}".strip(),
            f"Digest {program.digest[:32]}",
        )
        self._texts = [text.replace("\\", "/")[:_LONGEST_VALUE].encode("ascii", "replace") for text in texts]
        self._dates = program.longitudinal.encode()
        self._identified = program.identified
        self._codes = {code.value: code for code in program.codes if code.value not in (_CLEAN_PIXELS, _CLEAN_FEATURES)}
        self._fresh: dict[tuple[bool, bool, tuple[str, ...]], list[tuple[int, bytes]]] = {}

    def elements(
        self, buffer: Buffer, elements: list[Element], *, implicit: bool, pixels: PixelChange | None = None
    ) -> list[tuple[int, bytes]]:
        """The stamp as (tag, encoded element), sorted by tag; without bytes an element goes.

        Parameters
        ----------
        buffer, elements
            the instance as received, whose earlier stamps are kept
        implicit
            the encoding to write
        pixels
            what was done to the pixels, which adds its codes
        """
        if self._identified:
            # What was claimed before is true no more, and nothing is claimed now.
            return [(tag, b"") for tag in CLAIMS if find(elements, tag) is not None]
        treated = _treated(pixels)
        untrue = pixels is not None and pixels.graphics_unlooked
        for tag in (DEIDENTIFICATION_METHOD, DEIDENTIFICATION_METHOD_CODE_SEQUENCE):
            if find(elements, tag) is not None:
                return self._elements(buffer, elements, treated, untrue=untrue, implicit=implicit)
        fresh = self._fresh.get((implicit, untrue, treated))
        if fresh is None:
            fresh = self._elements(b"", [], treated, untrue=untrue, implicit=implicit)
            self._fresh[implicit, untrue, treated] = fresh
        return fresh

    def _elements(
        self, buffer: Buffer, elements: list[Element], treated: tuple[str, ...], *, untrue: bool, implicit: bool
    ) -> list[tuple[int, bytes]]:
        return [
            (
                PATIENT_IDENTITY_REMOVED,
                encode.element(PATIENT_IDENTITY_REMOVED, b"CS", b"YES", implicit=implicit),
            ),
            (DEIDENTIFICATION_METHOD, self._method(buffer, elements, implicit=implicit)),
            (
                DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
                self._method_codes(buffer, elements, treated, untrue=untrue, implicit=implicit),
            ),
            (
                LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED,
                encode.element(
                    LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, b"CS", self._dates, implicit=implicit
                ),
            ),
        ]  # fmt: skip

    def _method(self, buffer: Buffer, elements: list[Element], *, implicit: bool) -> bytes:
        earlier: list[bytes] = []
        received = find(elements, DEIDENTIFICATION_METHOD)
        if received is not None and received[5] is None:
            earlier = [text.strip(b"\0 ") for text in bytes(buffer[received[3] : received[4]]).split(b"\\")]
        texts = [text for text in earlier if _stays(text) and text not in self._texts] + self._texts
        return encode.element(DEIDENTIFICATION_METHOD, b"LO", b"\\".join(texts), implicit=implicit)

    def _method_codes(
        self, buffer: Buffer, elements: list[Element], treated: tuple[str, ...], *, untrue: bool, implicit: bool
    ) -> bytes:
        codes = {**self._codes, **{value: METHODS[value] for value in treated}}
        if untrue:
            codes.pop(_CLEAN_GRAPHICS, None)
        earlier = [code for code in _earlier(buffer, elements) if code.value not in codes]
        items = [_item(code, implicit=implicit) for code in (*earlier, *codes.values())]
        return encode.sequence(DEIDENTIFICATION_METHOD_CODE_SEQUENCE, items, implicit=implicit)


def _stays(text: bytes) -> bool:
    """Whether what an earlier de-identification said of itself may stay: known words, or the digest of a profile."""
    if not text or not text.isascii():
        return False
    return _DIGEST.fullmatch(text) is not None or is_technical(text.decode("ascii"))


def _treated(pixels: PixelChange | None) -> tuple[str, ...]:
    if pixels is None:
        return ()
    return (_CLEAN_PIXELS,) * pixels.cleaned + (_CLEAN_FEATURES,) * pixels.features_cleaned


def _earlier(buffer: Buffer, elements: list[Element]) -> list[Code]:
    """Methods that an earlier de-identification stamped. Only codes are taken over: a meaning is free text."""
    sequence = find(elements, DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
    if sequence is None or sequence[5] is None:
        return []
    codes = []
    for _start, _value, _end, _implicit, nested in sequence[5]:
        value = find(nested, _CODE_VALUE)
        if value is not None:
            code = METHODS.get(bytes(buffer[value[3] : value[4]]).strip(b"\0 ").decode("latin-1"))
            if code is not None:
                codes.append(code)
    return codes


def _item(code: Code, *, implicit: bool) -> bytes:
    return b"".join(
        encode.element(tag, vr, text.encode("ascii"), implicit=implicit)
        for tag, vr, text in (
            (_CODE_VALUE, b"SH", code.value),
            (_CODING_SCHEME_DESIGNATOR, b"SH", code.scheme),
            (_CODE_MEANING, b"LO", code.meaning),
        )
    )
