"""Whether what was read in an image tells who the patient is: words of the header, dates, names, numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

__all__ = ["HeaderWords", "IdentifyingWords", "confusable"]

#: Characters that a reader of images confuses, and the one that stands for all of them.
_CONFUSED: Final = str.maketrans("OQDILJ|!SZBGT()[]{}", "0001111152867111111")
#: Shortest word of the header that is compared; a shorter one is in every text.
_SHORTEST: Final = 3
#: Length of a word from which one wrong character, and from which two, are forgiven.
_ONE_WRONG: Final = 4
_TWO_WRONG: Final = 8
#: Digits in a row that are a number of a patient, an examination or a telephone.
_NUMBER: Final = re.compile(r"\d{5,}|\d{2,}[-/]?[A-Z]{1,3}[-/]?\d{2,}|[A-Z]{1,4}[-/]?\d{4,}")
_MONTH: Final = r"(?:JAN|FEB|MAR|APR|ABR|MAY|MAI|JUN|JUL|AUG|AGO|SEP|OCT|OKT|NOV|DEC|DEZ|DIC|ENE)[A-Z]*"
_DATE: Final = re.compile(
    r"(?<!\d)(?:\d{1,2}[-./ ]\d{1,2}[-./ ](?:\d{4}|\d{2})|\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|(?:19|20)\d{6})(?!\d)"
    rf"|\d{{1,2}}[-./ ]?{_MONTH}[-./, ]*\d{{2,4}}"
    rf"|{_MONTH}[-./, ]*\d{{1,2}}[-./, ]+\d{{2,4}}"
)
#: Labels and titles beside which something identifying stands.
_LABEL: Final = re.compile(
    r"\b(?:NAME|PATIENT|PAT|PID|MRN|DOB|BORN|BIRTH|SEX|AGE|ACC|ACCESSION|ID|DR|MRS|MS|PHYSICIAN|HOSPITAL|CLINIC|"
    r"NOMBRE|PACIENTE|NHC|MEDICO|CLINICA|GEB|NACH|VORNAME|KLINIK|NOM|PRENOM|HOPITAL|OSPEDALE)\b"
)
#: A family name and a given name joined as a PN value, or as devices write them.
_NAME: Final = re.compile(r"[A-Z]{2,}\s*[\^,]\s*[A-Z]{2,}")


class IdentifyingWords:
    """The words of an instance's header that must not be seen, and the forms that identity takes in pictures.

    Parameters
    ----------
    words
        values or words of the header, in any spelling; those of fewer than three characters are left out
    """

    def __init__(self, words: Iterable[str]) -> None:
        parts = {part for word in words for part in (*_parts(word), "".join(_parts(word)))}
        #: The words in capital letters and digits, the parts of a value alone and together.
        self.spellings: Final = frozenset(part for part in parts if len(part) >= _SHORTEST)
        self._words = tuple(sorted(confusable(part) for part in self.spellings))

    def __contains__(self, text: object) -> bool:
        """Whether ``text`` identifies: a word of the header, or what looks like a date, a name or a number."""
        return isinstance(text, str) and (self._is_form(_plain(text)) or self.named_in(text))

    def named_in(self, text: str) -> bool:
        """Whether ``text`` has a word of the header, as a reader of images may have misread it."""
        parts = _parts(text)
        whole = "".join(parts)
        candidates = {confusable(part) for part in (*parts, whole)}
        return any(_alike(word, candidate) for word in self._words for candidate in candidates)

    @staticmethod
    def _is_form(text: str) -> bool:
        return any(form.search(text) is not None for form in (_NUMBER, _DATE, _LABEL, _NAME))


class HeaderWords(IdentifyingWords):
    """The words of an instance's header alone: what only looks like a date, a name or a number is none of them."""

    def __contains__(self, text: object) -> bool:
        """Whether ``text`` has a word of the header."""
        return isinstance(text, str) and self.named_in(text)


def _plain(text: str) -> str:
    """Capital letters without accents."""
    decomposed = unicodedata.normalize("NFKD", text.upper())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\W_]+", _plain(text)) if part]


def confusable(part: str) -> str:
    """Capital letters and digits, each as the one that stands for all that a reader of images confuses with it."""
    return part.translate(_CONFUSED)


def _alike(word: str, read: str) -> bool:
    """Whether ``read`` holds ``word`` with as many wrong, missing or superfluous characters as its length forgives."""
    forgiven = 0 if len(word) < _ONE_WRONG else 1 if len(word) < _TWO_WRONG else 2
    if len(word) < _ONE_WRONG:
        return word == read
    if len(read) < len(word) - forgiven:
        return False
    return word in read or _distance_within(word, read) <= forgiven


def _distance_within(word: str, text: str) -> int:
    """The least edit distance between ``word`` and any part of ``text`` (Sellers' algorithm)."""
    previous = [0] * (len(text) + 1)
    for row, character in enumerate(word, start=1):
        current = [row]
        for column, other in enumerate(text, start=1):
            current.append(
                min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (character != other))
            )
        previous = current
    return min(previous)
