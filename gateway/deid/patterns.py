"""Forms that identify whatever words they are made of: dates, times, telephone numbers, addresses on the network.

Every number of four digits and more that is no measurement goes anyway, and so does every word of letters and digits
that is no term (``gateway.deid.clean``); here is what is made of shorter parts. Identity documents (DNI, NIE and the
like) need no form of their own for that reason, whether their check letter is right or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["spans"]

_MONTH: Final = (
    r"(?:ene(?:ro)?|jan(?:uary|uar|vier)?|feb(?:rero|ruary|ruar)?|fev(?:rier)?|mar(?:zo|ch|s)?|m[aä]rz|apr(?:il)?|abr(?:il)?|"
    r"avril|may(?:o)?|mai(?:g)?|jun(?:io|e|i|y)?|juin|jul(?:io|y|i|iol)?|juillet|ago(?:sto|st)?|aug(?:ust)?|ao[uû]t|"
    r"sep(?:t(?:iembre|ember|embre)?)?|set(?:iembre|embre)?|o[ck]t(?:ubre|ober|obre)?|nov(?:iembre|ember|embre)?|"
    r"di[cz](?:iembre|embre)?|dez(?:ember)?|dec(?:ember|embre)?|d[eé]cembre|gen(?:er)?)"
)
_YEAR: Final = r"(?:1[89]|20)\d\d"

_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # addresses on the network: URLs, electronic mail, hosts
        r"\b[a-z][a-z0-9+.-]{0,20}://\S+",
        r"\bwww\.\S+",
        r"[\w.+%-]{1,64}@[\w-]+(?:\.[\w-]+)*",
        r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
        # UIDs
        r"\b[0-2](?:\.\d+){3,}",
        # dates: 2019-03-12, 12/03/2019, 12.3.19, 03/2019, 12/03, 12-MAR-19, 3 de marzo de 2019, March 3rd, 2019
        rf"(?<!\d){_YEAR}\s?[-/.\s_]\s?[01]?\d\s?[-/.\s_]\s?[0-3]?\d(?!\d)",
        r"(?<![\d.,])[0-3]?\d\s?([-/._])\s?[01]?\d\s?\1\s?(?:\d\d){1,2}(?!\d)",
        r"(?<![\d.,])[01]?\d\s?([-/._])\s?[0-3]?\d\s?\1\s?(?:\d\d){1,2}(?!\d)",
        rf"(?<!\d)[01]?\d\s?[-/]\s?{_YEAR}(?!\d)",
        r"(?<![\d/])[0-3]\d/[01]\d(?![\d/])",
        rf"\b[0-3]?\d(?:st|nd|rd|th|[ºª])?[\s._/-]*(?:de\s+|of\s+)?{_MONTH}\b\.?(?:[\s._,/-]*(?:del?\s+)?(?:{_YEAR}|\d\d)\b)?",
        rf"\b{_MONTH}\b\.?[\s._/-]*[0-3]?\d(?:st|nd|rd|th)?\b(?:[\s._,/-]*{_YEAR}\b)?",
        rf"\b{_MONTH}\b\.?[\s._,/'-]*(?:del?\s+)?(?:{_YEAR}|'?\d\d)\b",
        # times: 12:30, 12:30:15, 9.30 h, 14h30, 3 pm
        r"(?<!\d)[0-2]?\d:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s?[ap]\.?m\b\.?)?",
        r"(?<![\d.,])[0-2]?\d[.h][0-5]\d\s?(?:h|hrs|hs|horas)\b",
        r"(?<!\d)[0-2]?\dh[0-5]\d(?!\d)",
        r"(?<![\d.,])[0-1]?\d\s?[ap]\.?m\b\.?(?=\s|$|[,;)])",
        # telephone numbers and the like: seven digits and more in short groups
        r"(?:\+\s?|\b00)\d[\d\s().-]{6,}\d",
        r"(?<![\d.,])(?:\(\d{2,4}\)\s?)?\d{2,4}(?:[\s-]\d{2,4}){2,}(?![\d.,]|\s?(?:mm|cm|ms)\b)",
        r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?:\s?-?\s?[a-z]\b)?",
        # streets: C/ Mayor 3, but not "c/contraste"
        r"\bC/\s*(?!c\b|con\b|contr|civ|gad|s\b)[^\W\d_][^\d\n;]{2,40}\d+\w?",
    )
)
#: Without any of these no pattern matches.
_POSSIBLE: Final = re.compile(r"\d|@|://|www\.", re.IGNORECASE)
#: Groups of digits that together are too few for a telephone number.
_FEWEST_DIGITS: Final = 7
_GROUPS: Final = re.compile(r"[\d\s()-]+")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in ``text`` such forms stand, as (start, end); they may overlap."""
    if not _POSSIBLE.search(text):
        return
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            found = match.group()
            if _GROUPS.fullmatch(found) and sum(letter.isdecimal() for letter in found) < _FEWEST_DIGITS:
                continue
            yield match.span()
