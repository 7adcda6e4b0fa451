"""Which readings identify a patient."""

from __future__ import annotations

import pytest

from gateway.pixels.text.identifying_text import IdentifyingWords

WORDS = IdentifyingWords(["Müller^Jörg", "MRN-4711", "19610213", "ST MARY INFIRMARY", "LI", "ANA"])


@pytest.mark.parametrize(
    "text",
    [
        # As it is in the header, in other spelling and order.
        "MULLER JORG",
        "Jörg MÜLLER",
        "Muller,Jorg  M 062Y",
        # Misread characters.
        "MU1LER",
        "MULIER",
        "INFIRNARY",
        "MRN4711",
        "MRN-47I1",
        # Words that ran together.
        "STMARYINFIRMARY",
        "xxMULLERxx",
        # A short word must be read exactly.
        "ANA 12",
        # Dates in the usual orders.
        "12/03/57",
        "1957-03-12",
        "12.03.1957",
        "20240131",
        "07 Sep 1949",
        "Sep 07, 1949",
        "3ENE2020",
        # Numbers of patients and examinations.
        "4471239",
        "PX-88213",
        "12AB345",
        # Names as PN values and devices write them; labels and titles.
        "DOE^JOHN",
        "Doe, John",
        "Patient",
        "DR. WHO",
    ],
)
def test_identifies(text: str) -> None:
    assert text in WORDS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "L",
        "PA ERECT",
        "TORAX PA",
        "KV 80",
        "KV 80 MAS 12",
        "5.2 cm",
        "MI 0.8",
        "14:22",
        "120 mm/s",
        # Too unlike, or too short to forgive an error.
        "MILLET",
        "ENA",
        "LI",
    ],
)
def test_does_not_identify(text: str) -> None:
    assert text not in WORDS


def test_words_of_the_header_apart_from_forms() -> None:
    assert WORDS.named_in("MULLER")
    assert not WORDS.named_in("12/03/1957")
    assert not WORDS.named_in("")


def test_what_is_no_text_does_not_identify() -> None:
    assert 4711 not in WORDS
