"""The curated facts of the verify room agree with the standard and with their generators."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.dicom.dictionary import vr_of
from gateway.dicom.identifying import KINDS, Kind
from gateway.profile import table
from gateway.verify import harmless_words
from gateway.verify.text_normalisation import squash, squash_bytes

ROOT = Path(__file__).resolve().parents[3]
#: Kind -> the VRs that can hold it.
VRS = {
    Kind.NAME: {b"PN", b"LO", b"LT", b"UT"},
    Kind.DATE: {b"DA", b"DT"},
    Kind.BIRTH_DATE: {b"DA", b"LO"},
    Kind.UID: {b"UI"},
    Kind.PERSON_CODE: {b"SQ"},
    Kind.INSTITUTION_CODE: {b"SQ"},
}


@pytest.mark.parametrize("script", ["generate-identifying", "generate-vocabulary"])
def test_data_files_are_up_to_date(script: str) -> None:
    finished = subprocess.run([sys.executable, str(ROOT / "scripts" / script), "--check"], check=False)
    assert finished.returncode == 0


def test_every_row_of_the_table_has_a_kind() -> None:
    assert not [row.keyword for row in table.rows() if not row.is_pattern and row.value not in KINDS]


@pytest.mark.parametrize("kind", VRS)
def test_kinds_fit_the_value_representation(kind: Kind) -> None:
    assert {vr_of(tag) for tag, one in KINDS.items() if one is kind} <= VRS[kind]


@pytest.mark.parametrize(
    ("vr", "kinds"),
    [
        (b"PN", {Kind.NAME, Kind.NONE}),  # every person, but not the constants of hanging protocols
        (b"UI", {Kind.UID, Kind.NONE}),  # every instance, but not classes
        (b"DA", {Kind.DATE, Kind.BIRTH_DATE, Kind.NONE}),
    ],
)
def test_value_representations_fit_the_kind(vr: bytes, kinds: set[Kind]) -> None:
    assert {kind for tag, kind in KINDS.items() if vr_of(tag) == vr} == kinds


def test_words_are_squashed() -> None:
    assert all(squash(word) == word for word in harmless_words.vocabulary())
    for name, found in harmless_words._classes().items():
        assert name == "scheme" or all(squash(word) == word for word in found), name


@pytest.mark.parametrize(
    ("text", "squashed"),
    [
        ("  GARCÍA-Lopez^José ", "garcia lopez jose"),  # case, accents, punctuation
        ("Straße Øst Łódź Æ İzmir", "strasse ost lodz ae izmir"),  # letters that do not decompose
        ("ＹＡＭＡＤＡ", "yamada"),  # full-width letters
        ("山田^太郎", "山田 太郎"),  # other scripts stay
        ("a\\b\0c\r\nd", "a b c d"),  # delimiters and padding
        ("", ""),
    ],
)
def test_squash(text: str, squashed: str) -> None:
    assert squash(text) == squashed
    if text.isascii():
        assert squash_bytes(text.encode()) == squashed


def test_the_engines_dummies_are_placeholders() -> None:
    """An original that was de-identified by the gateway before may hold its dummies; they must not hold it."""
    dummies = yaml.safe_load((ROOT / "gateway" / "deid" / "data" / "dummies.yaml").read_text(encoding="utf-8"))
    for vr, text in dummies["vr"].items():
        squashed = squash(text)
        assert (
            vr in ("AS", "AT", "UR")
            or harmless_words.is_placeholder(squashed)
            or harmless_words.is_placeholder_date(squashed[:8])
        ), vr
