"""Which character sets an output declares (PS3.3 C.12.1.1.2).

Text that stays keeps its bytes, so an output declares what its original declared: spelled as the standard spells it,
and with further sets behind where text of the profile needs letters that the declared ones lack.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from gateway.dicom.charset import ENCODINGS, CharacterSets, character_sets
from gateway.dicom.text import encode_text

__all__ = ["declaration", "output_sets"]

#: Sets of one byte, those that most people write in first.
_SINGLE: Final = ("100", "144", "126", "101", "148", "109", "110", "127", "138", "166")
#: Sets of several bytes that escapes can reach.
_MULTIPLE: Final = ("87", "149", "58", "159")
_UTF_8: Final = "ISO_IR 192"
_EVERYTHING: Final = {"GBK": "GB18030"}


@lru_cache(maxsize=256)
def output_sets(value: bytes, alphabet: str = "") -> CharacterSets:
    """The character sets that ``value`` of Specific Character Set (0008,0005) declares, with those of the output.

    Parameters
    ----------
    value
        as received; empty where nothing is declared
    alphabet
        letters beyond ASCII that text of the profile has

    Returns
    -------
    What text is read by; its ``output``, if it is not None, is what text is written by, and declares.
    """
    received = character_sets(value) if value.strip(b"\0 ") else CharacterSets()
    output = received
    if alphabet and not _says(received, alphabet):
        output = next((sets for sets in _wider(received) if _says(sets, alphabet)), received)
    if declaration(output) == value.strip(b"\0 "):
        return replace(received, alphabet=alphabet)
    return replace(received, output=output, alphabet=alphabet)


def declaration(sets: CharacterSets) -> bytes:
    """The value of Specific Character Set that declares ``sets``."""
    return "\\".join(sets.terms).encode("ascii")


def _says(sets: CharacterSets, letters: str) -> bool:
    try:
        encode_text(letters, b"UT", replace(sets, output=None))
    except ValueError:
        return False
    return True


def _wider(sets: CharacterSets) -> list[CharacterSets]:
    """Declarations under which the bytes of ``sets`` mean what they mean, the simplest first."""
    if sets.is_default:
        return [_of(f"ISO_IR {number}") for number in _SINGLE] + [_of(_UTF_8)]
    if sets.terms and sets.terms[0] in _EVERYTHING:
        return [_of(_EVERYTHING[sets.terms[0]])]
    extended = tuple(term.replace("ISO_IR ", "ISO 2022 IR ") for term in sets.terms)
    if any(term and term not in ENCODINGS for term in extended):
        return []
    more = [f"ISO 2022 IR {number}" for number in (*_SINGLE, *_MULTIPLE)]
    return [_of(*extended, one) for one in more if one not in extended]


def _of(*terms: str) -> CharacterSets:
    return character_sets("\\".join(terms).encode("ascii"))
