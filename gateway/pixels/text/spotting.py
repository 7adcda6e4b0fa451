"""Words that are known, looked for where nothing can be read: how likely is it that a place says one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.text.identifying_text import confusable

__all__ = ["WordSpotter"]

#: Shortest and longest word that is looked for: a shorter one is in every noise; of a longer one the beginning tells.
_SHORTEST: Final = 4
_LONGEST: Final = 12
#: What a word may fall behind the likeliest reading, in natural logarithms: so much for each of its characters, less
#: the first ones, which noise has by chance; and at most so much, which noise of strokes has.
_EACH: Final = 1.5
_CHANCE: Final = 3.7
_AT_MOST: Final = 6.0
#: Least probability that counts.
_LEAST: Final = 1e-7
_NEVER: Final = -1e9
#: The class that is no character.
_BLANK: Final = 0


class WordSpotter:
    """Looks for words in what a reader saw: the likeliest path of connectionist temporal classification that writes the
    word anywhere in the line, against the likeliest path of all (keyword spotting by Viterbi alignment).

    Parameters
    ----------
    signs
        the classes of the reader, blank first
    words
        capital letters and digits; those that the reader cannot write, and the shortest, are left out
    """

    def __init__(self, signs: Sequence[str], words: Iterable[str]) -> None:
        alike: dict[str, list[int]] = {}
        for number, sign in enumerate(signs):
            if len(sign) == 1 and sign.isascii() and sign.isalnum():
                alike.setdefault(confusable(sign.upper()), []).append(number)
        groups = {sign: number for number, sign in enumerate(alike)}
        self._classes = [np.array(numbers) for numbers in alike.values()]
        spelt = {confusable(word)[:_LONGEST] for word in words if len(word) >= _SHORTEST}
        known = sorted(word for word in spelt if all(sign in groups for sign in word))
        lengths = np.array([len(word) for word in known], dtype=np.intp)
        #: Of all words, one after the other: each character's group, the first and the last ones, and those like the
        #: one before, between which there must be a blank.
        self._signs = np.array([groups[sign] for word in known for sign in word], dtype=np.intp)
        self._last = lengths.cumsum() - 1
        self._first = self._last - lengths + 1
        self._twice = np.array(
            [place > 0 and word[place - 1] == sign for word in known for place, sign in enumerate(word)], dtype=np.bool_
        )
        self._allowed = -np.minimum(_EACH * (lengths - _CHANCE), _AT_MOST)

    def __bool__(self) -> bool:
        """Whether there is a word to look for."""
        return len(self._last) > 0

    def spots(self, steps: NDArray[np.float32]) -> bool:
        """Whether one of the words is likely in ``steps``, of shape (steps, classes): probabilities."""
        return bool(self) and bool((self.behind(steps) >= self._allowed).any())

    def behind(self, steps: NDArray[np.float32]) -> NDArray[np.float64]:
        """How far each word falls behind the likeliest reading: logarithms of 0 and less, of shape (words,)."""
        best = np.log(np.maximum(steps.max(axis=1), _LEAST))
        written = np.stack([steps[:, numbers].max(axis=1) for numbers in self._classes], axis=1)
        written = np.log(np.maximum(written, _LEAST))[:, self._signs] - best[:, None]
        blank = np.log(np.maximum(steps[:, _BLANK], _LEAST)) - best
        # The best path that ends, at this step, in each character and in the blank after it; a word begins anywhere.
        at = np.full(len(self._signs), _NEVER)
        after = at.copy()
        furthest = np.full(len(self._last), _NEVER)
        for step, beside in zip(written, blank, strict=True):
            from_sign, from_blank = np.roll(at, 1), np.roll(after, 1)
            from_sign[self._twice] = _NEVER
            from_sign[self._first] = 0
            from_blank[self._first] = 0
            reached = np.maximum(np.maximum(at, from_sign), from_blank) + step
            after = np.maximum(at, after) + beside
            at = reached
            furthest = np.maximum(furthest, at[self._last])
        return furthest
