"""Scripts with every function of CTP, imported in both forms and applied: the same where CTP is right, else stricter.

The scripts are written for these tests in the grammar of CTP.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom.dataset import Dataset

from gateway.dicom.dictionary import VR_OF, keyword_of, tag_of
from gateway.errors import ProfileError, PseudonymMissing
from gateway.profile import Program, Verb
from gateway.profile.importers.ctp import Imported
from gateway.profile.importers.ctp.script import FUNCTIONS
from gateway.rehearsal.trial import check_by_trial
from tests.unit.profile.importers.ctp.support import (
    FORMS,
    Script,
    apply,
    decision,
    import_script,
    instance,
    item,
    load,
    shown,
)


class Like(str):
    """An expected value that a pattern describes."""

    __slots__ = ()


class Row(NamedTuple):
    """An element with its script, the value it has and the value it gets; None is absent."""

    keyword: str
    script: str
    given: str | list[str] | None
    expected: str | None


KEYED16 = Like("[A-Z2-7]{16}")
PARAMETERS = {
    "SITEID": "17",
    "UIDROOT": "1.2.840.99999",
    "DATEINC": "-30",
    "TRIAL": "LUNG-1",
    "KEY": "secret",
    "N": "5",
}
LOOKUP = "desc/BRAIN=NEURO\ndesc/CHEST=THORAX\ncode/A=@desc/CHEST\n"

#: One element per row; all of them stand in one script and one instance.
ROWS = [
    # keep, although the basic profile removes it
    Row("StudyDescription", "@keep()", "KNEE", "KNEE"),
    # remove, although the basic profile keeps it
    Row("BodyPartExamined", "@remove()", "KNEE", None),
    # text beside it does not matter
    Row("Laterality", "x@remove()", "L", None),
    # no value
    Row("ReferringPhysicianName", "@empty()", "DOE^J", ""),
    # blanks are padding
    Row("PhysiciansOfRecord", "@blank(10)", "DOE^J", ""),
    # an empty script empties
    Row("PerformingPhysicianName", "", "DOE^J", ""),
    # text is the new value
    Row("InstitutionName", "Imaging Trial", "St. Anne", "Imaging Trial"),
    # escaped characters are text
    Row("StationName", r"A\@B", "CT01", "A@B"),
    # a parameter is text
    Row("SeriesDescription", "@param(@TRIAL) series", "HEAD OF MR X", "LUNG-1 series"),
    # an unknown parameter would write "null": the basic profile's rule
    Row("ProtocolName", "@param(@NOSUCH)", "HEAD OF MR X", None),
    # created where it is missing
    Row("ClinicalTrialSponsorName", "@always()@param(@TRIAL)", None, "LUNG-1"),
    # replaced where it is there
    Row("ClinicalTrialProtocolID", "@always()Protocol 1", "OLD", "Protocol 1"),
    # without always nothing is created
    Row("ClinicalTrialProtocolName", "Protocol 1", None, None),
    # kept if there
    Row("ClinicalTrialSiteID", "@require()", "S1", "S1"),
    # a default where it is missing
    Row("ClinicalTrialSiteName", '@always()@require(FilterThicknessMinimum,"Site 1")', None, "Site 1"),
    # a copy where it is missing and the source is there and stays
    Row("ClinicalTrialSubjectReadingID", "@always()@require(SeriesNumber)", None, "7"),
    # the value itself
    Row("ImageComments", "@contents(this)", None, None),
    Row("PatientComments", "@contents(this)", "tall", "tall"),
    # without what matches
    Row("AdditionalPatientHistory", '@contents(this,"[0-9]+")', "born 1950 in 7 Oaks", "born  in  Oaks"),
    # what matches replaced, with a group
    Row("RequestedProcedureDescription", '@contents(this,"(K)NEE","$1-")', "KNEE 1", "K- 1"),
    # a class of Java's and RE2's
    Row("ReasonForVisit", r'@contents(this,"\p{Lu}+","x")', "HEAD of MR", "x of x"),
    # a pattern that looks ahead, which no search in linear time can: the basic profile's rule
    Row("AcquisitionComments", r'@contents(this,"O(?=F)","")', "HEAD OF MR X", None),
    # a copy of an element that stays
    Row("AcquisitionDeviceProcessingDescription", "@contents(Modality)", "soft", "CT"),
    # a copy of one that does not would let the original out
    Row("RequestedProcedureComments", "@contents(PatientAddress)", "x", None),
    # text around the value
    Row("ReasonForStudy", "(@contents(this))", "pain", "(pain)"),
    # the value, or a default if it is empty
    Row("AdmittingDiagnosesDescription", '@value(this,"none")', "flu", "flu"),
    Row("VisitComments", '@value(this,"none")', "", "none"),
    # the first characters; the last ones
    Row("PatientTelephoneNumbers", "@truncate(this,3)", "555-0199", "555"),
    Row("RegionOfResidence", "@truncate(this,-4)", "Region 12 West", "West"),
    # letters are not changed
    Row("Occupation", "@uppercase(this)", "pilot", "pilot"),
    Row("MedicalAlerts", "@lowercase(this)", "NUTS", "NUTS"),
    # initials identify: the basic profile's rule
    Row("OtherPatientNames", "@initials(PatientName)", "TESTER^T", None),
    # parts of a path, from its beginning and its end; the whole path where there is no such part is not let out
    Row("CountryOfResidence", "@pathelement(this,1)", "eu/es/vlc", "es"),
    Row("Allergies", "@pathelement(this,-1)", "eu/es/vlc", "vlc"),
    Row("PatientReligiousPreference", "@pathelement(this,9)", "eu/es/vlc", None),
    # hashes become keyed pseudonyms
    Row("AccessionNumber", "@hash(this)", "ACC4711", KEYED16),
    Row("StudyID", "@hash(this,10)", "4711", Like("[A-Z2-7]{10}")),
    # too short a hash would let values share it
    Row("AdmissionID", "@hash(this,@N)", "4711", Like("[A-Z2-7]{8}")),
    Row("OperatorsName", "@hashname(this,12,2)", "DOE^J", Like("[A-Z2-7]{12}")),
    Row("OtherPatientIDs", "X-@hashptid(@SITEID,this)", "MRN-1", Like("X-[A-Z2-7]{16}")),
    Row("MedicalRecordLocator", '@encrypt(this,"key")', "4711", KEYED16),
    # a hash of a number is none: CTP leaves the value
    Row("SeriesNumber", "@keep()", "7", "7"),
    Row("Rows", "@hash(this)", "512", Like("(?!512).*")),
    # restoring what was encrypted
    Row("InsurancePlanIdentification", "@decrypt(this,@KEY)", "xyz", None),
    # new UIDs
    Row("SOPInstanceUID", "@hashuid(@UIDROOT,this)", "1.2.3.4", Like(r"2\.25\.\d+")),
    Row("FrameOfReferenceUID", "@hashuid(@UIDROOT,this,StudyDate)", "1.2.3.9", Like(r"2\.25\.\d+")),
    # an archive finds studies by it
    Row("StudyInstanceUID", "@remove()", "1.2.3", Like(r"2\.25\.\d+")),
    # kept by the script
    Row("SeriesInstanceUID", "@keep()", "1.2.3.1", "1.2.3.1"),
    # nobody could read the rest
    Row("SOPClassUID", "@remove()", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2"),
    # dates move by days that depend on the patient
    Row("StudyDate", "@incrementdate(this,@DATEINC)", "20200131", Like(r"20[12]\d{5}")),
    # a parameter that the script does not have: another anonymizer fills it in, or moves by days of its own
    Row("DateOfSecondaryCapture", "@incrementdate(this,@JITTER)", "20200131", Like(r"20[12]\d{5}")),
    Row("SeriesDate", "@hashdate(this,PatientID)", "20200131", Like(r"20[12]\d{5}")),
    Row("AcquisitionDate", "@incrementdate(this,PatientID,ptid)", "20200131", Like(r"20[12]\d{5}")),
    # the year, or the month, or another date
    Row("PatientBirthDate", "@modifydate(this,*,01,01)", "19500617", "19500101"),
    Row("ContentDate", "@modifydate(this,*,*,1)", "20200131", "20200101"),
    Row("DateOfLastCalibration", "@modifydate(this,2000,2,3)", "20200131", "20000203"),
    # half a date is the basic profile's business
    Row("ScheduledProcedureStepStartDate", "@modifydate(this,1900,*,*)", "20200131", None),
    # days since a date of a table
    Row("AdmittingDate", "@dateinterval(this,base,PatientID)", "20200131", None),
    # the time of processing differs between the instances of a study
    Row("InstanceCreationDate", "@date()", "20200131", None),
    Row("InstanceCreationTime", "@time(:)", "1200", None),
    # ages in groups, the oldest in one
    Row("PatientAge", "@round(this,5)", "048Y", "045Y"),
    Row("PatientWeight", "@round(this,10)", "78.5", "80"),
    # look-up
    Row("ContrastBolusAgent", "@lookup(this,desc)", "BRAIN", "NEURO"),
    Row("DerivationDescription", "@lookup(this,desc,remove)", "ELSEWHERE", None),
    Row("FilterType", "@lookup(this,desc,empty)", "ELSEWHERE", ""),
    # an entry that refers to another
    Row("RequestingService", "@lookup(this,code)", "A", "THORAX"),
    # a key of two elements, and one of another element
    Row("CurrentPatientLocation", "@lookup(this|Modality,desc)", "W1", None),
    Row("PatientState", "@lookup(PatientID,desc)", "x", None),
    # numbers in the order of arrival
    Row("IssuerOfPatientID", "N@integer(this,issuer,4)", "St. Anne", Like(r"N\d{4}")),
    # a value more
    Row("RequestingPhysician", "@append(){ME}", "DOE^J", None),
    # a plug-in
    Row("PatientBirthName", "@call(ext,this)", "TESTER", None),
    # CTP would write the call as the value
    Row("DeviceSerialNumber", "@hashhptid(@SITEID,this)", "SN1", None),
    # and as the value of what the basic profile keeps: gone, as far as the IOD allows
    Row("SliceThickness", "@frobnicate(this)", "1.5", ""),
    Row("FilterMaterial", "@frobnicate(this)", "COPPER", None),
    # a script that cannot be read
    Row("KVP", "@keep", "120", ""),
    # conditions, of this and other elements
    Row("Manufacturer", '@if(this,contains,"acme"){Acme}{@remove()}', "ACME Inc.", "Acme"),
    Row("ManufacturerModelName", '@if(Modality,equals,"mr"){@keep()}{@remove()}', "M1", None),
    Row("SoftwareVersions", '@if(SeriesNumber,greaterthan,6){@keep()}{@remove()}', "V1", "V1"),
    Row("GantryID", '@if(Modality,matches,"C."){G}{@remove()}', "G1", "G"),
    Row("TimezoneOffsetFromUTC", "@if(ImageComments,exists){@keep()}{@remove()}", "+0100", None),
    Row("InstitutionAddress", "@if(this,isblank){@remove()}{Street}", "1 Oak Rd", "Street"),
    Row("InstitutionalDepartmentName", '@if(Modality,equals,"CT"){@if(SeriesNumber,equals,"8"){A}{B}}{C}', "Dep", "B"),
    # no else: the value goes
    Row("ScheduledStationName", '@if(Modality,equals,"MR"){@keep()}', "ST1", ""),
    # a test that CTP does not know: CTP takes the second block, whatever is asked
    Row("ScheduledStationAETitle", '@if(Modality,equal,"CT"){@remove()}{@keep()}', "ST1AE", None),
    # the root is not an item
    Row("MilitaryRank", "@select(){@keep()}{@remove()}", "MOM", "MOM"),
    # the gateway says itself what it did
    Row("PatientIdentityRemoved", "NO", "NO", "YES"),
]  # fmt: skip
#: The elements of the script that are not in ROWS, because they have no values to compare.
OTHERS = {
    "ReferencedStudySequence": "@process()",
    "0019[ACME HEADER]10": "@keep()",
    "0019[ACME HEADER]11": "@always()@hash(this)",
    "0019[OTHER]10": "@remove()",
}


def given() -> Dataset:
    dataset = instance(Modality="CT")
    for row in ROWS:
        if row.given is not None:
            setattr(dataset, row.keyword, int(str(row.given)) if row.keyword == "Rows" else row.given)
    dataset.ReferencedStudySequence = [item(MilitaryRank="MOM", StudyDescription="KNEE", PatientAddress="Oak")]
    block = dataset.private_block(0x0019, "acme header", create=True)
    block.add_new(0x10, "LO", "kept")
    block.add_new(0x11, "LO", "not kept")
    dataset.private_block(0x0019, "OTHER", create=True).add_new(0x10, "LO", "not kept")
    return dataset


@pytest.fixture(scope="module", params=FORMS)
def output(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    directory = tmp_path_factory.mktemp(request.param)
    elements = {row.keyword: row.script for row in ROWS if row.script or row.given} | OTHERS
    imported = import_script(directory, Script(elements, PARAMETERS), request.param, lookup=LOOKUP)
    return apply(directory, load(directory, imported), given())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.keyword}: {row.script}")
def test_values(output: Dataset, row: Row) -> None:
    found = shown(output, row.keyword)
    if isinstance(row.expected, Like):
        assert found is not None
        assert re.fullmatch(row.expected, found)
        assert found != row.given
    else:
        assert found == row.expected


def test_sequences_that_are_processed_have_the_rules_inside(output: Dataset) -> None:
    (inside,) = output.ReferencedStudySequence
    # the script's rule, the branch of @select for items, the basic profile's rule
    assert shown(inside, "StudyDescription") == "KNEE"
    assert "MilitaryRank" not in inside
    assert "PatientAddress" not in inside


def test_private_elements_are_kept_by_creator_only(output: Dataset) -> None:
    private = [element.value for element in output if element.tag.is_private]
    assert private == ["acme header", "kept"]


def test_intervals_of_shifted_dates_are_kept(output: Dataset) -> None:
    assert output.StudyDate == output.SeriesDate == output.AcquisitionDate


def test_every_function_stands_in_a_script() -> None:
    scripts = " ".join([*(row.script for row in ROWS), *OTHERS.values(), "@quarantine() @skip()"])
    used = {name for name in FUNCTIONS if f"@{name}(" in scripts}
    assert used == FUNCTIONS


def test_what_an_import_writes_passes_the_check(tmp_path: Path) -> None:
    """With every function of CTP; and each rule by which something stays is asked about, for a script is no reason."""
    elements = {row.keyword: row.script for row in ROWS if row.script or row.given} | OTHERS
    found = import_script(tmp_path, Script(elements, PARAMETERS), FORMS[0], lookup=LOOKUP)
    for name, text in {**found.tables, "imported.yaml": found.profile_text}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    report = check_by_trial(tmp_path / "imported.yaml", search=[tmp_path])
    assert report.errors == ()
    assert report.program is not None
    asked = {one.text.partition(": ")[0] for one in report.warnings if "is weaker" in one.text}
    assert {"StudyDescription", "StudyDate", "(0019,xx10) ACME HEADER"} <= {one.removeprefix("/") for one in asked}
    assert not {"Laterality", "InstitutionName", "AccessionNumber"} & asked


def imported(directory: Path, elements: dict[str, str], **more: object) -> tuple[Imported, Program]:
    lookup = str(more.pop("lookup", ""))
    found = import_script(directory, Script(elements, PARAMETERS, **more), lookup=lookup)  # type: ignore[arg-type]
    return found, load(directory, found)


PATIENTS = "ptid/MRN-4711=SUBJECT-7\n"


@pytest.mark.parametrize(
    ("elements", "patient_id", "patient_name"),
    [
        # an unkeyed hash becomes a keyed pseudonym, for both
        ({"PatientID": "@hashptid(@SITEID,this,12)"}, Like("[A-Z2-7]{12}"), Like("[A-Z2-7]{12}")),
        # with the text around it
        ({"PatientID": "T1-@hash(this)-X"}, Like("T1-[A-Z2-7]{16}-X"), Like("T1-[A-Z2-7]{16}-X")),
        # a table
        ({"PatientID": "@lookup(this,ptid)", "PatientName": "@lookup(PatientID,ptid)"}, "SUBJECT-7", "SUBJECT-7"),
        # numbers
        ({"PatientID": "SUBJ-@integer(this,ptid,5)"}, "SUBJ-00001", "SUBJ-00001"),
        # one name for all would not tell patients apart
        ({"PatientID": "ANONYMOUS", "PatientName": "ANON^Y"}, KEYED16, KEYED16),
        # whoever is removed belongs to nobody
        ({"PatientID": "@remove()", "PatientName": "@empty()"}, KEYED16, KEYED16),
        # one kind of pseudonym for all
        ({"PatientID": '@if(Modality,equals,"CT"){@keep()}{@hash(this)}'}, KEYED16, KEYED16),
    ],
)
def test_patient(tmp_path: Path, elements: dict[str, str], patient_id: str, patient_name: str) -> None:
    _, program = imported(tmp_path, elements, lookup=PATIENTS)
    output = apply(tmp_path, program, instance(Modality="CT"))
    for keyword, expected in (("PatientID", patient_id), ("PatientName", patient_name)):
        pattern = expected if isinstance(expected, Like) else re.escape(expected)
        assert re.fullmatch(pattern, shown(output, keyword) or "")


def test_a_script_that_keeps_who_the_patient_is(tmp_path: Path) -> None:
    """It is imported as it is, and not used unless somebody says that the outputs are identified."""
    with pytest.raises(ProfileError, match="keeps PatientName, which names the patient"):
        imported(tmp_path, {"PatientID": "@keep()", "PatientName": "@keep()"}, lookup=PATIENTS)


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        # CTP quarantines: held
        ("@lookup(this,desc)", True),
        # CTP lets the original, a text or what matches pass: held
        ("@lookup(this,desc,keep)", True),
        ('@lookup(this,desc,default,"X")', True),
        ('@lookup(this,desc,ignore,".*")', True),
        # CTP looks up in capital letters: what is not in the table as it stands is held
        ("@lookup(this,desc,UC)", True),
        # removed, as the script says
        ("@lookup(this,desc,remove)", False),
    ],
)
def test_missing_rows_of_a_table(tmp_path: Path, script: str, missing: bool) -> None:
    found, program = imported(tmp_path, {"FilterType": script}, lookup=LOOKUP)
    dataset = instance(FilterType="brain")
    if missing:
        with pytest.raises(PseudonymMissing):
            apply(tmp_path, program, dataset)
    else:
        assert "FilterType" not in apply(tmp_path, program, dataset)
    told = [one.script for one in found.not_carried]
    assert told == ([script] if script.count(",") > 1 and missing else [])


def test_a_patient_who_is_not_in_the_table_is_held(tmp_path: Path) -> None:
    _, program = imported(tmp_path, {"PatientID": "@lookup(this,ptid,keep)"}, lookup=PATIENTS)
    with pytest.raises(PseudonymMissing):
        apply(tmp_path, program, instance(PatientID="MRN-1"))


@pytest.mark.parametrize(
    ("script", "values", "outcome"),
    [
        # wherever the element is
        ("@quarantine()", {"ImageComments": "x"}, "held"),
        ("@quarantine()", {}, "accepted"),
        # CTP passes the original on
        ("@skip()", {"ImageComments": "x"}, "held"),
        # even where it is not
        ("@always()@skip()", {}, "held"),
        # as a branch
        ('@if(Modality,equals,"SR"){@quarantine()}{@keep()}', {"ImageComments": "x", "Modality": "SR"}, "held"),
        ('@if(Modality,equals,"SR"){@quarantine()}{@keep()}', {"ImageComments": "x", "Modality": "CT"}, "accepted"),
        ('@if(this,contains,"SECRET"){@skip()}{@keep()}', {"ImageComments": "top secret"}, "held"),
        ('@if(this,contains,"SECRET"){@skip()}{@keep()}', {"ImageComments": "knee"}, "accepted"),
        # with a condition that cannot be said, all are held
        ('@if(0019[ACME]10,equals,"x"){@quarantine()}{@keep()}', {"ImageComments": "x"}, "held"),
        # in a branch for items too, for nobody looks there
        ("@select(){@keep()}{@quarantine()}", {}, "held"),
    ],
)
def test_instances_that_are_held(tmp_path: Path, script: str, values: dict[str, str], outcome: str) -> None:
    _, program = imported(tmp_path, {"ImageComments": script})
    assert decision(tmp_path, program, instance(**values)) == outcome


# by tag, by creator, file meta, the patient, the SOP class: where the condition cannot be said, all are held
@pytest.mark.parametrize("element", ["00191010", "0019[ACME]10", "00020010", "PatientIdentityRemoved", "PatientID"])
def test_quarantine_is_never_lost(tmp_path: Path, element: str) -> None:
    found, program = imported(tmp_path, {element: "@if(this,isblank){@remove()}{@quarantine()}", "KVP": "@keep()"})
    assert decision(tmp_path, program, instance()) == "held"
    assert found.not_carried


# what a branch leads to depends on the instance
@pytest.mark.parametrize(("modality", "expected"), [("CT", "KNEE"), ("MR", None), (None, None)])
def test_both_branches(tmp_path: Path, modality: str | None, expected: str | None) -> None:
    script = '@if(Modality,equals,"CT"){@keep()}{@remove()}'
    _, program = imported(tmp_path, {"StudyDescription": script, "ReferencedStudySequence": "@process()"})
    dataset = instance(StudyDescription="KNEE", **({} if modality is None else {"Modality": modality}))
    dataset.ReferencedStudySequence = [item(StudyDescription="KNEE")]
    output = apply(tmp_path, program, dataset)
    assert shown(output, "StudyDescription") == expected
    # CTP looks at the item's own Modality: nested ones are removed
    assert shown(output.ReferencedStudySequence[0], "StudyDescription") is None


def test_what_the_script_does_not_mention_has_the_basic_profile(tmp_path: Path) -> None:
    _, program = imported(tmp_path, {"StudyDescription": "@keep()"}, remove=())
    dataset = instance(StudyDescription="KNEE", PatientAddress="Oak", KVP="120")
    # CTP keeps sequences that have no script, with all they hold
    dataset.RequestAttributesSequence = [item(StudyDescription="KNEE", RequestedProcedureDescription="OF MR X")]
    dataset.private_block(0x0019, "ACME", create=True).add_new(0x10, "LO", "TESTER")
    output = apply(tmp_path, program, dataset)
    assert shown(output, "PatientAddress") is None
    assert shown(output, "KVP") == "120"
    assert "RequestAttributesSequence" not in output
    assert not [element for element in output if element.tag.is_private]


def test_unspecified_elements_are_removed(tmp_path: Path) -> None:
    elements = {"Modality": "@keep()", "StudyDescription": "@keep()"}
    _, program = imported(tmp_path, elements, keep=("0018",), remove=("privategroups", "unspecifiedelements"))
    dataset = instance(Modality="CT", KVP="120", DeviceSerialNumber="SN1", SeriesNumber="7", Rows=1, Columns=1)
    dataset.BitsAllocated, dataset.PixelData = 8, b"\0\0"
    dataset["PixelData"].VR = "OB"
    dataset.PixelDataProviderURL = "http://pacs/x"
    output = apply(tmp_path, program, dataset)
    # kept: by the script, by a group of the script, by a group that CTP always keeps
    assert [shown(output, keyword) for keyword in ("Modality", "KVP", "Rows")] == ["CT", "120", "1"]
    assert output.PixelData == b"\0\0"
    # not mentioned: gone, though the basic profile keeps it
    assert "SeriesNumber" not in output
    # in the groups that are kept the basic profile's rules are in force
    assert shown(output, "DeviceSerialNumber") != "SN1"
    assert "PixelDataProviderURL" not in output


def test_in_sequences_that_are_not_specified_nothing_stays(tmp_path: Path) -> None:
    """What the script keeps would otherwise stay in the items of a sequence that the basic profile leaves."""
    elements = {"Modality": "@keep()", "InstitutionName": "@keep()", "RelatedSeriesSequence": "@process()"}
    _, program = imported(tmp_path, elements, remove=("privategroups", "unspecifiedelements"))
    sequences = [tag for tag, vr in VR_OF.items() if vr == b"SQ" and tag >> 16 not in (0x0000, 0x0002, 0x0004)]
    left = {keyword_of(tag) for tag in sequences if program.action(tag).verb is not Verb.REMOVE}
    # The groups that CTP always keeps, and what the script processes; what the gateway writes itself.
    assert {one for one in left if (tag_of(one) or 0) >> 16 != 0x0028} <= {
        "RelatedSeriesSequence", "DeidentificationMethodCodeSequence",
    }  # fmt: skip
    dataset = instance(Modality="CT", InstitutionName="St. Anne")
    dataset.ReferencedImageSequence = [item(InstitutionName="St. Anne")]
    dataset.RelatedSeriesSequence = [item(InstitutionName="St. Anne", StationName="CT01")]
    output = apply(tmp_path, program, dataset)
    assert "ReferencedImageSequence" not in output
    assert shown(output, "InstitutionName") == "St. Anne"


def test_the_script_overrides_what_the_basic_profile_says_in_kept_groups(tmp_path: Path) -> None:
    elements = {"DeviceSerialNumber": "@keep()", "ProtocolName": "@keep()"}
    _, program = imported(tmp_path, elements, keep=("18",), remove=("unspecifiedelements",))
    output = apply(tmp_path, program, instance(DeviceSerialNumber="SN1", ProtocolName="KNEE", GantryID="G1"))
    assert [shown(output, keyword) for keyword in ("DeviceSerialNumber", "ProtocolName")] == ["SN1", "KNEE"]
    assert "GantryID" not in output


@pytest.mark.parametrize(
    ("keep", "remove", "proposed", "not_proposed"),
    [
        # all private groups: every creator of which something is known
        ((), (), ["retain-safe-private] keeps what is known of ELSCINT1", "Image Private Header"], ["no layer"]),
        # one group: the creators of this group
        (("0019",), ("privategroups",), ["known of GEMS_ACQU_01, SIEMENS MR HEADER"], ["ELSCINT1", "Image Private"]),
        (("0065",), ("privategroups",), ["retain-acquisition-private] keeps", "Image Private"], ["safe-private]"]),
        # of which nobody knows anything
        (("0099",), ("privategroups",), ["no layer knows anything"], ["use: ["]),
    ],
)
def test_what_layers_know_of_private_elements_is_proposed(
    tmp_path: Path, keep: tuple[str, ...], remove: tuple[str, ...], proposed: list[str], not_proposed: list[str]
) -> None:
    found, program = imported(tmp_path, {"StudyDescription": "@keep()"}, keep=keep, remove=remove)
    (told,) = [one.what_instead for one in found.not_carried if one.what_instead.startswith("private elements are")]
    assert all(one in told for one in proposed)
    assert not any(one in told for one in not_proposed)
    # It is proposed, not done.
    assert (program.safe_private, program.private_elements) == (False, ())


def test_safe_private_elements(tmp_path: Path) -> None:
    found, program = imported(tmp_path, {"StudyDescription": "@keep()"}, keep=("safeprivateelements",))
    assert program.safe_private
    assert any("list of its own" in one.why for one in found.not_carried)


def test_groups_of_private_elements_are_not_kept_as_a_whole(tmp_path: Path) -> None:
    found, program = imported(
        tmp_path, {"StudyDescription": "@keep()"}, keep=("0019",), remove=("unspecifiedelements",)
    )
    assert any("0019" in one.script for one in found.not_carried)
    dataset = instance()
    dataset.private_block(0x0019, "ACME", create=True).add_new(0x10, "LO", "x")
    assert not [element for element in apply(tmp_path, program, dataset) if element.tag.is_private]


def test_dates_that_are_kept_are_stamped_so(tmp_path: Path) -> None:
    _, program = imported(tmp_path, {"StudyDate": "@keep()"})
    output = apply(tmp_path, program, instance(StudyDate="20200131"))
    assert output.StudyDate == "20200131"
    assert output.LongitudinalTemporalInformationModified == "UNMODIFIED"


def test_the_profile_quotes_the_script(tmp_path: Path) -> None:
    found, _ = imported(tmp_path, {"StudyDescription": "@keep()", "AccessionNumber": "@hash(this)"})
    assert re.search(r"- StudyDescription +# line \d+: @keep\(\)", found.profile_text)
    assert re.search(r"- AccessionNumber +# line \d+: @hash\(this\)", found.profile_text)


def test_keys_of_ciphers_are_not_written_down(tmp_path: Path) -> None:
    found, _ = imported(tmp_path, {"AccessionNumber": '@encrypt(this,"open sesame")'})
    everything = found.profile_text + repr(found.not_carried)
    assert "@encrypt(this,***)" in everything
    assert "sesame" not in everything


def test_identity_stands_in_the_tables_alone(tmp_path: Path) -> None:
    found, _ = imported(tmp_path, {"PatientID": "@lookup(this,ptid)"}, lookup=PATIENTS)
    assert found.tables == {"imported-ptid-patients.csv": "patient_id,pseudonym\nMRN-4711,SUBJECT-7\n"}
    assert "4711" not in found.profile_text + repr(found.not_carried)


def test_scripts_cannot_write_into_the_profile(tmp_path: Path) -> None:
    script = 'it\'s: "x" # {y}\n  - keep: [PatientID]'
    found, program = imported(tmp_path, {"InstitutionName": script, "KVP": "@keep()"})
    output = apply(tmp_path, program, instance(InstitutionName="St. Anne"))
    assert shown(output, "PatientID") != "MRN-4711"
    # a line break is no character of an LO
    assert any("keep: [PatientID]" in one.script for one in found.not_carried)
    assert shown(output, "InstitutionName") != "St. Anne"


def test_claims_of_the_script_are_not_repeated(tmp_path: Path) -> None:
    found, program = imported(
        tmp_path, {"DeidentificationMethodCodeSequence": "113100/113105/113107", "KVP": "@keep()"}
    )
    (told,) = [one for one in found.not_carried if "113105" in one.script]
    assert "clean-descriptors, retain-longitudinal-modified-dates" in told.what_instead
    assert [code.value for code in program.codes] == ["113100"]
