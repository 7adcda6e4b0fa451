"""Identity: how a project's pseudonyms look.

A pseudonym format is fixed text with placeholders that are filled from a keyed digest: ``{base32:N}`` (A-Z, 2-7),
``{digits:N}`` (0-9) and ``{hex:N}`` (0-9, a-f), N characters each, for example ``BIMCV-{base32:10}``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log2
from typing import Final

#: Placeholder -> its alphabet. base32 is the alphabet of RFC 4648: no 0, 1, 8 to be read as O, I, B.
ALPHABETS: Final[dict[str, str]] = {
    "base32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "digits": "0123456789",
    "hex": "0123456789abcdef",
}
#: The longest value of VR LO and of one component group of VR PN (PS3.5 6.2), in characters.
MAXIMUM_LENGTH: Final = 64
#: Below this many bits two patients of a large project would share a pseudonym too easily.
MINIMUM_BITS: Final = 40
#: Of a 256-bit digest at least 64 bits stay unused, so that taking remainders is not biased.
MAXIMUM_BITS: Final = 192
DIGEST_BYTES: Final = 32

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# Valid in LO and PN without delimiters (\ ^ =), safe as the name of a directory.
_FIXED_TEXT = re.compile(r"[A-Za-z0-9 ._-]*")


@dataclass(frozen=True, slots=True)
class Identity:
    """What replaces a patient's identity.

    Attributes
    ----------
    patient_format: format of the patient pseudonym, which is written to Patient ID and Patient's Name

    Raises
    ------
    ValueError: the format is wrong; the text says what is
    """

    patient_format: str = "{base32:16}"

    def __post_init__(self) -> None:
        _check(self.patient_format)

    def patient_pseudonym(self, digest: bytes) -> str:
        """The patient pseudonym that belongs to ``digest``.

        Parameters
        ----------
        digest: 32 bytes, a keyed digest of what identifies the patient

        Returns
        -------
        At most 64 characters, the same for the same digest.

        Raises
        ------
        ValueError: the digest is not 32 bytes long
        """
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"a digest of {DIGEST_BYTES} bytes is needed, not of {len(digest)}")
        number = int.from_bytes(digest, "big")
        text = []
        for part in _PLACEHOLDER.split(self.patient_format)[1::2]:
            kind, _, count = part.partition(":")
            alphabet = ALPHABETS[kind]
            characters = []
            for _ in range(int(count)):
                number, digit = divmod(number, len(alphabet))
                characters.append(alphabet[digit])
            text.append("".join(characters))
        filled = iter(text)
        return _PLACEHOLDER.sub(lambda _: next(filled), self.patient_format)


def _check(text: str) -> None:
    pieces = _PLACEHOLDER.split(text)
    fixed, placeholders = "".join(pieces[0::2]), pieces[1::2]
    if "{" in fixed or "}" in fixed:
        raise ValueError("a brace is not closed or not opened")
    if not _FIXED_TEXT.fullmatch(fixed):
        raise ValueError("the fixed text may hold A-Z, a-z, 0-9, space, dot, underscore and hyphen only")
    if text != text.strip() or text.startswith("."):
        raise ValueError("the format may not begin or end with a space, nor begin with a dot")
    length, bits = len(fixed), 0.0
    for placeholder in placeholders:
        kind, _, count = placeholder.partition(":")
        if kind not in ALPHABETS or not re.fullmatch(r"[1-9][0-9]?", count):
            raise ValueError(f"{{{placeholder}}} is no placeholder: write {{base32:N}}, {{digits:N}} or {{hex:N}}")
        length += int(count)
        bits += int(count) * log2(len(ALPHABETS[kind]))
    if length > MAXIMUM_LENGTH:
        raise ValueError(f"the pseudonym would have {length} characters, more than {MAXIMUM_LENGTH}")
    if not MINIMUM_BITS <= bits <= MAXIMUM_BITS:
        raise ValueError(
            f"the placeholders carry {bits:.0f} bits, {MINIMUM_BITS} to {MAXIMUM_BITS} are needed "
            "to keep patients apart"
        )
