"""Words that identify nobody, and where (``data/words.csv``, ``data/vocabulary.txt``)."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Final

_DATA: Final = files("gateway.verify") / "data"


@cache
def _classes() -> dict[str, frozenset[str]]:
    classes: dict[str, set[str]] = {}
    for row in csv.DictReader((_DATA / "words.csv").read_text(encoding="utf-8").splitlines()):
        classes.setdefault(row["class"], set()).add(row["word"])
    return {name: frozenset(words) for name, words in classes.items()}


@cache
def vocabulary() -> frozenset[str]:
    """The words of coded medical terms and of defined terms: in a code string or a code meaning they are no name."""
    return _classes()["term"] | frozenset((_DATA / "vocabulary.txt").read_text(encoding="utf-8").split())


def is_placeholder(text: str) -> bool:
    """Whether squashed ``text`` stands for "no value": ``anonymous``, ``n a``, ``0000``, ``xxx``, empty."""
    placeholders, compact = _classes()["placeholder"], text.replace(" ", "")
    return len(set(compact)) <= 1 or compact in placeholders or all(word in placeholders for word in text.split())


def is_placeholder_date(digits: str) -> bool:
    """Whether an eight-digit date stands for "no date" (the epochs of common software, all digits the same)."""
    return digits in _classes()["date"]


def is_accessory(word: str) -> bool:
    """Whether a folded word is a title, a particle or a placeholder beside a person's name."""
    classes = _classes()
    return word in classes["title"] or word in classes["particle"] or word in classes["placeholder"]


def is_title(word: str) -> bool:
    """Whether a folded word is a title or a placeholder, and never a part of a person's name."""
    classes = _classes()
    return word in classes["title"] or word in classes["placeholder"]


def is_vendor(word: str) -> bool:
    """Whether a folded word belongs to the names of manufacturers."""
    return word in _classes()["vendor"]


def is_generic(word: str) -> bool:
    """Whether a folded word says what an institution is, and not which."""
    classes = _classes()
    return (
        word in classes["generic"]
        or word in classes["particle"]
        or word in classes["placeholder"]
        or word in classes["vendor"]
    )


def is_standard_scheme(designator: str) -> bool:
    """Whether a coding scheme designator is one of PS3.16 section 8, whose meanings a standards body wrote."""
    return designator in _classes()["scheme"]
