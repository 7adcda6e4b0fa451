"""Identity that an original gives away of itself, looked for in texts that were cleaned.

A cleaned text may keep the words that say what was examined; the words of names, the numbers that identify and the
days that the original's other elements hold must be gone from it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from tests.scorer import content
from tests.scorer.case import Case
from tests.scorer.dates import day, is_date
from tests.scorer.reading import Leaf
from tests.scorer.violation import Kind, Violation

#: Patient ID, Other Patient IDs, Accession Number, Admission ID, Study ID, Requested Procedure ID, order numbers.
_NUMBERS: Final = frozenset({
    0x00100020, 0x00101000, 0x00080050, 0x00380010, 0x00200010, 0x00401001, 0x00402016, 0x00402017,
})  # fmt: skip
#: Study Date and Patient's Birth Date.
_DAYS: Final = frozenset({0x00080020, 0x00100030})
_TEXTS: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT", "CS"})
_SHORTEST: Final = 4
_ACCENTS: Final = re.compile("[\u0300-\u036f]")


def fold(text: str) -> str:
    """``text`` without case and accents."""
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))


def own_identities(case: Case) -> frozenset[str]:
    """Words of names, identifiers and days of the original that no option retains, folded."""
    found: set[str] = set()
    kept: set[str] = set()
    for leaf in case.original.leaves:
        ruling = case.ruling(leaf)
        into = kept if ruling is None or ruling.code == "K" else found
        if leaf.vr == "PN":
            into.update(word for word in re.split(r"[\W_\d]+", fold(leaf.text)) if len(word) >= _SHORTEST)
        elif leaf.tag in _NUMBERS:
            into.update(fold(one) for one in leaf.text.split("\\") if len(one) > _SHORTEST)
        elif leaf.tag in _DAYS and is_date(leaf.text):
            into.update(spellings(leaf.text))
    neutral = {fold(one) for one in case.neutral}
    return frozenset(found - kept - neutral)


def spellings(text: str) -> set[str]:
    """A day as texts write it."""
    date, _ = day(text)
    return {f"{date:{form}}" for form in ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d%m%Y")}


def says(text: str, identity: str) -> bool:
    """Whether a folded text holds a folded identity as a word of its own."""
    return re.search(rf"(?<!\w){re.escape(identity)}(?!\w)", text) is not None


def cleaned_texts(case: Case) -> Iterator[Leaf]:
    """The texts that an option lets stay once they are clean."""
    for leaf in case.leaves:
        ruling = case.ruling(leaf)
        if leaf.items is None and leaf.vr in _TEXTS and ruling is not None and ruling.code == "C":
            yield leaf
    yield from content.texts(case)


def judge(case: Case) -> Iterator[Violation]:
    """Cleaned texts that still give away what other elements of the original identify with."""
    texts = list(cleaned_texts(case))
    if not texts:
        return
    identities = own_identities(case)
    for leaf in texts:
        if case.is_judged(leaf) and any(says(fold(leaf.text), identity) for identity in identities):
            yield Violation(Kind.IDENTITY, leaf.place, "in a cleaned text")


def planted(identities: Iterable[str], content: bytes) -> Iterator[Violation]:
    """Planted identities that stand anywhere in a file's bytes."""
    lowered = content.lower()
    for number, identity in enumerate(identities):
        forms = {identity.lower().encode(encoding, "ignore") for encoding in ("utf-8", "latin-1", "utf-16-le")}
        if any(len(form) >= _SHORTEST and form in lowered for form in forms):
            yield Violation(Kind.IDENTITY, f"identity {number}")
