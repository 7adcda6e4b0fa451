"""How exact times of day stay: what the setting says, what it is about, and what stands above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.dicom.dictionary import tag_of
from gateway.errors import ProfileError
from gateway.profile import TimeOfDay, Verb, check_profile
from gateway.profile.diff import compare
from gateway.profile.element import parse_element
from gateway.profile.explain import explain
from gateway.profile.load import load_layers
from gateway.profile.summary import summarise
from gateway.profile.times import TIMES
from tests.unit.profile.writing import load, write

FULL = "profile: mine\nuse: [basic, retain-longitudinal-full-dates]\n"
SHIFTED = "profile: mine\nuse: [basic, retain-longitudinal-modified-dates]\n"


def tag(keyword: str) -> int:
    found = tag_of(keyword)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("times: hours\n", 'times are one of keep, hour, remove; did you mean "hour"?'),
        ("times: removed\n", 'did you mean "remove"?'),
        ("times: [hour]\n", "times are one of keep, hour, remove"),
        ("times:\n", "times are one of keep, hour, remove"),
        ("time: hour\n", 'unknown key "time"; did you mean "times"?'),
    ],
)
def test_errors_name_the_place_and_the_right_word(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ProfileError) as failed:
        load(tmp_path, FULL + text)
    assert words in str(failed.value)
    assert "mine.yaml:3:" in str(failed.value)


RULES = """\
attributes:
  - keep: [ContentTime, "RadiopharmaceuticalInformationSequence/RadiopharmaceuticalStartTime"]
    because: needed
  - keep: ["VR:TM"]
    when: Modality == "CT"
    because: needed
  - shift-date: [AcquisitionDateTime]
    because: needed
  - shift-date: [DecayCorrectionDateTime]
  - replace: {SeriesTime: "120000"}
"""


@pytest.mark.parametrize(
    ("base", "times", "keyword", "verb", "cut"),
    [
        # an option of the standard keeps it, or shifts it
        (FULL, "hour", "StudyTime", Verb.KEEP, True),
        (FULL, "remove", "StudyTime", Verb.REMOVE_OR_EMPTY_OR_DUMMY, False),
        (FULL, "hour", "FrameAcquisitionDateTime", Verb.KEEP, True),
        (FULL, "remove", "FrameAcquisitionDateTime", Verb.KEEP, True),
        (SHIFTED, "hour", "StudyTime", Verb.SHIFT_DATE, True),
        (SHIFTED, "remove", "StudyTime", Verb.REMOVE_OR_EMPTY_OR_DUMMY, False),
        # no time of day
        (FULL, "hour", "StudyDate", Verb.KEEP, False),
        # goes with the times, and is needed with the hour
        (FULL, "remove", "TimezoneOffsetFromUTC", Verb.REMOVE_OR_EMPTY_OR_DUMMY, False),
        (FULL, "hour", "TimezoneOffsetFromUTC", Verb.KEEP, False),
        # a rule of the profile that keeps the element by its own name
        (FULL, "hour", "ContentTime", Verb.KEEP, False),
        (SHIFTED, "remove", "ContentTime", Verb.KEEP, False),
        # one that shifts it, with a reason and without
        (SHIFTED, "hour", "AcquisitionDateTime", Verb.SHIFT_DATE, False),
        (SHIFTED, "hour", "DecayCorrectionDateTime", Verb.SHIFT_DATE, True),
        # one that writes a value says itself how exact it is
        (FULL, "hour", "SeriesTime", Verb.REPLACE, False),
        # as ever
        (FULL, "keep", "StudyTime", Verb.KEEP, False),
    ],
)
def test_what_is_cut(tmp_path: Path, base: str, times: str, keyword: str, verb: Verb, cut: bool) -> None:
    shifting = "shift-date: [AcquisitionDateTime]\n    because: needed\n  - shift-date: [DecayCorrectionDateTime]"
    rules = RULES if base is SHIFTED else RULES.replace(f"  - {shifting}\n", "")
    program = load(tmp_path, f"{base}times: {times}\n{rules}")
    action = program.specialise((False,)).action(tag(keyword))
    assert (action.verb, isinstance(action.options, TimeOfDay)) == (verb, cut)


def test_rules_for_many_elements_keep_none_exact(tmp_path: Path) -> None:
    text = 'profile: mine\nuse: [basic]\ntimes: hour\nattributes:\n  - keep: ["VR:TM", "(0008,00xx)", unlisted]\n'
    program = load(tmp_path, text + "    because: times may stay\n")
    kept = {one for one in TIMES if program.action(one).verb is Verb.KEEP}
    assert {0x00080030, 0x0008002A, 0x00181072} <= kept
    assert all(isinstance(program.action(one).options, TimeOfDay) for one in kept)


def test_no_default_leaves_an_exact_time(tmp_path: Path) -> None:
    """Elements that no rule names by itself, whatever a condition makes of them."""
    rules = '  - keep: [unlisted]\n  - remove: ["(0018,10xx)"]\n    when: Rows > 1\n'
    text = f"profile: mine\nidentified: true\ntimes: hour\nattributes:\n{rules}"
    program = load(tmp_path, text)
    for truth in (False, True):
        actions = {one: program.specialise((truth,)).action(one) for one in TIMES}
        gone = {one for one, action in actions.items() if action.verb is Verb.REMOVE}
        assert gone == ({one for one in TIMES if one & 0xFFFFFF00 == 0x00181000} if truth else set())
        assert all(isinstance(action.options, TimeOfDay) for one, action in actions.items() if one not in gone)


def test_the_last_layer_decides(tmp_path: Path) -> None:
    write(tmp_path, "profile: house\ntimes: hour\n", "house")
    text = "profile: mine\nuse: [basic, house, retain-longitudinal-full-dates]\n"
    assert load(tmp_path, text).times == "hour"
    assert isinstance(load(tmp_path, text).action(0x00080030).options, TimeOfDay)
    assert load(tmp_path, text + "times: keep\n").times == "keep"
    assert load(tmp_path, text + "times: remove\n").times == "remove"


@pytest.mark.parametrize(
    ("base", "times", "says", "codes"),
    [
        # full dates with coarse times are modified ones
        (FULL, "keep", "UNMODIFIED", ["113100", "113106"]),
        (FULL, "hour", "MODIFIED", ["113100", "113107"]),
        (FULL, "remove", "MODIFIED", ["113100", "113107"]),
        (SHIFTED, "hour", "MODIFIED", ["113100", "113107"]),
        ("profile: mine\nuse: [basic]\n", "hour", "REMOVED", ["113100"]),
    ],
)
def test_what_the_output_claims(tmp_path: Path, base: str, times: str, says: str, codes: list[str]) -> None:
    program = load(tmp_path, f"{base}times: {times}\n")
    assert program.longitudinal == says
    assert [code.value for code in program.codes] == codes


def test_the_digest_tells(tmp_path: Path) -> None:
    digests = {times: load(tmp_path, f"{FULL}times: {times}\n").digest for times in ("keep", "hour", "remove")}
    assert len(set(digests.values())) == 3
    assert load(tmp_path, FULL).digest == digests["keep"]


def test_explanations(tmp_path: Path) -> None:
    rules = "attributes:\n  - keep: [ContentTime]\n    because: needed\n"
    hour, remove = (
        load(tmp_path, f"{base}times: {times}\n{rules}") for base, times in ((SHIFTED, "hour"), (FULL, "remove"))
    )
    shown = explain(hour, parse_element("StudyTime")).reasons[0]
    assert shown.words.endswith("its time of day cut to the hour (times: hour)")
    assert shown.layer == "retain-longitudinal-modified-dates"
    gone = explain(remove, parse_element("StudyTime")).reasons[0]
    assert (gone.layer, gone.because, gone.place.endswith("mine.yaml:3")) == ("mine", "times: remove", True)
    assert explain(remove, parse_element("ContentTime")).reasons[0].words == "stays as it is"
    names = {change.name for change in compare(load(tmp_path, SHIFTED), hour).settings}
    assert names == {"times of day"}


def test_the_summary_names_what_stays_exact(tmp_path: Path) -> None:
    rules = 'attributes:\n  - keep: [ContentTime, "(0009,xx0D) GEMS_PETD_01"]\n    because: needed\n'
    path = write(tmp_path, f"{FULL}times: hour\n{rules}")
    assert summarise(load_layers(path)).times == (
        "times of day are cut to the hour; a rule keeps those of ContentTime, (0009,xx0D) GEMS_PETD_01 as they are"
    )


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        # PET and nuclear medicine lose what decay is computed from
        (FULL + "times: hour\n", ["decay and SUV of PT", "decay and uptake of NM"]),
        (SHIFTED + "times: remove\n", ["decay and SUV of PT", "decay and uptake of NM"]),
        # nobody sends any
        (FULL + 'times: hour\naccept: [{reject: \'Modality in ["PT", "NM"]\', because: no}]\n', []),
        (FULL + "times: hour\naccept: [{reject: 'Modality == \"NM\"', because: no}]\n", ["decay and SUV of PT"]),
        # what is needed stays
        (
            FULL + "times: hour\nattributes:\n  - keep: [SeriesTime, AcquisitionTime, RadiopharmaceuticalStartTime, "
            "RadiopharmaceuticalStartDateTime, DecayCorrectionDateTime]\n    because: SUV\n",
            [],
        ),
        # nothing is lost
        (FULL + "times: keep\n", []),
        (FULL, []),
        # nothing is there
        ("profile: mine\nuse: [basic]\ntimes: hour\n", ["times: hour never counts"]),
    ],
)
def test_warnings(tmp_path: Path, text: str, warnings: list[str]) -> None:
    found = [str(one) for one in check_profile(write(tmp_path, text)).warnings]
    assert len(found) == len(warnings), found
    assert all(any(words in one for one in found) for words in warnings)
    assert all("mine.yaml:3:8" in one for one in found)
