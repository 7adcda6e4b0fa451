"""gateway.profile.setting: identity, dates and vocabulary; accept rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import Identity, check_profile, load_profile
from tests.unit.profile.writing import BASE, load, write

SHIFTED = "profile: mine\nuse: [basic, retain-longitudinal-modified-dates]\n"


def test_identity_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("patient_id,pseudonym\n123,S1\n", encoding="utf-8")
    text = BASE + "identity: {patient: {pseudonym: lookup, table: subjects.csv}}\n"
    first = load(tmp_path, text)
    assert (first.identity.kind, first.identity.missing) == ("table", "hold")
    assert first.identity.table is not None
    assert first.identity.table.find("123") == "S1"
    (tmp_path / "subjects.csv").write_text("patient_id,pseudonym\n123,S2\n", encoding="utf-8")
    assert load(tmp_path, text).digest != first.digest
    keyed = "identity: {patient: {pseudonym: lookup, table: subjects.csv, missing: keyed, format: 'X{base32:10}'}}\n"
    assert load(tmp_path, BASE + keyed).identity.patient_format == "X{base32:10}"


def test_a_table_that_merges_patients_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "subjects.csv").write_text("patient_id,pseudonym\n1,S1\n2,S1\n", encoding="utf-8")
    path = write(tmp_path, BASE + "identity: {patient: {pseudonym: lookup, table: subjects.csv}}\n")
    (warning,) = check_profile(path).warnings
    assert "in subjects.csv several patients have the same pseudonym" in warning.text


def test_numbers_as_pseudonyms(tmp_path: Path) -> None:
    program = load(tmp_path, BASE + "identity: {patient: {pseudonym: sequential, format: 'SUBJ-{number:05}'}}\n")
    assert program.identity.numbered_pseudonym(42) == "SUBJ-00042"
    assert program.identity.numbered_pseudonym(1234567) == "SUBJ-1234567"
    with pytest.raises(ValueError, match="this profile numbers its patients"):
        program.identity.patient_pseudonym(bytes(32))
    with pytest.raises(ValueError, match="does not number its patients"):
        Identity().numbered_pseudonym(1)
    with pytest.raises(ValueError, match="more than 9 digits"):
        program.identity.numbered_pseudonym(10**9)


def test_the_last_layer_decides_on_identity(tmp_path: Path) -> None:
    write(tmp_path, "profile: one\nidentity: {patient: {pseudonym: sequential, format: 'A{number}'}}\n", "one")
    over = "profile: mine\nuse: [basic, one]\n"
    assert load(tmp_path, over).identity.kind == "sequential"
    # Without a format the one of numbers cannot be meant.
    assert load(tmp_path, over + "identity: {patient: {pseudonym: keyed}}\n").identity == Identity()


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        # identity
        (
            BASE + "identity: {patient: {pseudonym: lookup}}\n",
            "3:21",
            'needs the name of a table: "table: subjects.csv"',
        ),
        (BASE + "identity: {patient: {table: a.csv}}\n", "3:29", '"table" belongs to "pseudonym: lookup"'),
        (BASE + "identity: {patient: {missing: hold}}\n", "3:31", '"missing" belongs to "pseudonym: lookup"'),
        (BASE + "identity: {patient: {pseudonym: lookup, table: a.csv}}\n", "3:48", "a.csv cannot be read"),
        (
            BASE + "identity: {patient: {pseudonym: lookup, table: a.csv, format: 'X'}}\n",
            "3:63",
            'a format is for patients whom the table lacks: "missing: keyed"',
        ),
        (BASE + "identity: {patient: {pseudonym: sequential}}\n", "3:21", "needs a format such as"),
        (BASE + "identity: {patient: {pseudonym: sequential, format: 'A'}}\n", "3:53", "one placeholder: {number}"),
        (BASE + "identity: {patient: {pseudonym: sequential, format: '{number:5}'}}\n", "3:53", "{number:0N}"),
        (BASE + "identity: {patient: {format: '{number:05}'}}\n", "3:30", "{number:05} is no placeholder"),
        # dates
        (BASE + "dates: modified\n", "3:8", "dates are one of removed, unmodified and {shift: per-patient"),
        (SHIFTED + "dates: {shift: per-patient}\n", "3:8", 'the key "days" is missing'),
        (SHIFTED + "dates: {days: 1..2}\n", "3:8", 'the key "shift" is missing'),
        (SHIFTED + "dates: {shift: per-study, days: 1..2}\n", "3:16", 'dates are shifted "per-patient"'),
        (SHIFTED + "dates: {shift: per-patient, day: 1..2}\n", "3:34", 'unknown key "day"; did you mean "days"'),
        (SHIFTED + "dates: {shift: per-patient, days: 30}\n", "3:35", "the days are a range such as -730..-1"),
        (SHIFTED + "dates: {shift: per-patient, days: -1..-730}\n", "3:35", "write -730..-1"),
        (SHIFTED + "dates: {shift: per-patient, days: 0..0}\n", "3:35", "leaves every date as it is"),
        (SHIFTED + "dates: {shift: per-patient, days: 1..99999}\n", "3:35", "at most 36525 days"),
        # vocabulary
        (BASE + "vocabulary: [words.txt]\n", "3:14", "the vocabulary words.txt cannot be read"),
        (BASE + "vocabulary: [latin.txt]\n", "3:14", "the vocabulary latin.txt is not UTF-8 text"),
        (BASE + "vocabulary: [long.txt]\n", "3:14", "long.txt, line 2: a word has at most 200 characters"),
        (BASE + "when-unsure: kepe\n", "3:14", '"kepe" is not allowed'),
        # accept
        (BASE + "accept:\n  - reject: Modality == 'SR'\n", "4:5", 'the key "because" is missing'),
        (BASE + "accept:\n  - because: x\n", "4:5", "say exactly one of accept, reject and hold"),
        (BASE + "accept:\n  - {accept: 'true', hold: 'true', because: x}\n", "4:5", "say exactly one"),
        (BASE + "accept:\n  - {hold: Modalty == 1, because: x}\n", "4:12", 'did you mean "Modality"'),
        (BASE + "accept:\n  - {hold: true, because: x}\n", "4:12", "should be a valid string"),
    ],
)
def test_errors(tmp_path: Path, text: str, place: str, words: str) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (tmp_path / "long.txt").write_text("word\n" + "x" * 201, encoding="utf-8")
    path = write(tmp_path, text)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert words in str(caught.value)
    assert caught.value.facts["place"] == f"{path}:{place}"


def test_few_shifts_are_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path, SHIFTED + "dates: {shift: per-patient, days: -5..5}\n")
    (warning,) = check_profile(path).warnings
    assert (warning.text[:34], warning.line) == ("there are only 10 possible shifts:", 3)


def test_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("# words\nMAMOGRAFIA  # remark\n\n tórax pa \n", encoding="utf-8")
    (tmp_path / "two.txt").write_text("WORD\n", encoding="utf-8")
    write(tmp_path, "profile: one\nvocabulary: [two.txt]\n", "one")
    program = load(tmp_path, "profile: mine\nuse: [basic, one]\nvocabulary: [one.txt]\nwhen-unsure: hold\n")
    assert program.vocabulary == {"MAMOGRAFIA", "tórax pa", "WORD"}
    assert program.when_unsure == "hold"
    assert load(tmp_path, "profile: mine\nuse: [basic, one]\nwhen-unsure: hold\n").digest != program.digest
    assert load(tmp_path, BASE).when_unsure == "remove"


def test_accept_rules_of_the_outermost_profile_come_first(tmp_path: Path) -> None:
    write(tmp_path, "profile: one\naccept:\n  - {reject: 'Rows > 1', because: a}\n", "one")
    program = load(
        tmp_path,
        "profile: mine\nuse: [basic, one]\naccept:\n  - {accept: 'Modality == \"CT\"', because: b}\n"
        "  - {hold: 'source == \"X\"', because: c}\n",
    )
    found = [(rule.decision, rule.because, rule.origin.layer, rule.origin.line) for rule in program.accept]
    assert found == [("accept", "b", "mine", 4), ("hold", "c", "mine", 5), ("reject", "a", "one", 3)]
    assert program.keywords == {"Modality", "source", "Rows"}
    assert program.conditions == ()
