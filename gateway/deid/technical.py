"""Whether a value is technical: written by a machine, in words that name nobody.

Of the attributes that Table E.1-1 of PS3.15 does not list, some hold what machines write: sequences, filters, kernels,
coils, makers, defined terms. Such a value stays whole or goes. It stays if it is made of words that are known (the
terms of the standard, of radiology and of the makers), of abbreviations, and of numbers that are too short for an
identifier; a date, an address, a telephone number or a word that could be somebody's name makes it go.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import yaml

from gateway.deid import patterns
from gateway.deid.words import fold, words_of

__all__ = ["is_technical"]

_DATA: Final = files("gateway.deid") / "data"
_PIECE: Final = re.compile(r"\d+|[^\W\d_]+")
_HUMP: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: Numbers of versions and of elements: what is longer, or longer together, may be somebody's number.
_MOST_DIGITS: Final = 4
_MOST_DIGITS_TOGETHER: Final = 5
_SPLIT_NUMBER: Final = re.compile(r"(?<![^\W_])\d+(?:[\s/,:;_-]+\d+)+(?![^\W_])")
#: What tells of a person or a day although each of its parts may be technical: dates without separators or with Roman
#: months, ages, titles.
_TELLING: Final = re.compile(
    r"\d(?:jan|ene|feb|mar|apr|abr|may|mai|jun|jul|aug|ago|sep|oct|okt|nov|dec|dez|dic)\d"
    r"|\b\d{1,2}\W+(?!x\b)[ivx]{1,4}\W+\d{2,4}\b"
    r"|\b(?:19|20)\d\d\b\W+\d|\d\W+\b(?:19|20)\d\d\b"
    r"|\b\d{2,3}\s?(?:y|yo|yrs?|years?|a[nñ]os?|anys?|jahre?|ans|anni|anos)\b"
    r"|\b(?:dra?|sra?|mrs?|ms|prof|don|do[nñ]a|sig|herr|frau)\.\s",
    re.IGNORECASE,
)
#: A title without its point: machines write DR and MR, and MS for milliseconds.
_TITLE: Final = re.compile(r"\b(?:Dra?|Sra?|Mrs?|Ms|Mme|Prof|Herr|Frau|Doñ?a)\s+[^\W\d_]")
#: Parts of the vocabulary that are technical where the patient is described; elsewhere they may be a name.
_OF_PATIENTS: Final = ("ethnic", "sex")
#: An unknown word of more letters could be a name.
_LONGEST_ABBREVIATION: Final = 3
_MOST_ABBREVIATIONS: Final = 2
_LONGEST: Final = 1024
#: What is not in ASCII and still no letter of another script in disguise.
_ASCII: Final = 127
_SIGNS: Final = frozenset("\u00b5\u00b0\u00b1\u00b2\u00b3\u00d7\u00ae\u00a9\u2122")
_FEWEST_INITIALS: Final = 3
#: A version of four parts and more with few digits is no address on the network.
_VERSION: Final = re.compile(r"(?<![\d.])\d{1,2}(?:\.\d{1,2}){3,4}(?![\d.])")
_MOST_DIGITS_OF_VERSION: Final = 6


@cache
def _vocabulary() -> tuple[frozenset[str], frozenset[str]]:
    """The words that are technical, and the short ones that are names."""
    own: dict[str, str] = yaml.safe_load((_DATA / "technical.yaml").read_text(encoding="ascii"))
    names = frozenset(own.pop("name").split())
    for part in _OF_PATIENTS:
        del own[part]
    terms = frozenset((_DATA / "technical-terms.txt").read_text(encoding="ascii").splitlines())
    shipped = words_of(frozenset())
    return terms.union(shipped.safe, shipped.weak, shipped.units, *(text.split() for text in own.values())), names


@cache
def _of_patients() -> frozenset[str]:
    """The words that describe a patient."""
    own: dict[str, str] = yaml.safe_load((_DATA / "technical.yaml").read_text(encoding="ascii"))
    return frozenset(word for part in _OF_PATIENTS for word in own[part].split())


@lru_cache(maxsize=8192)
def is_technical(text: str, vocabulary: frozenset[str] = frozenset(), *, of_patient: bool = False) -> bool:
    """Whether ``text``, one value without padding, is technical.

    Parameters
    ----------
    text
        the value
    vocabulary
        words of the site that are known as well
    of_patient
        whether it describes the patient
    """
    if text.lower() in _vocabulary()[0]:
        return True
    if len(text) > _LONGEST or _tells(text):
        return False
    pieces = _PIECE.findall(text)
    words = [piece for piece in pieces if not piece.isdecimal()]
    own = words_of(vocabulary).safe if vocabulary else frozenset()
    return _are_plain([piece for piece in pieces if piece.isdecimal()], text) and _are_known(
        words, own | _of_patients() if of_patient else own, numbered=len(words) < len(pieces)
    )


def _tells(text: str) -> bool:
    """Whether the form of ``text`` tells of a person, a day or a place, whatever its words are."""
    if _TELLING.search(text) or _TITLE.search(text) or "@" in text or "://" in text or "www." in text.lower():
        return True
    return not text.isascii() and any(ord(sign) > _ASCII and not sign.isalpha() and sign not in _SIGNS for sign in text)


def _are_plain(numbers: list[str], text: str) -> bool:
    """Whether the numbers of ``text`` are too short, alone and together, to identify somebody or to be a day."""
    if any(len(number) > _MOST_DIGITS or not number.isascii() for number in numbers):
        return False
    if any(sum(map(str.isdecimal, split)) > _MOST_DIGITS_TOGETHER for split in _SPLIT_NUMBER.findall(text)):
        return False
    return len(numbers) < 2 or not any(True for _ in patterns.spans(_VERSION.sub(_shortened, text)))


def _are_known(words: list[str], own: frozenset[str], *, numbered: bool) -> bool:
    """Whether words are known or abbreviations; without numbers beside them, few abbreviations and no initials."""
    terms = _vocabulary()[0]
    unknown = [word for word in words if (folded := fold(word)) not in terms and folded not in own]
    if not numbered:
        if len(words) >= _FEWEST_INITIALS and all(len(word) == 1 for word in words):
            return False
        # Several abbreviations that nobody knows may be the parts of a name.
        if len(unknown) > _MOST_ABBREVIATIONS:
            return False
    return all(_is_known(word, own) for word in unknown)


def _shortened(version: re.Match[str]) -> str:
    text = version.group()
    return "1" if sum(map(str.isdecimal, text)) <= _MOST_DIGITS_OF_VERSION else text


def _is_known(word: str, own: frozenset[str]) -> bool:
    terms, names = _vocabulary()
    folded = fold(word)
    if folded in terms or folded in own:
        return True
    if len(folded) <= _LONGEST_ABBREVIATION:
        return word.isascii() and folded not in names
    humps = _HUMP.findall(word)
    return len(humps) > 1 and "".join(humps) == word and all(_is_known(hump, own) for hump in humps)
