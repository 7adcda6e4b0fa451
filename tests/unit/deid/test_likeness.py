"""Words that no list has: terms by their stem, their parts and the model, never names."""

from __future__ import annotations

import pytest

from gateway.deid.likeness import stem
from gateway.deid.words import words_of


@pytest.mark.parametrize(
    "same",
    [
        # one term in several languages, numbers and genders
        ("mamografia", "mammographie", "mammografia", "mamografias"),
        ("colecistitis", "cholecystitis", "cholécystite".replace("é", "e")),
        ("toracico", "thoracique", "thoracic", "toracici"),
        ("infiltracion", "infiltration", "infiltracao", "infiltrazione"),
    ],
)
def test_languages_share_a_stem(same: tuple[str, ...]) -> None:
    assert len({stem(word) for word in same}) == 1


@pytest.mark.parametrize(
    "word",
    ["toracoabdominales", "nierenbeckentumoren", "fersenbeinfraktur", "colecistectomizadas", "scheenbeenbreuken"],
)
def test_words_made_of_terms_are_like_terms(word: str) -> None:
    words = words_of(frozenset())
    assert word not in words.safe
    assert words.likeness.is_term(word)


@pytest.mark.parametrize(
    "word",
    # names, also such as have the beginning or the end of a term, and what is too short or no word
    [
        "garcia",
        "hollingsworth",
        "pfaffenberger",
        "quintanilla",
        "cavalcante",
        "carpentier",
        "esposito",
        "costa",
        "x1",
        "",
    ],
)
def test_names_are_not_like_terms(word: str) -> None:
    assert not words_of(frozenset()).likeness.is_term(word)


def test_the_model_alone_does_not_decide() -> None:
    likeness = words_of(frozenset()).likeness
    # made of the letters of terms, but of no term
    assert likeness.score("ografitis") > 60
    assert not likeness.is_term("zyxografixt")
