"""The words that descriptors may keep, and those that announce an identity.

Four sources: the words of coded terms (``gateway.dicom.coded_concepts``) without those that many people or a
municipality bear as a name (``data/name-words.txt``), the words of radiology in nine languages and of diagnoses
(``data/descriptor-words.txt``, ``data/diagnosis-words.txt``), those that need more care (``data/terms.yaml``), and the
words that a site adds in its profile. A word that none of them has is taken for a name, unless it is like a term
(``gateway.deid.likeness``).
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway.deid.likeness import Likeness
from gateway.dicom import coded_concepts

__all__ = ["Words", "coded_words", "fold", "words_of"]

_DATA: Final = files("gateway.deid") / "data"
#: Letters that Unicode does not decompose into a base letter and an accent.
_UNDECOMPOSED: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe"}
)


def fold(text: str) -> str:
    """``text`` in lower case, without accents and without anything that is neither a letter nor a digit.

    The verifier folds by code of its own: a fault here must not hide what it lets through.
    """
    if text.isascii():
        return "".join(filter(str.isalnum, text.lower()))
    decomposed = unicodedata.normalize("NFKD", text).casefold().translate(_UNDECOMPOSED)
    return "".join(filter(str.isalnum, decomposed))


class _Terms(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    weak: frozenset[str]
    quality: frozenset[str]
    pair: frozenset[str]
    particle: frozenset[str]
    unit: frozenset[str]
    person: frozenset[str]
    both: frozenset[str]
    institution: frozenset[str]
    address: frozenset[str]
    number: frozenset[str]
    age: frozenset[str]
    date: frozenset[str]
    modality: frozenset[str]
    opener: frozenset[str]
    side: frozenset[str]
    negation: frozenset[str]
    joining: frozenset[str] = Field(alias="with")

    @field_validator("*", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Words:
    """The folded words that the cleaner knows.

    Attributes
    ----------
    safe
        words that identify nobody
    weak
        words that stay unless they stand beside one that goes
    names
        weak words that are names of many, and stay only where a part of the body or the like may stand
    qualities
        weak words that stay only in a pair
    pairs
        (term, word): the word stays beside the term, on either side of it
    particles
        weak words that say nothing alone
    units
        what may follow a number of a measurement
    person, address, number
        words behind which a person, an address or a number of one of them stands
    age
        what makes the number before it an age
    openers
        behind these a weak word is no name
    modalities
        those openers that say what kind of examination it is
    sides, negations
        words that stay only with what they belong to
    joining
        what joins a negation to another one, as in "with and without"
    likeness
        what is like a term
    """

    safe: frozenset[str]
    weak: frozenset[str]
    names: frozenset[str]
    qualities: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    particles: frozenset[str]
    units: frozenset[str]
    person: frozenset[str]
    address: frozenset[str]
    number: frozenset[str]
    age: frozenset[str]
    openers: frozenset[str]
    modalities: frozenset[str]
    sides: frozenset[str]
    negations: frozenset[str]
    joining: frozenset[str]
    likeness: Likeness


def coded_words() -> frozenset[str]:
    """The folded words of two letters and more of all code meanings that are known."""
    return frozenset(
        word
        for meaning in coded_concepts.meanings()
        for word in "".join(letter if letter.isalpha() else " " for letter in meaning.lower()).split()
        if len(word) > 1
    )


@cache
def _shipped() -> Words:
    terms = _Terms.model_validate(yaml.safe_load(_text("terms.yaml")))
    names = frozenset(_text("name-words.txt").split())
    listed = _text("descriptor-words.txt").split()
    names_too = frozenset(word[1:] for word in listed if word.startswith("~"))
    weak = (terms.weak | terms.particle | terms.quality | names_too) - terms.negation
    places = terms.institution | terms.address | terms.date
    announcing = terms.person | places
    known = (coded_words() - names) | frozenset(listed) | frozenset(_text("diagnosis-words.txt").split())
    safe = (known - weak - (announcing - terms.both)) | terms.negation
    return Words(
        safe=safe,
        weak=weak,
        names=names_too - terms.particle - terms.negation,
        qualities=terms.quality,
        pairs=frozenset((first, second) for first, second in (pair.split() for pair in terms.pair)),
        particles=terms.particle - terms.negation,
        units=terms.unit,
        person=terms.person,
        address=terms.address,
        number=terms.number,
        age=terms.age,
        openers=terms.opener | terms.modality,
        sides=terms.side,
        negations=terms.negation,
        joining=terms.joining,
        modalities=terms.modality,
        likeness=Likeness(
            frozenset(_text("term-stems.txt").split()),
            frozenset(word for word in listed if len(word) > 3 and word.isalpha()),
            json.loads(_text("name-model.json")),
            frozenset(_text("names-like-terms.txt").split()) | announcing | weak | names,
        ),
    )


def _text(name: str) -> str:
    return (_DATA / name).read_text(encoding="utf-8")


@lru_cache(maxsize=16)
def words_of(vocabulary: frozenset[str]) -> Words:
    """The words for a site.

    Parameters
    ----------
    vocabulary
        words and phrases as the site wrote them: each of their words is safe, whatever else it is
    """
    shipped = _shipped()
    own = frozenset(folded for phrase in vocabulary for word in _split(phrase) if (folded := fold(word)))
    if not own:
        return shipped
    return replace(
        shipped,
        safe=shipped.safe | own,
        weak=shipped.weak - own,
        names=shipped.names - own,
        qualities=shipped.qualities - own,
        particles=shipped.particles - own,
        person=shipped.person - own,
        address=shipped.address - own,
        number=shipped.number - own,
    )


def _split(phrase: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in unicodedata.normalize("NFC", phrase)).split()
