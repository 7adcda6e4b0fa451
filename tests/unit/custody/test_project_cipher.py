"""What was sealed before is opened, and found by the same tokens, by every later version."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.custody.crosswalk_key import CrosswalkKey, CrosswalkKind
from gateway.custody.project_cipher import ProjectCipher
from gateway.custody.vocabulary_key import VocabularyKey
from gateway.errors import CrosswalkUnreadable
from gateway.ledger.crosswalk_row import CrosswalkRow
from gateway.ledger.site_words import SiteWord, WordState

SECRET = b"s" * 32
#: Made by the version before there was one cipher for all.
ROW = CrosswalkRow(
    project="chest", kind="patient", entry="c729be1c1e84a81ae3d06be8cdb38bdd",
    original="269d715f1b11ad9a9b4c02b60e58f356",
    replacement="1415ed05925b8ea5a1c5a3fb1fbb5515", key_id="3f0cac5448ace7e3d73c6579f9c9fc46",
    sealed=bytes.fromhex(
        "df91fe738edab2b4040b946a56d129407dd1fcc79d5a71cde9e4ccbf621896f6c7350bce0e995dbbdf12a44b294b4026522d05d13de5"
        "a7c8ad6479802a6df5e86fd593d456b488af658a63d3607468e84da7f58c9752e5d57770"
    ),
)  # fmt: skip
WORD = "4ea5d2b313b2ac7b72bc3d187d6ee8db"
SEALED_WORD = bytes.fromhex("cc1c87544b9c9f4e882d170d8499fd969214ee27cb9d54437e56efa4a88b3d587ad2c464e5")


def test_a_row_of_an_earlier_version_is_opened() -> None:
    key = CrosswalkKey(SECRET, "chest")
    assert (key.id, key.original_token("HC-4711")) == (ROW.key_id, ROW.original)
    found = key.open(ROW)
    assert (found.kind, found.original, found.replacement) == (
        CrosswalkKind.PATIENT,
        {"PatientID": "HC-4711"},
        "SUBJECT-1",
    )


def test_a_word_of_an_earlier_version_is_opened() -> None:
    word = SiteWord(
        token=WORD, sealed=SEALED_WORD, text=None, state=WordState.PROPOSED, patients=3, proposed_at=datetime.now(UTC)
    )  # fmt: skip
    key = VocabularyKey(SECRET, "chest")
    assert key.token("flurbomat") == WORD
    assert key.sighting("flurbomat", "SUBJECT-1", least=3).patient == "ffd282e28d8575f0b1675db51108b124"
    assert key.open(word) == "flurbomat"
    # Another project's key, and another secret's, do not.
    assert VocabularyKey(SECRET, "head").open(word) is None
    assert VocabularyKey(b"t" * 32, "chest").open(word) is None


@pytest.mark.parametrize("spoilt", [b"", ROW.sealed[:5], ROW.sealed[:-1], ROW.sealed[:-1] + b"\0"])
def test_what_was_changed_is_not_opened(spoilt: bytes) -> None:
    row = CrosswalkRow(**{name: getattr(ROW, name) for name in ROW.__slots__} | {"sealed": spoilt})
    with pytest.raises(CrosswalkUnreadable):
        CrosswalkKey(SECRET, "chest").open(row)


def test_purposes_projects_and_secrets_have_keys_of_their_own() -> None:
    made = [
        (b"one\0", SECRET, "chest"),
        (b"two\0", SECRET, "chest"),
        (b"one\0", SECRET, "head"),
        (b"one\0", b"t" * 32, "chest"),
    ]
    assert len({ProjectCipher(*one).token(b"x") for one in made}) == len(made)
    cipher = ProjectCipher(*made[0])
    assert cipher.seal(b"x", b"") != cipher.seal(b"x", b"")
    assert cipher.open(cipher.seal(b"x", b"here"), b"here") == b"x"
    assert "t" * 8 not in repr(cipher)
