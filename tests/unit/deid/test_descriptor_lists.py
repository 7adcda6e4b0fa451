"""What Clean Descriptors leaves of the lists of tests/descriptors."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile import Program
from tests.descriptors.measure import FOLDER, Recall, identities_left, recall, rows
from tests.unit.deid.cleaning import program

LEAST = 0.9


@pytest.fixture(scope="module")
def using(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program(tmp_path_factory.mktemp("profiles"), "clean-descriptors")


def test_harmless_words_stay_in_every_language_and_no_line_turns(using: Program) -> None:
    found = recall(using, rows(FOLDER / "harmless.tsv"))
    short = {name: one.lost for name, one in found.items() if one.kept < LEAST * one.words}
    assert not short
    assert [one.turned for one in found.values() if one.turned] == []


def test_no_identity_stays(using: Program) -> None:
    assert identities_left(using, rows(FOLDER / "identity.tsv")) == []


def test_a_lost_negation_turns_a_line_and_a_lost_word_is_counted(using: Program, tmp_path: Path) -> None:
    listed = tmp_path / "list.tsv"
    listed.write_text("language\tattribute\ttext\nen\tx\tCT SIN XARBINOTZA\nen\tx\tCT HEAD\n", encoding="utf-8")
    (one,) = recall(using, rows(listed)).values()
    assert one == Recall(
        lines=2, words=5, kept=3, whole=1, emptied=0, lost=one.lost, turned=[("CT SIN XARBINOTZA", "CT")]
    )


def test_a_fifth_is_the_same_for_a_seed() -> None:
    path = FOLDER / "harmless.tsv"
    some = rows(path, fifth=7)
    assert len(some) == len(rows(path)) // 5
    assert some == rows(path, fifth=7) != rows(path, fifth=8)
