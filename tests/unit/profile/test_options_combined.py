"""Options of PS3.15 together: what they agree on, and what they exclude."""

from __future__ import annotations

import pickle
from itertools import permutations
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import Verb, check_profile, load_profile, shipped_profiles
from tests.unit.profile.test_options_table import OPTIONS
from tests.unit.profile.writing import load, write

CALIBRATION, BEAM_HOLD, STUDY_DATE = 0x00181200, 0x300C0127, 0x00080020
EXAMPLES = ["chest-radiographs", "full-dates-cohort", "research-default", "share-with-industry"]


@pytest.mark.parametrize("order", list(permutations(["retain-device-identity", "retain-longitudinal-modified-dates"])))
def test_the_stricter_of_two_options_counts(tmp_path: Path, order: tuple[str, str]) -> None:
    # Device K, modified dates C: a machine's date goes, whichever layer comes last.
    path = write(tmp_path, f"profile: mine\nuse: [basic, {order[0]}, {order[1]}]\n")
    program = load_profile(path)
    assert program.action(CALIBRATION).verb is Verb.REMOVE_OR_EMPTY_OR_DUMMY
    assert program.action(BEAM_HOLD).verb is Verb.SHIFT_DATE
    assert [code.value for code in program.codes[1:]] == [OPTIONS[name][1] for name in order]
    warnings = check_profile(path).warnings
    disagreements = "retain-device-identity keeps what retain-longitudinal-modified-dates changes"
    assert all(disagreements in warning.text for warning in warnings)
    assert {name for name in ("BeamHoldTransitionDateTime", "DateOfLastCalibration")
            if any(name in warning.text for warning in warnings)} == {"BeamHoldTransitionDateTime",
                                                                      "DateOfLastCalibration"}  # fmt: skip
    # A rule of the profile's own still counts.
    text = f"profile: mine\nuse: [basic, {order[0]}, {order[1]}]\nattributes:\n  - remove: [DateOfLastCalibration]\n"
    assert load(tmp_path, text).action(CALIBRATION).verb is Verb.REMOVE


def test_full_dates_and_device_agree(tmp_path: Path) -> None:
    program = load(tmp_path, "profile: mine\nuse: [basic, retain-longitudinal-full-dates, retain-device-identity]\n")
    assert program.action(CALIBRATION).verb is Verb.KEEP


def test_everything_that_goes_together(tmp_path: Path) -> None:
    names = [name for name in OPTIONS if name != "retain-longitudinal-full-dates"]
    program = load(tmp_path, f"profile: mine\nuse: [basic, {', '.join(names)}]\n")
    assert [code.value for code in program.codes] == ["113100", *(OPTIONS[name][1] for name in names)]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        # dates either stay or are shifted
        (
            "use: [basic, retain-longitudinal-full-dates, retain-longitudinal-modified-dates]\n",
            2,
            '"retain-longitudinal-full-dates" and "retain-longitudinal-modified-dates" contradict each other',
        ),
        (
            "use: [basic, retain-longitudinal-full-dates]\ndates: {shift: per-patient, days: -10..-1}\n",
            3,
            '"retain-longitudinal-full-dates" says that dates are unmodified, which this contradicts',
        ),
        (
            "use: [basic, retain-longitudinal-full-dates]\ndates: removed\n",
            3,
            "says that dates are unmodified",
        ),
        (
            "use: [basic, retain-longitudinal-modified-dates]\ndates: unmodified\n",
            3,
            '"retain-longitudinal-modified-dates" says that dates are shifted',
        ),
        # an option that the basic profile undoes
        ("use: [retain-uids, basic]\n", 2, '"retain-uids" comes before the basic profile, which undoes it'),
        # shifting without a range, and a range without shifting
        ("use: [basic]\nattributes:\n  - shift-date: [StudyDate]\n", 1, "no layer says by how many days"),
        ("use: [basic]\ndates: {shift: per-patient, days: 1..9}\n", 3, "but no rule says shift-date"),
    ],
)
def test_contradictions(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = write(tmp_path, f"profile: mine\n{text}")
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert words in str(caught.value)
    assert str(caught.value.facts["place"]).startswith(f"{path}:{line}:")


def test_a_profile_sets_its_own_range(tmp_path: Path) -> None:
    text = "profile: mine\nuse: [basic, retain-longitudinal-modified-dates]\ndates: {shift: per-patient, days: 5..90}\n"
    shift = load(tmp_path, text).shift
    assert shift is not None
    assert (shift.first, shift.last) == (5, 90)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    report = check_profile(name)
    assert report.errors == ()
    assert report.program is not None
    assert len(report.program.tests) >= 2
    # The only things to say of them are where two options of the standard disagree, and what retained UIDs may tell.
    assert all("keeps what" in one.text or "UIDs often hold dates" in one.text for one in report.warnings)
    codes = {code.value for code in report.program.codes}
    retains = "113110" in codes and "113106" not in codes
    assert any("UIDs often hold dates" in one.text for one in report.warnings) is retains
    again = pickle.loads(pickle.dumps(report.program))
    assert again == report.program
    identity = [text for test in report.program.tests for text in test.never]
    assert identity or name == "basic"


def test_every_shipped_profile_is_known() -> None:
    found = {path.stem for path in shipped_profiles().glob("*.yaml")}
    assert found == {
        *OPTIONS, *EXAMPLES, "basic", "unlisted-attributes", "clean-pixel-data", "clean-recognizable-visual-features",
        "retain-acquisition-private",
    }  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_a_layer_alone_is_no_profile_but_correct(name: str) -> None:
    with pytest.raises(ProfileError, match="no layer tells what happens to elements that no rule names"):
        load_profile(name)
    assert check_profile(name).errors == ()
    assert check_profile(name).warnings == ()
