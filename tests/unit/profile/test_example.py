"""gateway.profile.example: the tests that a profile brings along."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import load_profile
from tests.unit.profile.writing import BASE, load, write

TESTS = """\
tests:
  - name: one
    given:
      PatientName: GARCIA^MARIA
      PatientWeight: 81.5
      ImageType: [ORIGINAL, PRIMARY]
      source: ward
      "(0019,xx10) ACME": "x"
      RequestAttributesSequence:
        - StudyDate: "20240101"
          PatientComments: GARCIA
        - {}
    expect:
      PatientName: "{patient}"
      PatientWeight: ""
      PatientComments: null
      ImageType: [ORIGINAL, PRIMARY]
      RequestAttributesSequence/StudyDate: "20230101"
    never: [GARCIA]
  - given: {Modality: SR}
    outcome: rejected
"""


def test_reading(tmp_path: Path) -> None:
    first, second = load(tmp_path, BASE + TESTS).tests
    assert first.name == "one"
    assert first.given == {
        "PatientName": "GARCIA^MARIA",
        "PatientWeight": "81.5",
        "ImageType": ("ORIGINAL", "PRIMARY"),
        "(0019,xx10) ACME": "x",
        "RequestAttributesSequence": ({"StudyDate": "20240101", "PatientComments": "GARCIA"}, {}),
    }
    assert first.sender == {"source": "ward"}
    assert first.expect == {
        "PatientName": "{patient}",
        "PatientWeight": "",
        "PatientComments": None,
        "ImageType": ("ORIGINAL", "PRIMARY"),
        "RequestAttributesSequence/StudyDate": "20230101",
    }
    assert (first.never, first.outcome, first.origin.line) == (("GARCIA",), "accepted", 4)
    assert (second.name, second.outcome) == ("test 2", "rejected")


def test_only_the_profiles_own_count(tmp_path: Path) -> None:
    write(tmp_path, "profile: one\n" + TESTS, "one")
    assert load(tmp_path, "profile: mine\nuse: [basic, one]\n").tests == ()
    # They say nothing about the output.
    assert load(tmp_path, BASE + TESTS).digest == load(tmp_path, BASE).digest


@pytest.mark.parametrize(
    ("test", "place", "words"),
    [
        ("{given: {Rows: 1}}", "4:5", "the test expects nothing"),
        ("{given: {Rows: 1}, expect: {Rows: 1}, outcome: held}", "4:32", "an instance that is held has no output"),
        ("{given: {Rows: 1}, never: [A], outcome: rejected}", "4:31", "that is rejected has no output"),
        ("{given: {Rws: 1}, never: [A]}", "4:19", 'did you mean "Rows"'),
        ("{given: {private: 1}, never: [A]}", "4:23", '"private" is not one element'),
        ("{given: {'(60xx,3000)': 1}, never: [A]}", "4:29", "is not one element"),
        ("{given: {'**/Rows': 1}, never: [A]}", "4:25", "is not one element"),
        ("{given: {'(0019,xxxx) ACME': 1}, never: [A]}", "4:34", "is not one element"),
        ("{given: {Rows: true}, never: [A]}", "4:20", "is a text, a number, or a list of them"),
        ("{given: {Rows: {a: b}}, never: [A]}", "4:20", "is a text, a number, or a list of them"),
        ("{given: {RequestAttributesSequence: [{Rws: 1}]}, never: [A]}", "4:48", 'did you mean "Rows"'),
        ("{given: {source: 1}, never: [A]}", "4:22", "source is a text"),
        ("{expect: {Rws: 1}}", "4:20", 'did you mean "Rows"'),
        ("{expect: {Rows: [[1]]}}", "4:22", "is a text, a number, or a list of them"),
        ("{expects: {Rows: 1}}", "4:6", 'did you mean "expect"'),
        ("{never: [A], outcome: hold}", "4:27", '"hold" is not allowed; did you mean "held"'),
    ],
)
def test_errors(tmp_path: Path, test: str, place: str, words: str) -> None:
    path = write(tmp_path, BASE + f"tests:\n  - {test}\n")
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert words in str(caught.value)
    assert caught.value.facts["place"] == f"{path}:{place}"
