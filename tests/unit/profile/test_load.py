"""gateway.profile.load: layers, checks, digest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile import Verb, load_profile
from tests.unit.profile.writing import BASE, load, write

PATIENT_NAME, PATIENT_SEX, STUDY_DATE, INSTITUTION = 0x00100010, 0x00100040, 0x00080020, 0x00080080


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


MINE = """\
profile: mine
version: "3"
describes: for tests
use: [basic]
identity:
  patient: {pseudonym: keyed, format: "BIMCV-{base32:10}"}
attributes:
  - keep: [PatientSex, "(0010,1030)"]
    because: DPO decision 2026-014
  - replace: {InstitutionName: "Regional Health Service", StationName: EAST}
    clause: local rule 7
  - remove: ["(0028,04xx)", DeviceSerialNumber]
  - keep: ["(60xx,3000)"]
  - hash-uid: [InstanceCreatorUID]
"""


def test_a_profile_over_basic(directory: Path) -> None:
    program = load(directory, MINE)
    assert (program.profile, program.version) == ("mine", "3")
    assert program.identity.patient_format == "BIMCV-{base32:10}"
    assert [code.value for code in program.codes] == ["113100"]
    kept = program.action(PATIENT_SEX)
    assert (kept.verb, kept.because) == (Verb.KEEP, "DPO decision 2026-014")
    assert (kept.origin.layer, kept.origin.clause, kept.origin.line) == ("mine", "", 8)
    assert kept.origin.file == str(directory / "mine.yaml")
    assert program.action(0x00101030).verb is Verb.KEEP
    replaced = program.action(INSTITUTION)
    assert (replaced.verb, replaced.value) == (Verb.REPLACE, "Regional Health Service")
    assert (replaced.origin.clause, replaced.origin.line) == ("local rule 7", 10)
    assert program.action(0x00280402).verb is Verb.REMOVE
    assert program.action(0x60023000).verb is Verb.KEEP
    # What mine does not mention stays as basic says.
    untouched = program.action(PATIENT_NAME)
    assert (untouched.verb, untouched.origin.layer) == (Verb.EMPTY, "basic")
    assert program.action(0x60024000).verb is Verb.REMOVE


def test_by_path(directory: Path) -> None:
    path = write(directory, MINE, "any-name")
    assert load_profile(path).digest == load_profile(str(path)).digest
    with pytest.raises(ProfileError, match='a profile has the name of its file: "any-name"'):
        load_profile("any-name", search=[directory])


def test_every_verb(directory: Path) -> None:
    rules = {
        Verb.KEEP: "keep: [PatientSex]",
        Verb.REMOVE: "remove: [Rows]",
        Verb.EMPTY: "empty: [Columns]",
        Verb.DUMMY: "dummy: [Manufacturer]",
        Verb.HASH_UID: "hash-uid: [DeviceUID]",
        Verb.CLEAN: "clean: [ImageComments]",
        Verb.REPLACE: "replace: {StationName: EAST}",
        Verb.SHIFT_DATE: "shift-date: [StudyDate]",
        Verb.TRUNCATE_DATE: "{truncate-date: [SeriesDate], to: month}",
        Verb.PSEUDONYMISE: '{pseudonymise: [AccessionNumber], format: "A{base32:12}"}',
        Verb.INSERT: "insert: {ClinicalTrialProtocolID: T1}",
        Verb.COPY: "copy: {ClinicalTrialSiteID: StationName}",
        Verb.MAP: "map: {BodyPartExamined: {TORAX: CHEST}}",
        Verb.GENERALISE: "generalise: {PatientAge: {top: 090Y}}",
        Verb.REGEX: "regex: {StudyDescription: {pattern: '[0-9]+', replacement: ''}}",
        Verb.REMOVE_OR_EMPTY: "remove-or-empty: [KVP]",
        Verb.REMOVE_OR_DUMMY: "remove-or-dummy: [SliceThickness]",
        Verb.EMPTY_OR_DUMMY: "empty-or-dummy: [PatientSize]",
        Verb.REMOVE_OR_EMPTY_OR_DUMMY: "remove-or-empty-or-dummy: [PatientWeight]",
        Verb.REMOVE_OR_EMPTY_OR_HASH_UID: "remove-or-empty-or-hash-uid: [DeviceSequence]",
    }
    assert set(rules) == set(Verb)
    text = BASE + "dates: {shift: per-patient, days: 1..100}\nattributes:\n"
    program = load(directory, text + "".join(f"  - {rule}\n" for rule in rules.values()))
    found = [action.verb for action in program.actions.values() if action.origin.layer == "mine"]
    found += [action.verb for _, action in program.inserts]
    assert sorted(found) == sorted(Verb)


def test_layers_apply_in_order_and_once(directory: Path) -> None:
    write(directory, "profile: one\nuse: [basic]\nattributes:\n  - keep: [PatientSex, StudyDate]\n", "one")
    write(directory, "profile: two\nuse: [basic]\nattributes:\n  - remove: [PatientSex]\n", "two")
    program = load(directory, "profile: mine\nuse: [one, two]\nattributes: []\n")
    assert program.action(PATIENT_SEX).origin.layer == "two"
    # basic, which two uses as well, does not undo what one says.
    assert program.action(STUDY_DATE).origin.layer == "one"
    assert [code.value for code in program.codes] == ["113100"]


@pytest.mark.parametrize(
    ("first", "second", "tag", "verb"),
    [
        # a later pattern replaces what an earlier layer said of single elements and of narrower patterns
        ('remove: ["(0020,3100)"]', 'keep: ["(0020,31xx)"]', 0x00203100, Verb.KEEP),
        ('remove: ["(60xx,3000)"]', 'keep: ["(60xx,xxxx)"]', 0x60003000, Verb.KEEP),
        # a later single element or narrower pattern is an exception to an earlier pattern
        ('keep: ["(60xx,xxxx)"]', 'remove: ["(60xx,3000)"]', 0x60003000, Verb.REMOVE),
        ('keep: ["(60xx,xxxx)"]', 'remove: ["(60xx,3000)"]', 0x60003001, Verb.KEEP),
        ('keep: ["(0020,31xx)"]', 'remove: ["(0020,3100)"]', 0x00203100, Verb.REMOVE),
        # patterns that overlap in part: the later one counts
        ('keep: ["(60xx,30xx)"]', 'remove: ["(60xx,3xx0)"]', 0x60003010, Verb.REMOVE),
        ('remove: ["(60xx,3xx0)"]', 'keep: ["(60xx,30xx)"]', 0x60003010, Verb.KEEP),
        # keywords of repeating groups are patterns
        ("keep: [OverlayData]", "remove: [OverlayRows]", 0x60023000, Verb.KEEP),
        # no pattern reaches private groups
        ('remove: ["(60xx,xxxx)"]', 'keep: ["(60xx,xxxx)"]', 0x60013000, Verb.REMOVE),
        # what no rule names
        ("remove: [unlisted]", "keep: [Rows]", 0x00280011, Verb.REMOVE),
        ("remove: [unlisted]", "keep: [Rows]", 0x00280010, Verb.KEEP),
        ("remove: [unlisted]", "keep: [unlisted]", 0x00280011, Verb.KEEP),
    ],
)
def test_precedence(directory: Path, first: str, second: str, tag: int, verb: Verb) -> None:
    write(directory, f"profile: one\nattributes:\n  - {first}\n", "one")
    program = load(directory, f"profile: mine\nuse: [basic, one]\nattributes:\n  - {second}\n")
    assert program.action(tag).verb is verb


def test_within_a_layer_the_narrowest_counts(directory: Path) -> None:
    rules = ['remove: ["(60xx,xxxx)"]', 'keep: ["(60xx,30xx)"]', 'empty: ["(60xx,3000)"]', 'keep: ["(6000,3000)"]']
    for order in (rules, rules[::-1]):
        text = "profile: mine\nuse: [basic]\nattributes:\n" + "".join(f"  - {rule}\n" for rule in order)
        program = load(directory, text)
        verbs = [program.action(tag).verb for tag in (0x60003000, 0x60023000, 0x60023010, 0x60020010)]
        assert verbs == [Verb.KEEP, Verb.EMPTY, Verb.KEEP, Verb.REMOVE]


def test_retain_options_are_only_yaml(directory: Path) -> None:
    write(
        directory,
        'profile: retain-full-dates\noption: "113106"\nclause: PS3.15 E.3.6\ndates: unmodified\n'
        "attributes:\n  - keep: [StudyDate, SeriesDate]\n",
        "retain-full-dates",
    )
    program = load(directory, "profile: mine\nuse: [basic, retain-full-dates]\n")
    assert program.dates == "UNMODIFIED"
    assert [code.value for code in program.codes] == ["113100", "113106"]
    assert program.action(STUDY_DATE).origin.clause == "PS3.15 E.3.6"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        # layers
        ("profile: mine\nuse: [basci]\n", "2:7", 'there is no profile "basci"; did you mean "basic"?'),
        ("profile: mine\nuse: [mine]\n", "2:7", "in a circle: mine -> mine"),
        ("profile: mine\nuse: [basic, basic]\n", "2:14", 'the layer "basic" is used twice'),
        ("profile: mine\nuse: ['../basic']\n", "2:7", "a name has small letters"),
        ("profile: mine\n", "1:10", "no layer tells what happens to elements that no rule names"),
        ("profile: Mine\n", "1:10", 'write "mine"'),
        ("use: [basic]\n", "1:1", 'the key "profile" is missing'),
        (BASE + "version: 1.10\n", "3:10", "write it in quotes"),
        (BASE + "otpion: '113100'\n", "3:1", 'unknown key "otpion"; did you mean "option"?'),
        (BASE + "option: '113199'\n", "3:9", "is no code of PS3.16 CID 7050"),
        # elements
        (BASE + "attributes:\n  - keep: [PatientNmae]\n", "4:12", 'did you mean "PatientName"?'),
        (BASE + "attributes:\n  - keep: [privat]\n", "4:12", 'did you mean "private"?'),
        (BASE + "attributes:\n  - keep: [(0010,0010)]\n", "4:12", "in quotes inside a list in brackets"),
        (BASE + 'attributes:\n  - keep: ["(0010,10)"]\n', "4:12", "is no tag"),
        (BASE + 'attributes:\n  - keep: ["(0010,0010) Name"]\n', "4:12", "nothing may follow"),
        (BASE + 'attributes:\n  - keep: ["(xxxx,0010)"]\n', "4:12", "covers too much"),
        (BASE + 'attributes:\n  - keep: ["(0010,0000)"]\n', "4:12", "group lengths are always removed"),
        (BASE + 'attributes:\n  - keep: ["(FFFE,E000)"]\n', "4:12", "are no elements"),
        (BASE + "attributes:\n  - keep: [Rows, Rows]\n", "4:18", '"Rows" has a rule already, in line 4'),
        (BASE + 'attributes:\n  - keep: [Rows]\n  - remove: ["(0028,0010)"]\n', "5:14", "already, in line 4"),
        (BASE + "attributes:\n  - keep: []\n", "4:11", "at least 1 item"),
        (BASE + "attributes:\n  - keep: Rows\n", "4:11", "should be a valid list"),
        # actions
        (BASE + "attributes:\n  - kepe: [Rows]\n", "4:5", 'unknown key "kepe"; did you mean "keep"?'),
        (BASE + "attributes:\n  - because: x\n", "4:5", "a rule has one action"),
        (BASE + "attributes:\n  - keep: [Rows]\n    remove: [Columns]\n", "4:5", "not several"),
        (BASE + "attributes:\n  - hash-uid: [PatientID]\n", "4:16", "PatientID has VR LO"),
        (BASE + "attributes:\n  - remove-or-empty-or-hash-uid: [Rows]\n", "4:35", "for UIDs and sequences"),
        (BASE + "attributes:\n  - remove: [SOPClassUID]\n", "4:14", "SOPClassUID can only be kept"),
        (BASE + "attributes:\n  - empty: [SpecificCharacterSet]\n", "4:13", "can only be kept"),
        (BASE + "attributes:\n  - remove: [StudyInstanceUID]\n", "4:14", "kept or replaced by hash-uid"),
        (BASE + "attributes:\n  - keep: [private]\n", "4:12", 'for "private" this version knows remove only, not keep'),
        (BASE + "attributes:\n  - keep: [unknown]\n", "4:12", 'for "unknown" this version knows remove only'),
        (BASE + "attributes:\n  - empty: [unlisted]\n", "4:13", 'for "unlisted" this version knows keep or remove'),
        (BASE + 'attributes:\n  - dummy: ["(60xx,3000)"]\n', "4:13", "cannot be applied to a pattern"),
        (BASE + 'attributes:\n  - dummy: ["(0010,9990)"]\n', "4:13", "the data dictionary does not know (0010,9990)"),
        # values
        (BASE + "attributes:\n  - replace: [Rows]\n", "4:14", "should be a valid dictionary"),
        (BASE + "attributes:\n  - replace: {PatientAge: 45}\n", "4:27", "write it in quotes"),
        (BASE + "attributes:\n  - replace: {PatientAge: '45'}\n", "4:27", '"45" is no valid value for PatientAge'),
        (BASE + "attributes:\n  - replace: {StudyDate: '2026-01-01'}\n", "4:26", "no valid value for StudyDate, VR DA"),
        (BASE + "attributes:\n  - replace: {StationName: '%s'}\n" % ("x" * 17), "4:28", "no valid value"),
        (BASE + "attributes:\n  - replace: {Rows: '5'}\n", "4:21", "Rows has VR US, which a profile cannot write"),
        (BASE + "attributes:\n  - replace: {DeviceSequence: 'x'}\n", "4:31", "VR SQ, which a profile cannot write"),
        (BASE + "attributes:\n  - replace: {StationName: ''}\n", "4:28", "the value is empty"),
        (BASE + 'attributes:\n  - replace: {StationName: "a\\x01"}\n', "4:28", "control characters"),
        # identity and dates
        (BASE + "identity: {patient: {format: 'X{digits:4}'}}\n", "3:30", "to keep patients apart"),
        (BASE + "identity: {patient: {pseudonym: kyed}}\n", "3:33", 'did you mean "keyed"?'),
        (BASE + "identity: {patnt: {}}\n", "3:11", 'did you mean "patient"?'),
        (BASE + "dates: removd\n", "3:8", 'did you mean "removed"?'),
        (BASE + "dates: 3\n", "3:8", "dates are one of removed, unmodified and {shift: per-patient, days: -730..-1}"),
        # an option that nothing carries out
        (BASE + "option: '113101'\n", "3:9", '"Clean Pixel Data Option" needs rules for pixel data'),
        (BASE + "option: '113107'\n", "3:9", "needs the range of the shift"),
    ],
)
def test_errors(directory: Path, text: str, place: str, words: str) -> None:
    path = write(directory, text)
    with pytest.raises(ProfileError) as caught:
        load_profile("mine", search=[directory])
    assert caught.value.facts["place"] == f"{path}:{place}"
    assert words in str(caught.value)


def test_essentials_stay(directory: Path) -> None:
    program = load(
        directory, BASE + 'attributes:\n  - remove: [unlisted, "(0008,00xx)"]\n  - hash-uid: [SOPInstanceUID]\n'
    )
    assert program.action(0x00080016).verb is Verb.KEEP  # SOP Class UID
    assert program.action(0x00080005).verb is Verb.KEEP  # Specific Character Set
    assert program.action(0x00080008).verb is Verb.REMOVE
    assert program.action(0x00080005).origin.layer == "standard"
    with pytest.raises(
        ProfileError, match=r"StudyInstanceUID can only be kept or .*, but .*mine.yaml, line 4 says remove"
    ):
        load(directory, BASE + 'attributes:\n  - remove: ["(0020,00xx)"]\n')
    with pytest.raises(ProfileError, match="SOPInstanceUID can only be kept"):
        load(directory, "profile: mine\nattributes:\n  - remove: [unlisted]\n")


def test_a_circle_over_several_files(directory: Path) -> None:
    write(directory, "profile: one\nuse: [basic, two]\n", "one")
    write(directory, "profile: two\nuse: [mine]\n", "two")
    with pytest.raises(ProfileError, match=re.escape("mine -> one -> two -> mine")) as caught:
        load(directory, "profile: mine\nuse: [one]\n")
    assert caught.value.facts["place"] == f"{directory / 'two.yaml'}:2:7"


def test_an_error_in_a_layer_names_the_layers_file(directory: Path) -> None:
    path = write(directory, "profile: one\nattributes:\n  - keep: [Nothing]\n", "one")
    with pytest.raises(ProfileError) as caught:
        load(directory, "profile: mine\nuse: [basic, one]\n")
    assert caught.value.facts["place"] == f"{path}:3:12"


def test_missing_profiles(directory: Path) -> None:
    with pytest.raises(ProfileError, match='there is no profile "baisc"; did you mean "basic"'):
        load_profile("baisc")
    with pytest.raises(ProfileError, match="the file cannot be read: No such file"):
        load_profile(directory / "none.yaml")
    with pytest.raises(ProfileError, match="there is no profile"):
        load_profile("")


def test_nobody_replaces_a_shipped_profile_unnoticed(directory: Path) -> None:
    write(directory, "profile: basic\nattributes:\n  - keep: [unlisted, PatientName]\n", "basic")
    with pytest.raises(ProfileError, match='the profile "basic" exists more than once'):
        load_profile("basic", search=[directory])


class TestDigest:
    def test_form(self) -> None:
        assert re.fullmatch(r"[0-9a-f]{64}", load_profile("basic").digest)

    def test_layout_comments_and_order_do_not_count(self, directory: Path) -> None:
        one = load(directory, BASE + "attributes:\n  - keep: [Rows, Columns]\n  - remove: [KVP]\n")
        two = load(
            directory,
            "# a comment\nprofile:   mine\nuse:\n  - basic\ndescribes: other words\nattributes:\n  - remove: [KVP]\n"
            '  - keep:\n      - "(0028,0011)"\n    because: another reason\n    clause: x\n  - keep: [Rows]\n',
        )
        assert one.digest == two.digest
        assert one.action(0x00280010).origin != two.action(0x00280010).origin

    @pytest.mark.parametrize(
        "change",
        [
            "attributes: [{keep: [PatientSex]}]\n",
            "attributes: [{replace: {StationName: A}}]\n",
            "attributes: [{replace: {StationName: B}}]\n",
            "attributes: [{keep: ['(60xx,3000)']}]\n",
            "attributes: [{keep: ['(60xx,xxxx)']}]\n",
            "attributes: [{remove: [unlisted]}]\n",
            "dates: unmodified\n",
            "option: '113110'\n",
            "version: '2'\n",
            "identity: {patient: {format: '{hex:16}'}}\n",
            "identity: {patient: {format: '{hex:17}'}}\n",
        ],
    )
    def test_whatever_changes_the_output_counts(self, directory: Path, change: str) -> None:
        same = load(directory, BASE)
        changed = load(directory, BASE + change)
        assert same.digest != changed.digest
        assert changed.digest == load(directory, BASE + change).digest
