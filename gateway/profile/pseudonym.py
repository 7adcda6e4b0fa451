"""How pseudonyms look.

A format is fixed text with placeholders. Those of a keyed pseudonym are filled from a keyed digest: ``{base32:N}``
(A-Z, 2-7), ``{digits:N}`` (0-9) and ``{hex:N}`` (0-9, a-f), N characters each, for example ``BIMCV-{base32:10}``. A
sequential one has a single ``{number:0N}``, a number of at least N digits, for example ``SUBJ-{number:05}``.
"""

from __future__ import annotations

import re
from functools import lru_cache
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
#: Digits that a number may grow to: the ledger counts no further.
NUMBER_DIGITS: Final = 9

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NUMBER = re.compile(r"number(?::0([1-9]))?")
# Valid in LO and PN without delimiters (\ ^ =), safe as the name of a directory.
_FIXED_TEXT = re.compile(r"[A-Za-z0-9 ._-]*")


@lru_cache(maxsize=1024)
def keyed(text: str, digest: bytes) -> str:
    """The pseudonym of the keyed format ``text`` that belongs to ``digest``.

    Parameters
    ----------
    text
        a format that ``check_keyed`` takes
    digest
        32 bytes, a keyed digest of what is replaced

    Returns
    -------
    At most 64 characters, the same for the same digest.

    Raises
    ------
    ValueError
        the digest is not 32 bytes long
    """
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"a digest of {DIGEST_BYTES} bytes is needed, not of {len(digest)}")
    number = int.from_bytes(digest, "big")
    filled = []
    for part in _PLACEHOLDER.split(text)[1::2]:
        kind, _, count = part.partition(":")
        alphabet = ALPHABETS[kind]
        characters = []
        for _ in range(int(count)):
            number, digit = divmod(number, len(alphabet))
            characters.append(alphabet[digit])
        filled.append("".join(characters))
    each = iter(filled)
    return _PLACEHOLDER.sub(lambda _: next(each), text)


def sequential(text: str, number: int) -> str:
    """The pseudonym of the sequential format ``text`` with this number, which is at least 0.

    Raises
    ------
    ValueError
        the number has more digits than the ledger counts
    """
    if not 0 <= number < 10**NUMBER_DIGITS:
        raise ValueError(f"the number is negative or has more than {NUMBER_DIGITS} digits")
    return _PLACEHOLDER.sub(lambda placeholder: f"{number:0{_width(placeholder.group(1))}d}", text)


def check_keyed(text: str) -> int:
    """Check a keyed format.

    Returns
    -------
    The length of its pseudonyms in characters.

    Raises
    ------
    ValueError
        the format is wrong; the text says what is
    """
    fixed, placeholders = _pieces(text)
    length, bits = len(fixed), 0.0
    for placeholder in placeholders:
        kind, _, count = placeholder.partition(":")
        if kind not in ALPHABETS or not re.fullmatch(r"[1-9][0-9]?", count):
            raise ValueError(f"{{{placeholder}}} is no placeholder: write {{base32:N}}, {{digits:N}} or {{hex:N}}")
        length += int(count)
        bits += int(count) * log2(len(ALPHABETS[kind]))
    _check_length(length)
    if not MINIMUM_BITS <= bits <= MAXIMUM_BITS:
        raise ValueError(
            f"the placeholders carry {bits:.0f} bits, {MINIMUM_BITS} to {MAXIMUM_BITS} are needed "
            "to keep patients apart"
        )
    return length


def check_sequential(text: str) -> int:
    """Check a sequential format.

    Returns
    -------
    The length that its pseudonyms may grow to, in characters.

    Raises
    ------
    ValueError
        the format is wrong; the text says what is
    """
    fixed, placeholders = _pieces(text)
    if len(placeholders) != 1 or not _NUMBER.fullmatch(placeholders[0]):
        raise ValueError("a sequential pseudonym has one placeholder: {number} or {number:0N} with N from 1 to 9")
    length = len(fixed) + NUMBER_DIGITS
    _check_length(length)
    return length


def _pieces(text: str) -> tuple[str, list[str]]:
    pieces = _PLACEHOLDER.split(text)
    fixed, placeholders = "".join(pieces[0::2]), pieces[1::2]
    if "{" in fixed or "}" in fixed:
        raise ValueError("a brace is not closed or not opened")
    if not _FIXED_TEXT.fullmatch(fixed):
        raise ValueError("the fixed text may hold A-Z, a-z, 0-9, space, dot, underscore and hyphen only")
    if text != text.strip() or text.startswith("."):
        raise ValueError("the format may not begin or end with a space, nor begin with a dot")
    return fixed, placeholders


def _check_length(length: int) -> None:
    if length > MAXIMUM_LENGTH:
        raise ValueError(f"the pseudonym would have {length} characters, more than {MAXIMUM_LENGTH}")


def _width(placeholder: str) -> int:
    match = _NUMBER.fullmatch(placeholder)
    return int(match.group(1) or 1) if match is not None else 1
