"""Whether a word that no list has is like a term: an ending, a spelling or a compound of terms that are known.

``toracoabdominales``, ``cholezystektomie`` and ``Fersenbeinfraktur`` are in no list. They are terms because what they
are made of is known in one of the languages: the word without its ending and in the spelling that the languages of
Europe share, its beginning, its end, or its parts. That is not enough, for names are made of the same letters: a model
of three-letter sequences has to find the word more like a term than like a name, and names that pass both are listed.
No voice decides alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

__all__ = ["Likeness", "grams", "stem"]

#: Spellings of the same sound, in the order in which they are replaced.
_SPELT: Final = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        ("ph", "f"),
        ("sch", "sc"),
        ("qu|ck|ch|k", "c"),
        ("[ao]e", "e"),
        ("h", ""),
        ("[yj]", "i"),
        ("x", "s"),
        ("z|t(?=io)", "c"),
        ("[pc](?=t)", ""),
        (r"(\w)\1", r"\1"),
    )
)
_ENDINGS: Final = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        # -cion, -tion, -zione, -cao, -cio; the same with s
        (r"([cs])(?:ion(?:[ei]|en|er)?|iones?|ao|oe|io)$", r"\1io"),
        # -idad, -idade, -itat, -ita, -ite, -ity, -iteit
        (r"i[dt](?:ad|ade|at|en|i|ie|eit)$", "it"),
        # -al, -ale, -aux; -oso, -eux, -ous; -ico, -ique, -isch
        (r"au$", "al"),
        (r"(?:eus|eu|ou|euse)$", "os"),
        (r"isc(?:e[nrm]?)?$", "ic"),
        # -grafia, -graphie, -graphy
        (r"(?:i[aeo]?[nm]?|[aeou]{1,2}[nm]?|ern?|en|er|n)$", ""),
    )
)
_SHORTEST: Final = 5
_SHORTEST_STEM: Final = 4
#: Letters at the beginning and at the end of a stem that are a voice for it.
_BEGINNING, _END = 6, 5
#: An ending counts that so many terms have.
_FEWEST_WITH_END: Final = 5
#: Parts of compounds, and the letters that may join them in German, Dutch and learned words.
_SHORTEST_PART: Final = 4
_LONGEST_COMPOUND: Final = 40
_JOINTS: Final = ("", "s", "n", "en", "o", "i", "e", "es")
#: How much the model has to agree with each voice: hundredths of a logarithm, a sequence on average. With these, of the
#: names of Spain and the United States 0.9 % would pass if they were not listed, and of terms that are left out half.
_STEM, _SHORT_STEM, _COMPOUND, _BEGINS, _ENDS = -60, 20, -60, 20, 40


def grams(word: str) -> Iterator[str]:
    """Sequences of three letters, the ends of the word marked."""
    marked = f"^{word}$"
    return (marked[at : at + 3] for at in range(len(marked) - 2))


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """A folded word as all languages would spell it, without its ending."""
    for pattern, plain in _SPELT:
        word = pattern.sub(plain, word)
    if len(word) > _SHORTEST_STEM:
        word = word.removesuffix("s")
    for pattern, plain in _ENDINGS:
        shorter = pattern.sub(plain, word, count=1)
        if shorter != word:
            return shorter if len(shorter) >= _SHORTEST_STEM else word
    return word


class Likeness:
    """What is like a term.

    Parameters
    ----------
    stems
        stems of the terms of five letters and more
    parts
        folded terms of four letters and more, which may be parts of compounds
    scores
        sequence of three letters -> hundredths of the logarithm of how much more often it stands in terms than in
        names
    names
        folded names that would pass for terms
    """

    def __init__(
        self,
        stems: frozenset[str],
        parts: frozenset[str],
        scores: Mapping[str, int],
        names: frozenset[str] = frozenset(),
    ) -> None:
        self._scores = scores
        self._names = names
        self._stems = stems
        self._parts = parts
        self._beginnings = frozenset(one[:_BEGINNING] for one in stems if len(one) >= _BEGINNING)
        ends = Counter(one[-_END:] for one in stems if len(one) > _BEGINNING)
        self._ends = frozenset(end for end, number in ends.items() if number >= _FEWEST_WITH_END)

    def score(self, word: str) -> float:
        """How much more like a term than like a name, in hundredths of a logarithm for a sequence on average."""
        return sum(self._scores.get(gram, 0) for gram in grams(word)) / len(word)

    def is_term(self, word: str) -> bool:
        """Whether a folded word is like a term."""
        if len(word) < _SHORTEST or not (word.isascii() and word.isalpha()) or word in self._names:
            return False
        score, shortened = self.score(word), stem(word)
        length = len(shortened)
        if shortened in self._stems and length >= _SHORTEST:
            return score >= (_SHORT_STEM if length == _SHORTEST else _STEM)
        if score >= _BEGINS and shortened[:_BEGINNING] in self._beginnings:
            return True
        if score >= _ENDS and length > _BEGINNING and shortened[-_END:] in self._ends:
            return True
        return score >= _COMPOUND and self._is_compound(word)

    def _is_compound(self, word: str) -> bool:
        """Whether it is made of terms, the last of which may have an ending."""
        if not 2 * _SHORTEST_PART <= len(word) <= _LONGEST_COMPOUND:
            return False
        begun = [0]
        for end in range(_SHORTEST_PART, len(word)):
            if any(self._is_part(word[begin:end]) for begin in begun if end - begin >= _SHORTEST_PART):
                begun.append(end)
        return any(begin and self._is_end(word[begin:]) for begin in begun)

    def _is_part(self, part: str) -> bool:
        """A term, or a term with a joint, or the beginning of a learned compound such as ``toraco``."""
        if part in self._parts:
            return True
        for joint in _JOINTS[1:]:
            if part.endswith(joint) and part[: -len(joint)] in self._parts:
                return True
        return len(part) > _SHORTEST_PART and part[-1] in "oi" and stem(part) in self._stems

    def _is_end(self, part: str) -> bool:
        return part in self._parts or (len(part) > _SHORTEST and stem(part) in self._stems)
