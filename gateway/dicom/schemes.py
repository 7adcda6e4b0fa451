"""Coding schemes: which designators are public, and which codes can be nothing but codes of theirs (PS3.16 8)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, field_validator

__all__ = ["fits", "is_public", "spoken"]

_DATA: Final = files("gateway.dicom") / "data"
#: Schemes of languages and countries -> what their codes name, and with how many letters (PS3.16 CID 5000, CID 5001).
_NAMED: Final = {
    "ISO639_1": ("language", 2), "ISO639_2": ("language", 3), "ISO639_3": ("language", 3),
    "ISO3166_1": ("country", 0), "RFC3066": ("language", 0), "RFC5646": ("language", 0), "IETF4646": ("language", 0),
}  # fmt: skip
#: Verhoeff's check digit: multiplication in the dihedral group of order 10, and the permutation by position.
_DIHEDRAL: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED: Final = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415",
                    "7046913258")  # fmt: skip
#: A SNOMED CT identifier of a concept: six to eighteen digits, the last two but one 00 or 10 (SNOMED CT TIG 5.5).
_CONCEPT: Final = re.compile(r"[1-9][0-9]{2,14}(?:00|10)[0-9]", re.ASCII)
_LOINC: Final = re.compile(r"([0-9]{1,5})-([0-9])", re.ASCII)


class _Schemes(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    designators: frozenset[str]
    vendors: frozenset[str]
    syntax: Mapping[str, str]
    verhoeff: frozenset[str]
    luhn: frozenset[str]

    @field_validator("designators", "vendors", "verhoeff", "luhn", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split() if isinstance(value, str) else value


class _Facts(NamedTuple):
    public: frozenset[str]
    syntax: dict[str, re.Pattern[str]]
    verhoeff: frozenset[str]
    luhn: frozenset[str]


@cache
def _facts() -> _Facts:
    schemes = _Schemes.model_validate(yaml.safe_load((_DATA / "coding-schemes.yaml").read_text(encoding="ascii")))
    syntax = {scheme: re.compile(pattern, re.ASCII) for scheme, pattern in schemes.syntax.items()}
    return _Facts(schemes.designators | schemes.vendors, syntax, schemes.verhoeff, schemes.luhn)


def is_public(designator: str) -> bool:
    """Whether a Coding Scheme Designator (0008,0102) is one of the standard or of a maker of devices and software."""
    return designator in _facts().public


def fits(scheme: str, code: str) -> bool:
    """Whether ``code`` can be nothing but a code of ``scheme``: by its syntax or its check digit.

    Schemes whose codes are plain numbers fit nothing: a patient's number would fit them too.
    """
    facts = _facts()
    if scheme in facts.verhoeff:
        return _CONCEPT.fullmatch(code) is not None and _has_verhoeff_digit(code)
    if scheme in facts.luhn:
        match = _LOINC.fullmatch(code)
        return match is not None and _luhn_digit(match[1]) == match[2]
    pattern = facts.syntax.get(scheme)
    return pattern is not None and pattern.fullmatch(code) is not None


def spoken(scheme: str, code: str) -> str | None:
    """The English name of a language or country: ``es-ES`` is Spanish (Spain); None if it is not one."""
    kind, letters = _NAMED.get(scheme, ("", 0))
    if not kind or (letters and len(code) != letters):
        return None
    main, _, region = code.partition("-")
    name = _names().get((kind, main.upper() if kind == "country" else main))
    if name is None or not region:
        return name
    where = _names().get(("country", region)) if len(region) == 2 else None
    return None if where is None or kind == "country" or letters else f"{name} ({where})"[:64]


@cache
def _names() -> dict[tuple[str, str], str]:
    text = (_DATA / "languages-countries.csv").read_text(encoding="ascii")
    return {
        (row["kind"], row[form]): row["name"]
        for row in csv.DictReader(text.splitlines())
        for form in ("two", "three")
        if row[form]
    } | {
        ("country", row["three"].upper()): row["name"]
        for row in csv.DictReader(text.splitlines())
        if row["kind"] == "country"
    }


def _has_verhoeff_digit(code: str) -> bool:
    check = 0
    for position, digit in enumerate(reversed(code)):
        check = int(_DIHEDRAL[check][int(_PERMUTED[position % 8][int(digit)])])
    return check == 0


def _luhn_digit(digits: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if position % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return str(-total % 10)
