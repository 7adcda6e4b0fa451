"""Coded concepts: what the standard and the terminologies that it uses say of a code (PS3.16, PS3.3 section 8)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final

from gateway.dicom.schemes import spoken

#: Designators under which SNOMED-RT style codes are written (PS3.16 section 8.1).
_SNOMED_RT: Final = ("SRT", "SNM3", "99SDM")


@cache
def _meanings() -> dict[tuple[str, str], str]:
    text = (files("gateway.dicom") / "data" / "code-meanings.csv").read_text(encoding="ascii")
    by_code: dict[tuple[str, str], str] = {}
    for scheme, code, older, meaning in list(csv.reader(text.splitlines()))[1:]:
        if code:
            by_code[scheme, code] = meaning
        if older:
            by_code.update(((designator, older), meaning) for designator in _SNOMED_RT)
    return by_code


@cache
def _newer() -> dict[str, str]:
    text = (files("gateway.dicom") / "data" / "code-meanings.csv").read_text(encoding="ascii")
    return {older: code for _scheme, code, older, _ in csv.reader(text.splitlines()) if older}


def current(scheme: str, code: str) -> tuple[str, str]:
    """Scheme and code under which the standard lists a concept: SNOMED CT for the codes of SNOMED-RT."""
    if scheme in _SNOMED_RT and code in _newer():
        return "SCT", _newer()[code]
    return scheme, code


def meaning_of(scheme: str, code: str) -> str | None:
    """The Code Meaning of ``code`` in English, at most 64 ASCII characters; None if it is not known.

    Parameters
    ----------
    scheme
        Coding Scheme Designator (0008,0102)
    code
        Code Value (0008,0100), Long Code Value (0008,0119) or URN Code Value (0008,0120)
    """
    return _meanings().get((scheme, code)) or spoken(scheme, code)


def meanings() -> Iterable[str]:
    """Every Code Meaning that is known, some of them more than once."""
    return _meanings().values()
