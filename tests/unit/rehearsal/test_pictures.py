"""Tests of profiles with pictures: what pixel rules do, what is held for its kind, files, and what no test shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import check_profile, load_profile
from gateway.rehearsal.profile_tests import Trial, run_tests
from gateway.rehearsal.smallest_images import smallest
from tests.unit.profile.writing import write

RULES = """\
profile: mine
use: [basic]
accept:
  - hold: called_ae == "REVIEW"
    because: somebody asked for it
pixels:
  - mask: [[0, 0, -, 60]]
    when: Modality == "CR" && Rows == 768
    because: the banner
  - crop: {left: 8}
    when: Manufacturer == "ACME"
  - pass: true
    when: StationName == "PHANTOM"
    because: phantoms have no name
tests:
"""


def tried(folder: Path, *tests: str) -> Trial:
    file = write(folder, RULES + "".join(f"  - {one}\n" for one in tests))
    return run_tests(load_profile(file))


@pytest.mark.parametrize(
    "test",
    [
        "{given: {Modality: CR, Rows: 768}, image: true, black: [[0, 0, -, 60]], same: [[0, 60, -, -]]}",  # blackened
        "{given: {Modality: CR, Rows: 768}, black: [[0, 0, 512, 60]]}",  # the picture follows from what is expected
        "{given: {Modality: CR}, same: [[0, 0, -, -]]}",  # the condition does not hold
        "{given: {Modality: CR, Manufacturer: ACME}, black: [[0, 0, 8, -]], same: [[8, 0, -, -]]}",  # an edge
        "{given: {Manufacturer: ACME}, image: {colour: true, frames: 2}, black: [[0, 0, 8, -]]}",  # in every frame
        "{given: {Modality: US}, outcome: held}",  # a kind that often has text
        "{given: {Modality: US, StationName: PHANTOM}, outcome: accepted}",  # for which somebody vouches
        "{given: {Modality: US}, image: false, outcome: accepted}",  # without a picture
        "{given: {Modality: SR}, outcome: accepted}",  # a kind that has none
        "{given: {PatientSex: F}, outcome: accepted}",  # of which the test does not say the kind
        "{given: {Modality: CT, BurnedInAnnotation: 'YES'}, outcome: held}",  # which says so itself
        "{given: {Modality: CT, called_ae: REVIEW}, outcome: held}",  # who sent it
        "{file: CR-full.dcm, given: {PatientName: GARCIA^ANA}, expect: {PatientName: '{patient}'}, never: [GARCIA]}",
        "{file: CR-full.dcm, given: {Manufacturer: ACME}, same: [[8, 0, -, -]]}",  # the picture of a file
    ],
)
def test_passing(tmp_path: Path, test: str) -> None:
    next(one for one in smallest() if (one.kind, one.form) == ("CR", "full")).write(tmp_path)
    (verdict,) = tried(tmp_path, test).verdicts
    assert verdict.problems == ()


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ("{given: {Modality: CR, Rows: 767}, black: [[0, 0, -, 60]]}", "[0, 0, -, 60] is not black"),
        ("{given: {Modality: CR, Rows: 768}, same: [[0, 0, -, -]]}", "[0, 0, -, -] has changed"),
        ("{given: {Modality: CR}, black: [[0, 600, -, 1]]}", "[0, 600, -, 1] lies outside the picture"),
        ("{given: {Modality: CR}, image: {rows: 1, columns: 1}, black: [[0, 0, -, -]]}", "had one colour before"),
        ("{given: {Modality: US}, outcome: accepted}", "the instance is held, not accepted"),
        ("{file: none.dcm, outcome: accepted}", "none.dcm cannot be read as a DICOM file"),
        ("{given: {Modality: SR}, image: false, same: [[0, 0, -, -]]}", "the picture cannot be read"),
    ],
)
def test_failing(tmp_path: Path, test: str, problem: str) -> None:
    (verdict,) = tried(tmp_path, test).verdicts
    assert problem in " ".join(verdict.problems)


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ("{given: {Modality: CR}}", "the test expects nothing"),
        ("{given: {Modality: CR}, black: [[0, 0, 1]]}", "a rectangle is [x, y, width, height]"),
        ("{given: {Modality: CR}, outcome: held, black: [[0, 0, 1, 1]]}", "an instance that is held has no output"),
        ("{given: {Modality: CR}, image: {row: 1}, outcome: held}", 'unknown key "row"; did you mean "rows"?'),
    ],
)
def test_wrong(tmp_path: Path, test: str, problem: str) -> None:
    with pytest.raises(ProfileError) as caught:
        tried(tmp_path, test)
    assert problem in str(caught.value)


def test_pixel_rules_that_no_test_shows(tmp_path: Path) -> None:
    trial = tried(
        tmp_path,
        "{given: {Modality: CR, Rows: 768}, outcome: accepted}",
        "{given: {Modality: SR, StationName: PHANTOM}, outcome: accepted}",
    )
    assert [str(rule) for rule in trial.rules] == [
        'line 4: is held called_ae == "REVIEW"',
        'line 7: mask of the pixels if Modality == "CR" && Rows == 768',
        'line 10: crop of the pixels if Manufacturer == "ACME"',
        'line 12: pass of the pixels if StationName == "PHANTOM"',
    ]
    # A report has no picture: nobody has vouched for one.
    assert [rule.origin.line for rule in trial.unused] == [4, 10, 12]


def test_an_empty_picture_loads_no_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every process runs the tests of a profile before it uses it.
    def looked(*_: object) -> None:
        raise AssertionError("the networks are loaded")

    monkeypatch.setattr("gateway.pixels.text.TextFinder.networks", looked)
    path = write(
        tmp_path,
        "profile: mine\nuse: [basic, clean-pixel-data]\ntests:\n- {given: {Modality: US}, outcome: accepted}\n",
    )
    assert check_profile(path).errors == ()
    assert run_tests(load_profile(path)).passed
