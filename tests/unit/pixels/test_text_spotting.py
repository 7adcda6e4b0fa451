"""Words of the header in what a reader saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.pixels.text.spotting import WordSpotter

#: The classes of a small reader; the first is no character.
SIGNS: Final = ("", *"ABCDEFGHIKLMNOPRSTUVZabeklnr0123456789-", " ")
WORDS: Final = ("KENJI", "TANAKA", "19880214", "ANNA")
SPOTTER: Final = WordSpotter(SIGNS, WORDS[1:])


def steps(*likely: str, chance: float = 0.9) -> NDArray[np.float32]:
    """What a reader saw: at each step the characters of which one is there, the first the likeliest; "" is none."""
    seen = np.full((len(likely), len(SIGNS)), 0.001, dtype=np.float32)
    for row, characters in zip(seen, likely, strict=True):
        for place, sign in enumerate(characters or [""]):
            row[SIGNS.index(sign)] = chance / 2**place
    shares: NDArray[np.float32] = seen / seen.sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize(
    ("likely", "spotted"),
    [
        # As it is written, with blanks, a character that lasts, and others around it.
        (["T", "A", "N", "A", "K", "A"], True),
        (["R", "", "T", "A", "A", "", "N", "A", "K", "", "A", "L"], True),
        # In small letters, and with a sign that is confused with another one.
        (["T", "a", "n", "a", "k", "a"], True),
        (["1", "9", "B", "", "8", "O", "2", "I", "4"], True),
        # The reading says something else, the word is the second guess.
        (["TF", "AH", "NM", "RA", "KE", "A"], True),
        # A blank was likelier than one character.
        (["T", "A", "N", "A", "K", "", "L"], False),
        (["T", "A", ["", "N"], "A", "K", "A"], True),
        # The same character twice needs a blank in between.
        (["A", "N", "", "N", "A"], True),
        (["A", "N", "N", "A"], False),
        # Another word, and nothing.
        (["R", "U", "L", "E", "R", "S"], False),
        ([""] * 12, False),
        (["A"], False),
    ],
)
def test_words(likely: Sequence[str], *, spotted: bool) -> None:
    assert SPOTTER.spots(steps(*likely)) is spotted


def test_how_far_a_word_falls_behind() -> None:
    # In the order of the words with one sign for all that are confused.
    date, name, other = SPOTTER.behind(steps(*"TANAKA"))
    assert name == 0
    assert date < -20
    assert other < -5


def test_long_word_may_be_less_clear_than_a_short_one() -> None:
    # Of every second character another one is a little likelier.
    assert SPOTTER.spots(steps("1", "F9", "8", "", "F8", "0", "F2", "1", "F4"))
    assert not SPOTTER.spots(steps("A", "FN", "", "N", "FA", chance=0.9))


@pytest.mark.parametrize(
    "words",
    [
        [],
        # Shorter than four characters.
        ["ANA", "LI"],
        # Signs that the reader does not know.
        ["ЖУКОВ"],
    ],
)
def test_nothing_to_look_for(words: list[str]) -> None:
    spotter = WordSpotter(SIGNS, words)
    assert not spotter
    assert not spotter.spots(steps("A", "N", "A"))


def test_of_a_long_word_the_beginning_is_enough() -> None:
    spotter = WordSpotter(SIGNS, ["KRANKENHAUSABTEILUNG"])
    assert spotter.spots(steps(*"KRANKENHAUSA"))
    assert not spotter.spots(steps(*"ABTEILUNG"))
