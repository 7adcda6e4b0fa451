"""Units of measure: whether a text is nothing but one, as UCUM or as people write it (PS3.16 7.2.2).

A unit identifies nobody, however its parts are combined; a text that only begins or ends like one may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

__all__ = ["is_unit", "names_unit", "same_unit"]

_LONGEST: Final = 64
#: What joins the parts of a unit: UCUM knows the point, the slash and parentheses; people write the others.
_JOINTS: Final = re.compile(r"[./()*\u00b7\u22c5 ]+")
_EXPONENT: Final = re.compile(r"(?:\^|\*\*)?[+-]?[1-9]|[\u00b2\u00b3]", re.ASCII)
_POWER_OF_TEN: Final = re.compile(r"10[*^]?[+-]?[0-9]{1,2}", re.ASCII)
_FACTOR: Final = re.compile(r"[0-9]{1,3}", re.ASCII)
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_WORD: Final = re.compile(r"[^\W\d_]+")
#: No unit of PS3.16 has more parts; names can be spelt with many.
_MOST_PARTS: Final = 6
#: Of exponents and factors such as 100, in words.
_MOST_DIGITS: Final = 3


class _Ucum(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prefixes: frozenset[str]
    metric: frozenset[str]
    others: frozenset[str]
    annotations: frozenset[str]
    words: frozenset[str]
    surnames: Mapping[str, str]

    @field_validator("prefixes", "metric", "others", "annotations", "words", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value


class _Facts(NamedTuple):
    atoms: frozenset[str]
    annotations: frozenset[str]
    words: frozenset[str]
    surnames: Mapping[str, str]


@cache
def _facts() -> _Facts:
    text = (files("gateway.dicom") / "data" / "ucum.yaml").read_text(encoding="ascii")
    ucum = _Ucum.model_validate(yaml.safe_load(text))
    prefixed = frozenset(prefix + atom for prefix in ucum.prefixes for atom in ucum.metric)
    atoms = ucum.metric | ucum.others | prefixed
    return _Facts(atoms | {"\u00b5" + atom for atom in ucum.metric}, ucum.annotations, ucum.words, ucum.surnames)


@lru_cache(maxsize=1024)
def is_unit(text: str) -> bool:
    """Whether ``text`` is a unit built as UCUM builds them: ``mGy.cm``, ``10*-6.mm2/s``, ``g/ml{SUVbw}``.

    Case counts. Braces hold remarks in UCUM; only those that PS3.16 and devices use are taken.
    """
    facts = _facts()
    if not text or len(text) > _LONGEST or not all(one in facts.annotations for one in _BRACES.findall(text)):
        return False
    plain = _BRACES.sub(" ", text).strip()
    if "{" in plain or "}" in plain:
        return False
    parts = [part for part in _tokens(plain) if part]
    if not parts:
        return plain != text
    numbers = sum(_FACTOR.fullmatch(part) is not None for part in parts)
    return len(parts) <= _MOST_PARTS and numbers <= 1 and all(_is_part(part, facts.atoms) for part in parts)


def _tokens(text: str) -> list[str]:
    """The parts of a unit; a power of ten keeps the asterisk that makes it one."""
    marked = re.sub(r"10\*(?=[+-]?[0-9])", "10^", text)
    return _JOINTS.split(re.sub(r"\*\*(?=[+-]?[1-9])", "^", marked))


def _is_part(part: str, atoms: frozenset[str]) -> bool:
    if part in atoms or _FACTOR.fullmatch(part) or _POWER_OF_TEN.fullmatch(part):
        return True
    if part.startswith("[100]"):
        return part[5:] in atoms
    # The longest unit in front that leaves an exponent.
    return any(part[:end] in atoms and _EXPONENT.fullmatch(part[end:]) for end in range(len(part) - 1, 0, -1))


def same_unit(code: str, meaning: str) -> bool:
    """Whether ``meaning`` is ``code`` in another spelling: ``dGycm2`` for ``dGy.cm2``, ``mmHg`` for ``mm[Hg]``."""
    return bool(meaning) and _bare(code) == _bare(meaning)


def _bare(text: str) -> str:
    return "".join(letter for letter in text.lower().replace("\u00b5", "u") if letter not in " .[]{}()*^\u00b7'\"_")


@lru_cache(maxsize=1024)
def names_unit(text: str, code: str) -> bool:
    """Whether ``text`` says a unit in words, as code meanings do: ``square millimeter``, ``Hounsfield unit``.

    A word that is a surname as well, such as Gray, is one only if ``code`` has the unit of that name.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    facts = _facts()
    digits = sum(letter.isdecimal() for letter in text)
    if not words or len(text) > _LONGEST or digits > _MOST_DIGITS:
        return False
    return all((word in facts.words or word in facts.atoms) and facts.surnames.get(word, "") in code for word in words)
