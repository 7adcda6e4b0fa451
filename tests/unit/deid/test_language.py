"""Every rule of the language does on an instance what it says, at every depth, and the verifier agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.deid import ProjectKey
from gateway.errors import InstanceError, LeakSuspected, PseudonymMissing, RuleFailed
from tests.unit.deid.profiles import KEY, dataset, item, program, treat

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


class Counting:
    """Numbers as the ledger gives them."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, str], int] = {}

    def number(self, purpose: str, token: str) -> int:
        return self.given.setdefault((purpose, token), 1 + sum(one == purpose for one, _ in self.given))


def shown(value: Any) -> object:
    """An element's value as the tables below write it."""
    if value is None:
        return ""
    return [str(one) for one in value] if isinstance(value, list | tuple) or hasattr(value, "append") else str(value)


@pytest.mark.parametrize(
    ("rules", "given", "expected"),
    [
        # replace: text of the instance's character set
        ('- replace: {InstitutionName: "Regional Health Service"}', {"InstitutionName": "Faketown"},
         {"InstitutionName": "Regional Health Service"}),
        ('- replace: {InstitutionName: "Hôpital"}',
         {"InstitutionName": "Faketown", "SpecificCharacterSet": "ISO_IR 100"}, {"InstitutionName": "Hôpital"}),
        # replace: never adds
        ('- replace: {InstitutionName: "Regional"}', {}, {"InstitutionName": None}),
        # insert: writes whether received or not
        ('- insert: {ClinicalTrialProtocolID: "CHEST-1"}', {}, {"ClinicalTrialProtocolID": "CHEST-1"}),
        ('- insert: {InstitutionName: "Regional"}', {"InstitutionName": "Faketown"}, {"InstitutionName": "Regional"}),
        # copy: what was received, in the VR of the target
        ("- copy: {StudyID: SeriesNumber}", {"SeriesNumber": 7}, {"StudyID": "7"}),
        ("- copy: {ProtocolName: BodyPartExamined}", {"BodyPartExamined": "CHEST"}, {"ProtocolName": "CHEST"}),
        # copy: nothing to copy leaves the target to its other rules
        ("- copy: {StudyID: SeriesNumber}", {"StudyID": "S-1"}, {"StudyID": ""}),
        # map: listed values, and what becomes of others
        ("- map: {PatientSex: {M: F, F: M}}", {"PatientSex": "F"}, {"PatientSex": "M"}),
        ("- {map: {BodyPartExamined: {HEART: CHEST}}, otherwise: keep}", {"BodyPartExamined": "SKULL"},
         {"BodyPartExamined": "SKULL"}),
        ("- {map: {BodyPartExamined: {HEART: CHEST}}, otherwise: remove}", {"BodyPartExamined": "SKULL"},
         {"BodyPartExamined": None}),
        ("- {map: {BodyPartExamined: {HEART: CHEST}}, otherwise: empty}", {"BodyPartExamined": "SKULL"},
         {"BodyPartExamined": ""}),
        # map: several values one by one; an empty value stays empty
        ("- {map: {ImageType: {ORIGINAL: DERIVED}}, otherwise: keep}", {"ImageType": ["ORIGINAL", "", "AXIAL"]},
         {"ImageType": ["DERIVED", "", "AXIAL"]}),
        # generalise: ages, numbers in text and binary VRs, beginnings
        ("- generalise: {PatientAge: {bins: 5Y, top: 090Y}}", {"PatientAge": "093Y"}, {"PatientAge": "090Y"}),
        ("- generalise: {PatientWeight: {round: 5}}", {"PatientWeight": "72.6"}, {"PatientWeight": "75"}),
        ("- generalise: {PatientSize: {round: 0.05}}", {"PatientSize": "1.83"}, {"PatientSize": "1.85"}),
        ("- generalise: {RecommendedDisplayFrameRate: {round: 10}}", {"RecommendedDisplayFrameRate": 24},
         {"RecommendedDisplayFrameRate": "20"}),
        ("- generalise: {Rows: {round: 100}}", {"Rows": 512}, {"Rows": "500"}),
        ("- generalise: {CountryOfResidence: {first: 3}}", {"CountryOfResidence": "46022 Faketown"},
         {"CountryOfResidence": "460"}),
        # generalise: no age at all is what the profile is unsure of, and goes as the Type allows
        ("- generalise: {PatientAge: {bins: 5Y}}", {"PatientAge": "OLD"}, {"PatientAge": None}),
        # regex: all matches, groups, and values in which nothing matches
        (r"- regex: {ProtocolName: {pattern: '(\w+)\s+\d+', replacement: '\1'}}",
         {"ProtocolName": "CHEST 4711 ROUTINE 2"}, {"ProtocolName": "CHEST ROUTINE"}),
        ("- regex: {ProtocolName: {pattern: 'CHEST', replacement: 'THORAX'}}", {"ProtocolName": "SKULL"},
         {"ProtocolName": None}),
        ("- regex: {ProtocolName: {pattern: 'CHEST', replacement: 'THORAX', otherwise: keep}}",
         {"ProtocolName": "SKULL"}, {"ProtocolName": "SKULL"}),
        ("- regex: {ProtocolName: {pattern: 'CHEST', replacement: 'THORAX', otherwise: empty}}",
         {"ProtocolName": "SKULL"}, {"ProtocolName": ""}),
        # truncate-date
        ("- {truncate-date: [PatientBirthDate], to: year}", {"PatientBirthDate": "19610808"},
         {"PatientBirthDate": "19610101"}),
        ("- {truncate-date: [PatientBirthDate], to: month}", {"PatientBirthDate": "19610808"},
         {"PatientBirthDate": "19610801"}),
        # a date that is none: Type 2 in every IOD
        ("- {truncate-date: [PatientBirthDate], to: year}", {"PatientBirthDate": "19610899"}, {"PatientBirthDate": ""}),
        # clean: the study's own names go, words that identify nobody stay
        ("- clean: [StudyDescription]", {"StudyDescription": "CT CHEST MOCKBURY"}, {"StudyDescription": "CT CHEST"}),
        ("- clean: [StudyDescription]", {"StudyDescription": "MOCKBURY"}, {"StudyDescription": None}),
        # the patient's name and identifier get the pseudonym unless a rule says more
        ('- replace: {PatientName: "SOMEBODY"}', {}, {"PatientName": "SOMEBODY"}),
        ("- remove: [PatientName]", {}, {"PatientName": None}),
    ],
)  # fmt: skip
def test_rules(tmp_path: Path, rules: str, given: dict[str, Any], expected: dict[str, Any]) -> None:
    using = program(tmp_path, f"attributes:\n  {rules}")
    for syntax in SYNTAXES:
        found = treat(tmp_path, using, dataset(**given), syntax=syntax).dataset
        for keyword, value in expected.items():
            if value is None:
                assert keyword not in found
            else:
                assert shown(found[keyword].value) == value


@pytest.mark.parametrize(
    ("rules", "given", "reason"),
    [
        # a value that no row of the map knows
        ("- map: {BodyPartExamined: {HEART: CHEST}}", {"BodyPartExamined": "SKULL"}, "does not know its value"),
        ("- regex: {ProtocolName: {pattern: 'a', replacement: 'b', otherwise: hold}}", {"ProtocolName": "SKULL"},
         "does not know its value"),
        # text that no further character set beside the declared one can express
        ('- replace: {InstitutionName: "\u2603"}',
         {"InstitutionName": "Faketown", "SpecificCharacterSet": "ISO_IR 100"}, "cannot express"),
        # a value that becomes too long for its VR
        ("- regex: {StudyID: {pattern: '(.*)', replacement: '0123456789abcdef0'}}", {"StudyID": "S"}, "longer than 16"),
        ("- copy: {StudyID: ProtocolName}", {"ProtocolName": "a name of 22 letters.."}, "longer than 16"),
        # a value that becomes no value of its VR
        ("- generalise: {Rows: {round: 100000}}", {"Rows": 65535}, "no number in its range"),
        # a replacement that would make two values of one
        (r"- regex: {ProtocolName: {pattern: '-', replacement: '\\\\'}}", {"ProtocolName": "A-B"}, "several values"),
        # what the profile is unsure of, where it says hold
        ("- generalise: {PatientAge: {bins: 5Y}}\nwhen-unsure: hold", {"PatientAge": "OLD"}, "does not know its value"),
        ("- {truncate-date: [PatientBirthDate], to: year}\nwhen-unsure: hold", {"PatientBirthDate": "19610899"},
         "no date"),
        ("- clean: [StudyDescription]\nwhen-unsure: hold", {"StudyDescription": "CT QWXYZ"}, "not known"),
        # numbers without a ledger
        ('- {pseudonymise: [AccessionNumber], sequential: "N{number:06}"}', {"AccessionNumber": "A"}, "no ledger"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_held(tmp_path: Path, rules: str, given: dict[str, Any], reason: str) -> None:
    using = program(tmp_path, f"attributes:\n  {rules}")
    with pytest.raises(InstanceError, match=reason) as caught:
        treat(tmp_path, using, dataset(**given))
    assert not any(str(value) in str(caught.value) for value in given.values() if len(str(value)) > 1)


def test_text_in_a_wrong_character_set_is_held(tmp_path: Path) -> None:
    using = program(tmp_path, "attributes:\n  - regex: {ProtocolName: {pattern: a, replacement: b, otherwise: keep}}")
    source = dataset(SpecificCharacterSet="ISO_IR 100")
    source.add_new(0x00181030, "LO", b"\xe4\xbd")
    source.SpecificCharacterSet = "ISO_IR 192"
    with pytest.raises(RuleFailed, match="does not fit its character set"):
        treat(tmp_path, using, source)


class TestPseudonyms:
    def test_keyed(self, tmp_path: Path) -> None:
        rules = 'attributes:\n  - {pseudonymise: [AccessionNumber, StudyID], format: "A{base32:12}"}'
        using = program(tmp_path, rules)
        source = dataset(
            AccessionNumber="ACC-1",
            StudyID="ACC-1",
        )  # fmt: skip
        found = treat(tmp_path, using, source).dataset
        other = treat(tmp_path, using, dataset(AccessionNumber="ACC-2")).dataset
        keyed = treat(tmp_path, using, dataset(AccessionNumber="ACC-1"), key=ProjectKey(b"x" * 32)).dataset
        assert len(found.AccessionNumber) == 13
        assert found.AccessionNumber.startswith("A")
        # another element, another value, another project
        assert len({found.AccessionNumber, found.StudyID, other.AccessionNumber, keyed.AccessionNumber}) == 4

    def test_the_same_value_has_the_same_pseudonym_at_any_depth(self, tmp_path: Path) -> None:
        using = program(tmp_path, 'attributes:\n  - {pseudonymise: [AccessionNumber], format: "A{base32:12}"}')
        nested = item(AccessionNumber="ACC-1", CodeValue="1")
        source = dataset(AccessionNumber="ACC-1", ViewCodeSequence=Sequence([nested]))
        found = treat(tmp_path, using, source).dataset
        assert found.ViewCodeSequence[0].AccessionNumber == found.AccessionNumber

    def test_sequential(self, tmp_path: Path) -> None:
        rules = 'attributes:\n  - {pseudonymise: [AccessionNumber, StudyID], sequential: "N{number:06}"}'
        using, numbers = program(tmp_path, rules), Counting()
        found = [
            treat(tmp_path, using, dataset(AccessionNumber=one, StudyID="S"), numbers=numbers).dataset
            for one in ("A", "B", "A")
        ]
        assert [one.AccessionNumber for one in found] == ["N000001", "N000002", "N000001"]
        # each element has numbers of its own
        assert {one.StudyID for one in found} == {"N000001"}
        # what is stored with a number tells nothing
        assert all(len(token) == 32 for _, token in numbers.given)

    @pytest.mark.parametrize(("missing", "expected"), [("remove", ""), ("empty", "")])
    def test_table(self, tmp_path: Path, missing: str, expected: str) -> None:
        (tmp_path / "orders.csv").write_text("value,pseudonym\nACC-1,ORDER-A\n", encoding="utf-8")
        rules = f"attributes:\n  - {{pseudonymise: [AccessionNumber], table: orders.csv, missing: {missing}}}"
        using = program(tmp_path, rules)
        assert treat(tmp_path, using, dataset(AccessionNumber="ACC-1 ")).dataset.AccessionNumber == "ORDER-A"
        # Type 2: an element that goes is emptied
        assert treat(tmp_path, using, dataset(AccessionNumber="ACC-9")).dataset.AccessionNumber == expected

    def test_a_table_that_lacks_a_value_holds_and_names_the_row_without_it(self, tmp_path: Path) -> None:
        (tmp_path / "orders.csv").write_text("value,pseudonym\nACC-1,ORDER-A\n", encoding="utf-8")
        using = program(
            tmp_path, "attributes:\n  - {pseudonymise: [AccessionNumber], table: orders.csv, missing: hold}"
        )
        with pytest.raises(PseudonymMissing, match=r"orders\.csv.*\(0008,0050\).*token [0-9a-f]{32}") as caught:
            treat(tmp_path, using, dataset(AccessionNumber="ACC-9"))
        assert "ACC-9" not in str(caught.value)


class TestPatients:
    TABLE = "patient_id,issuer,pseudonym\nMRN-1,,SUBJ-1\nMRN-1,NORTH,SUBJ-2\nOLD-1,,SUBJ-1\n"

    def test_looked_up(self, tmp_path: Path) -> None:
        (tmp_path / "subjects.csv").write_text(self.TABLE, encoding="utf-8")
        using = program(tmp_path, "identity: {patient: {pseudonym: lookup, table: subjects.csv, missing: hold}}")
        rows = [
            ("MRN-1", "", "SUBJ-1"),
            ("MRN-1", "NORTH", "SUBJ-2"),
            ("MRN-1", "SOUTH", "SUBJ-1"),
            (" OLD-1 ", "", "SUBJ-1"),
        ]
        for patient_id, issuer, expected in rows:
            done = treat(tmp_path, using, dataset(PatientID=patient_id, IssuerOfPatientID=issuer))
            assert (done.dataset.PatientID, done.dataset.PatientName, done.output.patient_id) == (expected,) * 3

    def test_missing_in_the_table(self, tmp_path: Path) -> None:
        (tmp_path / "subjects.csv").write_text(self.TABLE, encoding="utf-8")
        using = program(tmp_path, "identity: {patient: {pseudonym: lookup, table: subjects.csv, missing: hold}}")
        with pytest.raises(PseudonymMissing, match=r"subjects\.csv.*the patient.*token [0-9a-f]{32}") as caught:
            treat(tmp_path, using, dataset(PatientID="MRN-9"))
        assert "MRN-9" not in str(caught.value)
        keyed = program(
            tmp_path,
            'identity: {patient: {pseudonym: lookup, table: subjects.csv, missing: keyed, format: "X-{base32:10}"}}',
        )
        assert treat(tmp_path, keyed, dataset(PatientID="MRN-9")).dataset.PatientID.startswith("X-")

    def test_two_rows_of_one_subject_share_its_shift(self, tmp_path: Path) -> None:
        (tmp_path / "subjects.csv").write_text(self.TABLE, encoding="utf-8")
        using = program(
            tmp_path,
            "identity: {patient: {pseudonym: lookup, table: subjects.csv, missing: hold}}\n"
            "dates: {shift: per-patient, days: -700..-1}",
            use="basic, retain-longitudinal-modified-dates",
        )
        dates = [
            treat(tmp_path, using, dataset(PatientID=one, StudyDate="20240229")).dataset.StudyDate
            for one in ("MRN-1", "OLD-1")
        ]
        assert dates[0] == dates[1] != "20240229"

    def test_numbered(self, tmp_path: Path) -> None:
        using = program(tmp_path, 'identity: {patient: {pseudonym: sequential, format: "SUBJ-{number:05}"}}')
        numbers = Counting()
        found = [
            treat(tmp_path, using, dataset(PatientID=one), numbers=numbers).dataset.PatientID
            for one in ("A1", "B1", "A1")
        ]
        assert found == ["SUBJ-00001", "SUBJ-00002", "SUBJ-00001"]
        with pytest.raises(RuleFailed, match="no ledger"):
            treat(tmp_path, using, dataset())

    def test_a_copy_of_the_identifier_is_the_pseudonym(self, tmp_path: Path) -> None:
        using = program(tmp_path, "attributes:\n  - copy: {ClinicalTrialSubjectID: PatientID}")
        found = treat(tmp_path, using, dataset()).dataset
        assert found.ClinicalTrialSubjectID == found.PatientID != "MRN-4711"

    def test_the_ledger_learns_what_a_rule_made_of_the_identifier(self, tmp_path: Path) -> None:
        using = program(tmp_path, 'attributes:\n  - {pseudonymise: [PatientID], format: "P-{base32:12}"}')
        done = treat(tmp_path, using, dataset())
        assert done.output.patient_id == done.dataset.PatientID
        assert done.output.patient_id.startswith("P-")

    def test_a_kept_identifier_stays_out_of_the_ledger(self, tmp_path: Path) -> None:
        using = program(tmp_path, "identified: true\nattributes:\n  - {keep: [PatientID], because: agreed}")
        done = treat(tmp_path, using, dataset())
        assert done.dataset.PatientID == "MRN-4711"
        assert "4711" not in done.output.patient_id


class TestPlaces:
    """Rules for places count there, and nowhere else."""

    @pytest.mark.parametrize(
        ("target", "top", "first", "second"),
        [
            ('"/StudyDescription"', None, "deep", "deeper"),  # at the top only
            ('"ViewCodeSequence/StudyDescription"', "top", None, "deeper"),  # inside one sequence
            ('"*/StudyDescription"', "top", None, "deeper"),  # inside any one
            ('"**/StudyDescription"', "top", None, None),  # at any depth below the top
            ('"ViewCodeSequence/*/StudyDescription"', "top", "deep", None),  # two levels down
            ('"*/ConceptNameCodeSequence/StudyDescription"', "top", "deep", None),
        ],
    )
    def test_paths(self, tmp_path: Path, target: str, top: str | None, first: str | None, second: str | None) -> None:
        using = program(tmp_path, f"attributes:\n  - keep: [StudyDescription]\n  - remove: [{target}]")
        inner = item(StudyDescription="deeper", CodeValue="2")
        outer = item(StudyDescription="deep", CodeValue="1", ConceptNameCodeSequence=Sequence([inner]))
        source = dataset(StudyDescription="top", ViewCodeSequence=Sequence([outer]))
        for syntax in SYNTAXES:
            found = treat(tmp_path, using, source, syntax=syntax).dataset
            nested = found.ViewCodeSequence[0]
            assert found.get("StudyDescription") == top
            assert nested.get("StudyDescription") == first
            assert nested.ConceptNameCodeSequence[0].get("StudyDescription") == second

    @pytest.mark.parametrize(
        ("rules", "top", "nested"),
        [
            # what names the place counts before what means many, whichever comes last
            (["remove: ['*/StudyDescription']", "keep: [ViewCodeSequence/StudyDescription]"], None, "deep"),
            (["keep: [ViewCodeSequence/StudyDescription]", "remove: ['*/StudyDescription']"], None, "deep"),
            # a place before an element wherever it is
            (["keep: [StudyDescription]", "remove: [ViewCodeSequence/StudyDescription]"], "top", None),
            (["remove: [ViewCodeSequence/StudyDescription]", "keep: [StudyDescription]"], "top", None),
            (["keep: [ViewCodeSequence/StudyDescription]", "remove: [StudyDescription]"], None, "deep"),
        ],
    )
    def test_the_narrower_rule_counts(
        self, tmp_path: Path, rules: list[str], top: str | None, nested: str | None
    ) -> None:
        written = "".join(f"  - {{{rule}, because: agreed}}\n" for rule in rules)
        using = program(tmp_path, f"attributes:\n{written}")
        inner = item(StudyDescription="deep", SeriesNumber=1)
        source = dataset(StudyDescription="top", ViewCodeSequence=Sequence([inner]))
        found = treat(tmp_path, using, source).dataset
        assert (found.get("StudyDescription"), found.ViewCodeSequence[0].get("StudyDescription")) == (top, nested)

    @pytest.mark.parametrize("keyword", ["CodeMeaning", "CodeValue"])
    def test_a_code_that_is_kept_at_its_place_is_not_cleaned(self, tmp_path: Path, keyword: str) -> None:
        using = program(tmp_path, f"attributes:\n  - {{keep: [ViewCodeSequence/{keyword}], because: agreed}}")
        source = dataset(
            **{
                sequence: Sequence([item(CodeValue="ZORBLAX", CodingSchemeDesignator="99ACME", CodeMeaning="Zorblax")])
                for sequence in ("ViewCodeSequence", "AnatomicRegionSequence")
            }
        )
        found = treat(tmp_path, using, source).dataset
        assert found.ViewCodeSequence[0][keyword].value.upper() == "ZORBLAX"
        assert found.AnatomicRegionSequence[0][keyword].value.upper() != "ZORBLAX"

    def test_a_kept_place_is_no_leak_and_others_still_are(self, tmp_path: Path) -> None:
        rules = 'attributes:\n  - {keep: ["ViewCodeSequence/AccessionNumber"], because: agreed}'
        using = program(tmp_path, rules)
        nested = item(AccessionNumber="ACC-481516", CodeValue="1")
        source = dataset(AccessionNumber="ACC-481516", ViewCodeSequence=Sequence([nested]))
        found = treat(tmp_path, using, source).dataset
        assert found.AccessionNumber == ""
        assert found.ViewCodeSequence[0].AccessionNumber == "ACC-481516"
        elsewhere = dataset(AccessionNumber="ACC-481516", FillPattern=b"ACC-481516")
        with pytest.raises(LeakSuspected, match=r"\(0070,0256\)"):
            treat(tmp_path, using, elsewhere)

    def test_by_vr(self, tmp_path: Path) -> None:
        using = program(tmp_path, 'attributes:\n  - remove: ["VR:UT"]')
        source = dataset(TextValue="long text", SeriesNumber=1, ViewCodeSequence=Sequence([item(TextValue="deep")]))
        found = treat(tmp_path, using, source).dataset
        assert "TextValue" not in found
        assert "TextValue" not in found.ViewCodeSequence[0]
        assert found.SeriesNumber == 1

    def test_patterns(self, tmp_path: Path) -> None:
        using = program(tmp_path, 'attributes:\n  - {keep: ["(60xx,xxxx)"], because: drawings are checked}')
        source = dataset()
        source.add_new(0x60020010, "US", 512)
        source.add_new(0x50000010, "US", 512)
        found = treat(tmp_path, using, source).dataset
        assert 0x60020010 in found
        assert 0x50000010 not in found


class TestConditions:
    RULES = """
attributes:
  - keep: [StudyDescription]
    when: Modality in ["CR", "DX"]
    because: agreed
  - keep: [SeriesDescription]
    when: calling_ae == "CT1"
    because: agreed
  - keep: [ProtocolName]
    because: agreed
  - remove: [ProtocolName]
    when: present("Rows") && Rows > 100
  - remove: [BodyPartExamined]
    when: items("ViewCodeSequence", "CodeValue").exists(c, c == "7")
"""

    @pytest.mark.parametrize(
        ("given", "sender", "kept"),
        [
            # no condition holds
            ({"Modality": "CT"}, None, {"ProtocolName", "BodyPartExamined"}),
            # one does
            ({"Modality": "DX"}, None, {"ProtocolName", "BodyPartExamined", "StudyDescription"}),
            ({"Modality": "CT", "Rows": 512}, None, {"BodyPartExamined"}),
            ({"Modality": "CT", "Rows": 16}, None, {"ProtocolName", "BodyPartExamined"}),
            # the sender counts
            ({"Modality": "CT"}, {"calling_ae": "CT1"}, {"ProtocolName", "BodyPartExamined", "SeriesDescription"}),
            # and what items hold
            ({"Modality": "CT", "ViewCodeSequence": Sequence([item(CodeValue="7")])}, None, {"ProtocolName"}),
            # all of them
            (
                {"Modality": "DX", "Rows": 512, "ViewCodeSequence": Sequence([item(CodeValue="7")])},
                {"calling_ae": "CT1"},
                {"StudyDescription", "SeriesDescription"},
            ),
        ],
    )
    def test_rules_apply_when_they_hold(
        self, tmp_path: Path, given: dict[str, Any], sender: dict[str, str] | None, kept: set[str]
    ) -> None:
        texts = ("StudyDescription", "ProtocolName", "SeriesDescription", "BodyPartExamined")
        source = dataset(**dict.fromkeys(texts, "CHEST"), **given)
        found = treat(tmp_path, program(tmp_path, self.RULES), source, sender=sender).dataset
        assert {keyword for keyword in texts if keyword in found} == kept

    def test_a_condition_that_fails_holds_the_instance(self, tmp_path: Path) -> None:
        using = program(tmp_path, "attributes:\n  - {remove: [ProtocolName], when: Rows > 100}")
        with pytest.raises(RuleFailed, match="the condition at"):
            treat(tmp_path, using, dataset())

    def test_conditions_see_what_was_received(self, tmp_path: Path) -> None:
        rules = 'attributes:\n  - {keep: [StudyDescription], when: PatientName.startsWith("MOCKBURY"), because: agreed}'
        found = treat(tmp_path, program(tmp_path, rules), dataset(StudyDescription="CT")).dataset
        assert found.StudyDescription == "CT"


class TestDates:
    USE = "basic, retain-longitudinal-modified-dates"
    SHIFT = "dates: {shift: per-patient, days: -700..-1}"

    def source(self) -> Dataset:
        return dataset(
            StudyDate="20240229",
            StudyTime="101112",
            AcquisitionDateTime="20240229101112.5+0100",
            ContentDate="20240301",
            PatientBirthDate="19610808",
            PatientAge="062Y",
            ViewCodeSequence=Sequence([item(StudyDate="20231231", CodeValue="1")]),
        )

    @pytest.mark.parametrize("syntax", SYNTAXES)
    def test_all_dates_move_alike(self, tmp_path: Path, syntax: str) -> None:
        using = program(tmp_path, self.SHIFT, use=self.USE)
        found = treat(tmp_path, using, self.source(), syntax=syntax).dataset
        assert found.LongitudinalTemporalInformationModified == "MODIFIED"
        assert "113107" in [code.CodeValue for code in found.DeidentificationMethodCodeSequence]
        assert found.StudyDate < "20240229"
        assert found.StudyTime == "101112"
        assert found.AcquisitionDateTime == f"{found.StudyDate}101112.5+0100"
        assert days(found.ContentDate) - days(found.StudyDate) == 1
        assert days(found.StudyDate) - days(found.ViewCodeSequence[0].StudyDate) == 60

    def test_birth_dates_move_where_a_rule_says_so(self, tmp_path: Path) -> None:
        rules = f"{self.SHIFT}\nattributes:\n  - {{shift-date: [PatientBirthDate], because: ages matter}}"
        plain = treat(tmp_path, program(tmp_path, self.SHIFT, use=self.USE), self.source()).dataset
        found = treat(tmp_path, program(tmp_path, rules, use=self.USE), self.source()).dataset
        assert plain.PatientBirthDate == ""
        assert days(found.StudyDate) - days(found.PatientBirthDate) == days("20240229") - days("19610808")

    def test_a_date_that_is_none_goes_or_holds(self, tmp_path: Path) -> None:
        source = dataset(StudyDate="2024AB12", ContentDate="20240301")
        found = treat(tmp_path, program(tmp_path, self.SHIFT, use=self.USE), source).dataset
        assert found.StudyDate == ""  # Type 2
        held = program(tmp_path, f"{self.SHIFT}\nwhen-unsure: hold", use=self.USE)
        with pytest.raises(RuleFailed, match=r"\(0008,0020\).*no date") as caught:
            treat(tmp_path, held, source)
        assert "2024AB12" not in str(caught.value)

    def test_the_original_date_in_another_place_is_a_leak(self, tmp_path: Path) -> None:
        source = self.source()
        source.ReferencedFrameNumber = "20240229"
        with pytest.raises(LeakSuspected, match=r"\(0008,1160\).*date"):
            treat(tmp_path, program(tmp_path, self.SHIFT, use=self.USE), source)

    def test_full_dates_stay(self, tmp_path: Path) -> None:
        using = program(tmp_path, "", use="basic, retain-longitudinal-full-dates")
        found = treat(tmp_path, using, self.source()).dataset
        assert (found.StudyDate, found.LongitudinalTemporalInformationModified) == ("20240229", "UNMODIFIED")


def days(text: str) -> int:
    from datetime import date

    return date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal()


def test_a_trace_has_an_entry_for_every_element(tmp_path: Path) -> None:
    using = program(
        tmp_path, "attributes:\n  - {clean: [StudyDescription], because: agreed}\n  - insert: {ClinicalTrialSiteID: S1}"
    )
    source = dataset(
        StudyDescription="CHEST MOCKBURY",
        ViewCodeSequence=Sequence([item(CodeValue="1"), item(PatientName="MOCKBURY^T")]),
    )
    done = treat(tmp_path, using, source)
    entries = {entry.place: entry for entry in done.trace.entries}
    assert len(entries) == len(done.trace.entries)
    description = entries["(0008,1030)"]
    assert (description.before, description.after) == (b"CHEST MOCKBURY", b"CHEST ")
    assert (description.action.verb.value, description.action.because) == ("clean", "agreed")
    assert (entries["(0054,0220)"].is_sequence, entries["(0054,0220)"].after) == (True, b"")
    assert entries["(0054,0220)[0]/(0008,0100)"].after == b"1 "
    assert entries["(0054,0220)[1]/(0010,0010)"].after == b""
    pseudonym = entries["(0010,0020)"]
    assert (pseudonym.action.verb.value, pseudonym.action.origin.layer) == ("pseudonymise", "basic")
    inserted = entries["(0012,0040)"] if "(0012,0040)" in entries else entries["(0012,0030)"]
    assert (inserted.is_new, inserted.after) == (True, b"S1")
    # the entries are the output, and what was received besides
    there = {entry.place for entry in done.trace.entries if entry.after is not None and not entry.path}
    assert there == {f"({element.tag.group:04X},{element.tag.element:04X})" for element in done.dataset}
    assert {f"({element.tag.group:04X},{element.tag.element:04X})" for element in source} <= entries.keys()


def test_the_same_input_gives_the_same_output_on_any_node(tmp_path: Path) -> None:
    rules = (
        "dates: {shift: per-patient, days: -700..-1}\nattributes:\n"
        '  - {pseudonymise: [AccessionNumber], format: "A{base32:12}"}\n  - clean: [StudyDescription]'
    )
    use = "basic, retain-longitudinal-modified-dates, clean-descriptors"
    source = dataset(AccessionNumber="1", StudyDate="20240229", StudyDescription="CHEST", StudyID="4")
    one = treat(tmp_path, program(tmp_path, rules, use=use), source).output
    two = treat(tmp_path, program(tmp_path, rules, use=use), source, key=ProjectKey(b"k" * 32)).output
    assert one == two
    assert KEY.token("a") == ProjectKey(b"k" * 32).token("a")
