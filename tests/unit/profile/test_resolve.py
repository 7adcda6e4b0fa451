"""gateway.profile.resolve and Program.specialise: which rule counts, where and when."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ProfileError, RuleFailed
from gateway.profile import Program, Source, Verb
from gateway.profile.program import Shift
from tests.unit.profile.writing import BASE, attributes, load, write

PATIENT_NAME, PATIENT_SEX, STUDY_DESCRIPTION = 0x00100010, 0x00100040, 0x00081030
REQUEST, STEP_ID, STATION = 0x00400275, 0x00400009, 0x00081010
VALUES: dict[str, Any] = {"Modality": "CT", "Rows": 512}


def decided(program: Program, **values: Any) -> Program:
    return program.specialise(program.truths({**VALUES, **values}))


class TestConditions:
    def test_a_rule_with_a_condition_stands_above_what_comes_before(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("{keep: [PatientSex], when: 'Modality == \"CT\"'}"))
        assert program.action(PATIENT_SEX).verb is Verb.EMPTY  # no condition true
        assert [action.verb for action in program.rules[PATIENT_SEX]] == [Verb.KEEP, Verb.EMPTY]
        assert program.keywords == {"Modality"}
        assert decided(program).action(PATIENT_SEX).verb is Verb.KEEP
        other = decided(program, Modality="MR")
        assert other.action(PATIENT_SEX).verb is Verb.EMPTY
        assert (other.conditions, other.digest) == ((), program.digest)

    @pytest.mark.parametrize(
        ("modality", "verb"),
        [
            ("CT", Verb.REMOVE),  # the later rule of the two that apply
            ("MR", Verb.KEEP),
            ("US", Verb.DUMMY),  # neither applies
        ],
    )
    def test_later_rules_override_earlier_ones(self, tmp_path: Path, modality: str, verb: Verb) -> None:
        program = load(
            tmp_path,
            attributes(
                "dummy: [StudyDescription]",
                '{keep: [StudyDescription], when: \'Modality in ["CT", "MR"]\'}',
                "{remove: [StudyDescription], when: 'Modality == \"CT\"'}",
            ),
        )
        assert decided(program, Modality=modality).action(STUDY_DESCRIPTION).verb is verb

    def test_an_unconditional_rule_below_ends_the_list(self, tmp_path: Path) -> None:
        program = load(
            tmp_path, attributes("{keep: [PatientSex], when: 'Rows > 1'}", "remove: [PatientSex]", "keep: [Rows]")
        )
        assert [action.verb for action in program.rules[PATIENT_SEX]] == [Verb.REMOVE]

    def test_without_a_rule_below_the_default_follows(self, tmp_path: Path) -> None:
        # Rows is in no layer; (0010,9990) is in no dictionary; Status is a command element.
        rule = "{remove: [Rows, '(0010,9990)', '(0000,0900)'], when: 'Rows > 1'}"
        program = load(tmp_path, attributes(rule))
        verbs = [
            [decided(program, Rows=rows).action(tag).verb for tag in (0x00280010, 0x00109990, 0x00000900)]
            for rows in (0, 2)
        ]
        assert verbs == [[Verb.KEEP, Verb.REMOVE, Verb.REMOVE], [Verb.REMOVE, Verb.REMOVE, Verb.REMOVE]]

    def test_patterns_and_defaults(self, tmp_path: Path) -> None:
        program = load(
            tmp_path,
            attributes(
                "{keep: ['(60xx,3000)'], when: 'Rows > 1'}",
                "{remove: ['(0008,1xxx)'], when: 'Rows > 1'}",
                "{remove: [unlisted], when: 'Rows > 1'}",
            ),
        )
        true, false = decided(program), decided(program, Rows=1)
        assert (program.action(0x60003000).verb, program.action(0x00280010).verb) == (Verb.REMOVE, Verb.KEEP)
        assert (true.action(0x60003000).verb, false.action(0x60003000).verb) == (Verb.KEEP, Verb.REMOVE)
        # The pattern of this layer stands above what basic says of a single element.
        assert basic_verb(true, 0x00081084) is Verb.REMOVE
        assert (true.action(0x00280010).verb, false.action(0x00280010).verb) == (Verb.REMOVE, Verb.KEEP)
        # What an instance needs stays whatever patterns and defaults say.
        assert true.action(0x00080016).verb is Verb.KEEP

    def test_equal_conditions_are_decided_once(self, tmp_path: Path) -> None:
        program = load(
            tmp_path, attributes("{keep: [PatientSex], when: Rows > 1}", "{keep: [PatientAge], when: Rows > 1}")
        )
        assert len(program.conditions) == 1

    def test_a_condition_that_cannot_be_decided(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("{keep: [PatientSex], when: Columns > 1}"))
        with pytest.raises(RuleFailed, match=r"the condition at .*mine.yaml:4:32"):
            program.truths({})

    def test_outcomes_are_remembered_and_do_not_travel(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("{keep: [PatientSex], when: Rows > 1}"))
        assert program.specialise([True]) is program.specialise([True])
        again = pickle.loads(pickle.dumps(program))
        assert again == program
        assert again.specialise([True]) == program.specialise([True])
        with pytest.raises(ValueError, match="1 conditions have not 0 outcomes"):
            program.specialise([])

    def test_essentials_stay_whatever_the_condition(self, tmp_path: Path) -> None:
        with pytest.raises(ProfileError, match="StudyInstanceUID can only be kept"):
            load(tmp_path, attributes("{remove: ['(0020,00xx)'], when: Rows > 1}"))


def basic_verb(program: Program, tag: int) -> Verb:
    return program.action(tag).verb


class TestPlaces:
    @pytest.mark.parametrize(
        ("name", "path", "matches"),
        [
            ("/PatientName", (), True),
            ("/PatientName", (REQUEST,), False),
            ("*/PatientName", (REQUEST,), True),
            ("*/PatientName", (), False),
            ("*/PatientName", (REQUEST, REQUEST), False),
            ("**/PatientName", (), False),  # below the top
            ("**/PatientName", (REQUEST,), True),
            ("**/PatientName", (REQUEST, 0x00081199, REQUEST), True),
            ("RequestAttributesSequence/PatientName", (REQUEST,), True),
            ("RequestAttributesSequence/PatientName", (0x00081199,), False),
            ("RequestAttributesSequence/PatientName", (0x00081199, REQUEST), False),
            ("**/RequestAttributesSequence/PatientName", (0x00081199, REQUEST), True),
            ("RequestAttributesSequence/**/PatientName", (REQUEST, 0x00081199), True),
        ],
    )
    def test_matching(self, tmp_path: Path, name: str, path: tuple[int, ...], matches: bool) -> None:
        (rule,) = load(tmp_path, "identified: true\n" + attributes(f"keep: ['{name}']")).paths
        assert rule.matches(path, PATIENT_NAME) is matches
        assert not rule.matches(path, PATIENT_SEX)

    def test_a_place_stands_above_the_element(self, tmp_path: Path) -> None:
        for rules in (
            ["keep: ['*/PatientName']", "remove: [PatientName]"],
            ["remove: [PatientName]", "keep: ['*/PatientName']"],
        ):
            program = load(tmp_path, f"identified: true\n{attributes(*rules)}")
            assert [rule.action.verb for rule in program.paths] == [Verb.KEEP]
            assert program.action(PATIENT_NAME).verb is Verb.REMOVE

    def test_a_later_layer_overrides_a_place(self, tmp_path: Path) -> None:
        write(tmp_path, "profile: one\nattributes:\n  - keep: ['*/PatientName']\n", "one")
        program = load(tmp_path, "profile: mine\nuse: [basic, one]\nattributes:\n  - remove: [PatientName]\n")
        assert program.paths == ()
        program = load(
            tmp_path,
            "profile: mine\nuse: [basic, one]\nidentified: true\nattributes:\n"
            "  - {remove: [PatientName], when: Rows > 1}\n",
        )
        assert (decided(program).paths, len(decided(program, Rows=0).paths)) == ((), 1)

    def test_more_steps_with_names_count_first(self, tmp_path: Path) -> None:
        program = load(
            tmp_path, attributes("keep: ['RequestAttributesSequence/StudyDate']", "remove: ['**/StudyDate']")
        )
        assert [rule.action.verb for rule in program.paths] == [Verb.KEEP, Verb.REMOVE]


class TestTopLevel:
    def test_insert_and_copy(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("insert: {ClinicalTrialProtocolID: T1}", "copy: {StationName: Modality}"))
        found = dict(program.inserts)
        assert (found[0x00120020].verb, found[0x00120020].value) == (Verb.INSERT, "T1")
        assert (found[STATION].verb, found[STATION].options) == (Verb.COPY, Source(0x00080060))
        # Inside sequences basic still counts.
        assert program.action(STATION).origin.layer == "basic"

    def test_insert_and_remove_in_one_layer(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("insert: {StationName: EAST}", "remove: [StationName]"))
        assert [tag for tag, _ in program.inserts] == [STATION]
        assert program.action(STATION).verb is Verb.REMOVE

    def test_a_later_layer_takes_an_insert_back(self, tmp_path: Path) -> None:
        write(tmp_path, "profile: one\nattributes:\n  - insert: {StationName: EAST}\n", "one")
        for rule in ("remove: [StationName]", "remove: ['/StationName']", "remove: ['(0008,10xx)']"):
            program = load(tmp_path, f"profile: mine\nuse: [basic, one]\nattributes:\n  - {rule}\n")
            assert program.specialise([]).inserts == ()

    def test_with_conditions(self, tmp_path: Path) -> None:
        program = load(
            tmp_path,
            attributes(
                "{insert: {StationName: EAST}}",
                "{insert: {StationName: WEST}, when: Rows > 1}",
            ),
        )
        values = [[action.value for _, action in decided(program, Rows=rows).inserts] for rows in (0, 2)]
        assert values == [["EAST"], ["WEST"]]


class TestPrivate:
    def test_by_creator(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("keep: ['(0019,xx0C) Siemens MR Header']", "keep: ['(0029,xxxx) ACME']"))
        first, second = program.private_elements
        # The longer name of the block counts first; VRs come from the dictionary.
        assert (first.group, first.offset, first.creator, first.vr) == (0x19, 0x0C, "SIEMENS MR HEADER", "IS")
        assert (second.offset, second.vr) == (None, "UN")
        assert first.matches(0x0019110C, "SIEMENS MR HEADER")
        assert not first.matches(0x0019110D, "SIEMENS MR HEADER")
        assert not first.matches(0x0019110C, "OTHER")
        assert second.matches(0x002910FF, "ACME")
        assert not program.safe_private

    def test_a_later_rule_for_all_of_them_takes_them_away(self, tmp_path: Path) -> None:
        write(tmp_path, "profile: one\nattributes:\n  - keep: ['(0019,xx0C) ACME', safe-private]\n", "one")
        program = load(tmp_path, "profile: mine\nuse: [basic, one]\nattributes:\n  - remove: [private]\n")
        assert (program.private_elements, program.safe_private) == ((), False)
        program = load(
            tmp_path, "profile: mine\nuse: [basic, one]\nattributes:\n  - {remove: [private], when: Rows > 1}\n"
        )
        assert (len(program.private_elements), program.safe_private) == (1, True)
        true, false = decided(program), decided(program, Rows=0)
        assert (true.private_elements, true.safe_private) == ((), False)
        assert (len(false.private_elements), false.safe_private) == (1, True)

    def test_safe_private_under_a_condition(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("{keep: [safe-private], when: Rows > 1}"))
        assert [program.safe_private, decided(program).safe_private, decided(program, Rows=0).safe_private] == [
            False, True, False,
        ]  # fmt: skip

    def test_safe_private_can_be_taken_back(self, tmp_path: Path) -> None:
        text = "profile: mine\nuse: [basic, retain-safe-private]\nattributes:\n  - remove: [safe-private]\n"
        assert not load(tmp_path, text).safe_private


class TestByVr:
    def test_all_elements_of_a_vr(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("empty: ['VR:PN', 'VR:LO']", "keep: [ReferringPhysicianName]"))
        assert program.action(PATIENT_NAME).verb is Verb.EMPTY
        assert program.action(0x0040A123).verb is Verb.EMPTY  # Person Name, nowhere in the table
        assert program.action(0x60021500).verb is Verb.EMPTY  # Overlay Label, in a repeating group
        assert program.action(0x00080090).verb is Verb.KEEP  # an element stands above its VR
        assert program.action(0x00091010).verb is Verb.REMOVE

    def test_what_an_instance_needs_is_left_out(self, tmp_path: Path) -> None:
        program = load(tmp_path, attributes("remove: ['VR:UI', 'VR:CS']"))
        assert program.action(0x00080016).verb is Verb.KEEP
        assert program.action(0x0020000D).verb is Verb.HASH_UID
        assert program.action(0x00080005).verb is Verb.KEEP
        assert program.action(0x00080060).verb is Verb.REMOVE


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["keep: [Rows]", "remove: [Rows]"], '"Rows" has a rule already, in line 4'),
        (
            ["{keep: [Rows], when: Rows > 1}", "{remove: [Rows], when: Rows > 1}"],
            '"Rows" has a rule already, in line 4',
        ),
        (["insert: {StationName: A}", "copy: {StationName: Modality}"], '"StationName" has a rule already'),
        (["keep: ['*/Rows', '*/Rows']"], "has a rule already"),
        (["keep: ['(0019,xx10) ACME', '(0019,xx10) acme']"], "has a rule already"),
    ],
)
def test_two_rules_of_a_file_for_the_same(tmp_path: Path, rules: list[str], words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(tmp_path, attributes(*rules))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "other"),
    [
        # each changes the output, and so the digest
        (["keep: [Rows]"], ["{keep: [Rows], when: Rows > 1}"]),
        (["{remove: [Rows], when: Rows > 1}"], ["{remove: [Rows], when: Rows > 2}"]),
        (["keep: ['*/StudyDate']"], ["keep: ['**/StudyDate']"]),
        (["keep: ['(0019,xx10) ACME']"], ["keep: ['(0019,xx11) ACME']"]),
        (["keep: [safe-private]"], ["keep: [Rows]"]),
        (["insert: {StationName: A}"], ["insert: {StationName: B}"]),
        (["{truncate-date: [StudyDate], to: year}"], ["{truncate-date: [StudyDate], to: month}"]),
        (["map: {Modality: {CT: MR}}"], ["{map: {Modality: {CT: MR}}, otherwise: keep}"]),
        (["generalise: {PatientAge: {bins: 5Y}}"], ["generalise: {PatientAge: {bins: 10Y}}"]),
        (["generalise: {PatientWeight: {round: 5}}"], ["generalise: {PatientWeight: {round: 2.5}}"]),
    ],
)
def test_digests_differ(tmp_path: Path, rules: list[str], other: list[str]) -> None:
    assert load(tmp_path, attributes(*rules)).digest != load(tmp_path, attributes(*other)).digest


def test_the_digest_sees_which_of_place_and_element_is_stronger(tmp_path: Path) -> None:
    path, tag = "keep: ['*/PatientSex']", "{remove: [PatientSex], when: Rows > 1}"
    digests = []
    for first, second in ((path, tag), (tag, path)):
        write(tmp_path, f"profile: one\nattributes:\n  - {first}\n", "one")
        digests.append(load(tmp_path, f"profile: mine\nuse: [basic, one]\nattributes:\n  - {second}\n").digest)
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("first", "last", "shifts"),
    [
        (-3, -1, [-3, -2, -1]),
        (-2, 2, [-2, -1, 1, 2]),  # never 0
        (0, 2, [1, 2]),
        (-2, 0, [-2, -1]),
        (5, 5, [5]),
    ],
)
def test_shifts(first: int, last: int, shifts: list[int]) -> None:
    shift = Shift(first, last)
    assert shift.choices == len(shifts)
    assert [shift.days(number) for number in range(2 * shift.choices)] == shifts * 2


def test_the_base_is_used(tmp_path: Path) -> None:
    assert load(tmp_path, BASE).rules[PATIENT_NAME][0].origin.layer == "basic"
