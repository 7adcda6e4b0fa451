"""What the cleaner leaves of descriptors: words, senses, identities."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.deid.clean import Cleaner
from gateway.deid.context import Context
from gateway.profile import Program

FOLDER: Final = Path(__file__).parent
_DESCRIPTION: Final = 0x00081030
#: PS3.5 6.2: more characters do not fit into LO.
_LONGEST: Final = 64
_WORD: Final = re.compile(r"[^\W_]+")
_NEGATIONS: Final = frozenset(
    ("sin", "no", "non", "not", "wo", "without", "sans", "pas", "ohne", "kein", "keine", "sense", "senza", "sem", "nao")
) | {"zonder", "geen", "sc"}


@dataclass(slots=True)
class Recall:
    """What stayed of the harmless descriptors of one language."""

    lines: int = 0
    words: int = 0
    kept: int = 0
    whole: int = 0
    emptied: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    turned: list[tuple[str, str]] = field(default_factory=list)


def folded(text: str) -> str:
    """Without case and accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)).casefold()


def rows(path: Path, *, fifth: int | None = None) -> list[list[str]]:
    """The rows of a list, tab-separated, without its head; only the fifth that a seed sets aside, if one is given."""
    found = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line][1:]
    if fifth is None:
        return found
    aside = set(random.Random(fifth).sample(range(len(found)), len(found) // 5))
    return [row for number, row in enumerate(found) if number in aside]


def cleaned(using: Program, text: str) -> str:
    """What stays of a descriptor of a patient whom it does not name."""
    vr = b"LO" if len(text) <= _LONGEST else b"LT"
    return Cleaner(using, Context()).text(_DESCRIPTION, vr, text) or ""


def recall(using: Program, harmless: Iterable[list[str]]) -> dict[str, Recall]:
    """Language -> what stayed. A line turned if a negation went and anything else stayed."""
    found: dict[str, Recall] = {}
    for language, _, text in harmless:
        one = found.setdefault(language, Recall())
        left = cleaned(using, text)
        before, after = _WORD.findall(folded(text)), Counter(_WORD.findall(folded(left)))
        lost = Counter(before) - after
        one.lines += 1
        one.words += len(before)
        one.kept += len(before) - lost.total()
        one.whole += not lost
        one.emptied += not left.strip()
        one.lost.update(lost)
        if left.strip() and _NEGATIONS & lost.keys():
            one.turned.append((text, left))
    return found


def identities_left(using: Program, identifying: Iterable[list[str]]) -> list[tuple[str, str, str]]:
    """(language, text, what stayed) of the lines in which a word of the identity stayed."""
    found = []
    for language, text, identity in identifying:
        left = cleaned(using, text)
        if any(_stays(folded(word), folded(text), folded(left)) for word in identity.split("|")):
            found.append((language, text, left))
    return found


def _stays(word: str, text: str, left: str) -> bool:
    """Whether a word stays, as often as the text has it: what stands in it besides may stay."""
    there = re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", left) or (len(word) > 4 and word in left)
    return bool(there) and left.count(word) > text.count(word) - 1
