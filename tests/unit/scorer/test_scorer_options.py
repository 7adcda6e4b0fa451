"""The scorer under the options of PS3.15: nothing against a good output, every kind of violation in a bad one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset

from tests.scorer import table
from tests.scorer.content import content_code
from tests.scorer.dates import shifted_partial
from tests.scorer.private import safe_elements
from tests.scorer.reading import align
from tests.scorer.scorer import Kind, Scorer
from tests.unit.scorer.build import INSTANCE, NAME, NEW, OTHER, SERIES, STUDY, add, clean, encoded, nested, original

UIDS, DEVICE, INSTITUTION, PATIENT = (
    "retain-uids", "retain-device-identity", "retain-institution-identity", "retain-patient-characteristics",
)  # fmt: skip
FULL, MODIFIED = "retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"
PRIVATE, DESCRIPTORS = "retain-safe-private", "clean-descriptors"
CONTENT, GRAPHICS = "clean-structured-content", "clean-graphics"

Change = Callable[[Dataset], None]
Score = Callable[..., set[tuple[Kind, str]]]


def code(value: str, scheme: str = "DCM", meaning: str = "x") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content_item(value_type: str, concept: str, keyword: str, value: object, scheme: str = "DCM") -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = [code(concept, scheme)]
    setattr(item, keyword, value)
    return item


def reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
    return item


def tree() -> list[Dataset]:
    """Content items: of every fate."""
    return [
        content_item("PNAME", "121008", "PersonName", NAME),  # D
        content_item("TEXT", "121022", "TextValue", "ACC777"),  # X
        content_item("TEXT", "121012", "TextValue", "no row with this value type"),  # unlisted
        content_item("TEXT", "113877", "TextValue", "SCANNER"),  # X, K for devices
        content_item("UIDREF", "121012", "UID", OTHER),  # X/D, K for UIDs and devices
        content_item("IMAGE", "121233", "ReferencedSOPSequence", [reference(OTHER)]),  # D, K for UIDs
        content_item("DATETIME", "121125", "DateTime", "20190304101112.5+0100"),  # X, K or C with dates
        content_item("DATE", "no-row", "Date", "20190304", "99TEST"),
        content_item("TEXT", "121071", "TextValue", "a lung, seen in Fakenstead"),  # X/D
        content_item("CONTAINER", "121070", "ContinuityOfContent", "SEPARATE"),
    ]


def received() -> Dataset:
    """The Basic Profile's original, with what options are about."""
    dataset = original()
    dataset.DeviceSerialNumber, dataset.DeviceUID, dataset.StationAETitle = "SN1", OTHER, "AE9"
    dataset.PatientSex, dataset.PatientAge, dataset.Allergies = "F", "053Y", "nuts of Fakenstead"
    dataset.StudyTime, dataset.AcquisitionDateTime, dataset.PatientBirthDate = "101112", "20190304101112", "19700101"
    dataset.DateOfLastCalibration, dataset.TimezoneOffsetFromUTC = ["20180101", "20190101"], "+0100"
    dataset.StudyDescription, dataset.SeriesDescription = "THORAX FAKENSTEAD", "AXIAL 04.03.2019"
    dataset.ContentSequence = tree()
    text, graphic = Dataset(), Dataset()
    text.UnformattedTextValue = "left, Fakenstead"
    graphic.GraphicType, graphic.GraphicData = "POINT", [1.0, 2.0]
    annotation = Dataset()
    annotation.TextObjectSequence, annotation.GraphicObjectSequence = [text], [graphic]
    dataset.GraphicAnnotationSequence = [annotation]
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")  # in the table
    block.add_new(0x10, "LO", "MRN12345")  # not in it
    other = dataset.private_block(0x0019, "ACME", create=True)
    other.add_new(0x0C, "IS", "7")  # a safe offset of another creator
    declared = dataset.private_block(0x0021, "ACME", create=True)
    declared.add_new(0x01, "LO", "harmless")
    declared.add_new(0x02, "LO", "harmful")
    declaration, treatment = Dataset(), Dataset()
    declaration.PrivateGroupReference, declaration.PrivateCreatorReference = 0x0021, "acme "
    declaration.BlockIdentifyingInformationStatus, declaration.NonidentifyingPrivateElements = "MIXED", [1]
    treatment.IdentifyingPrivateElements, treatment.DeidentificationAction = [2], "D"
    declaration.DeidentificationActionSequence = [treatment]
    dataset.PrivateDataElementCharacteristicsSequence = [declaration]
    return dataset


def released(*options: str) -> Dataset:
    """What a correct de-identifier makes of it."""
    given, dataset = received(), clean()
    dataset.PatientSex, dataset.StudyTime, dataset.PatientBirthDate, dataset.DeviceUID = "", "", "", NEW[OTHER]
    dataset.PrivateDataElementCharacteristicsSequence = given.PrivateDataElementCharacteristicsSequence
    graphic = Dataset()
    graphic.UnformattedTextValue = "REMOVED"
    dummy = Dataset()
    dummy.TextObjectSequence = [graphic]
    dataset.GraphicAnnotationSequence = [dummy]
    methods = []
    for option in sorted({"basic", *options}):
        methods.append(code(table.METHODS[option]))
        for step in STEPS.get(option, ()):
            step(dataset, given)
    dataset.DeidentificationMethodCodeSequence = methods
    return dataset


def retained(*keywords: str) -> Callable[[Dataset, Dataset], None]:
    def step(dataset: Dataset, given: Dataset) -> None:
        for keyword in keywords:
            dataset[keyword] = given[keyword]

    return step


def uids(dataset: Dataset, given: Dataset) -> None:
    retained("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "DeviceUID")(dataset, given)
    dataset.ReferencedSeriesSequence = given.ReferencedSeriesSequence


def full(dataset: Dataset, given: Dataset) -> None:
    retained("StudyDate", "StudyTime", "ContentDate", "AcquisitionDateTime", "DateOfLastCalibration")(dataset, given)
    dataset.AnatomicRegionSequence[0].StudyDate, dataset.TimezoneOffsetFromUTC = "20190304", "+0100"
    dataset.LongitudinalTemporalInformationModified = "UNMODIFIED"


def modified(dataset: Dataset, given: Dataset) -> None:
    """Eleven days earlier."""
    dataset.StudyDate, dataset.ContentDate, dataset.AcquisitionDateTime = "20190221", "20190222", "20190221101112"
    dataset.DateOfLastCalibration, dataset.StudyTime = ["20171221", "20181221"], "101112"
    dataset.AnatomicRegionSequence[0].StudyDate = "20190221"
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"


def safe_private(dataset: Dataset, given: Dataset) -> None:
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    block = dataset.private_block(0x0021, "ACME", create=True)
    block.add_new(0x01, "LO", "harmless")
    block.add_new(0x02, "LO", "REMOVED")


def descriptors(dataset: Dataset, given: Dataset) -> None:
    dataset.StudyDescription, dataset.SeriesDescription, dataset.Allergies = "THORAX", "AXIAL", "nuts"


def structured(dataset: Dataset, given: Dataset) -> None:
    items = tree()
    items[0].PersonName, items[2].TextValue, items[8].TextValue = "K7", "no row", "a lung"
    items[4].UID = items[5].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = NEW[OTHER]
    items[7].Date = "19000101"
    dataset.ContentSequence = [items[at] for at in (0, 2, 4, 5, 7, 8, 9)]


def graphics(dataset: Dataset, given: Dataset) -> None:
    dataset.GraphicAnnotationSequence = given.GraphicAnnotationSequence
    dataset.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue = "left"


#: Option -> what it changes of the Basic Profile's output.
STEPS = {
    UIDS: (uids,),
    DEVICE: (retained("DeviceSerialNumber", "DeviceUID", "StationName", "DateOfLastCalibration"),),
    INSTITUTION: (retained("InstitutionName"),),
    PATIENT: (retained("PatientSex", "PatientAge"),),
    FULL: (full,),
    MODIFIED: (modified,),
    PRIVATE: (safe_private,),
    DESCRIPTORS: (descriptors,),
    CONTENT: (structured,),
    GRAPHICS: (graphics,),
}


@pytest.fixture
def score(tmp_path: Path) -> Score:
    def run(*options: str, change: Change | None = None, scorer: Scorer | None = None, given: Dataset | None = None,
            neutral: bool = False) -> set[tuple[Kind, str]]:  # fmt: skip
        output = released(*options)
        if change is not None:
            change(output)
        one, two = tmp_path / "original.dcm", tmp_path / "output.dcm"
        one.write_bytes(encoded(given or received()))
        two.write_bytes(encoded(output))
        judge = scorer or Scorer(options=frozenset({"basic", *options}))
        found = judge.score(one, two, identities=["MRN12345"])
        return {(violation.kind, violation.place) for violation in found if violation.kind is not Kind.META}

    return run


@pytest.mark.parametrize("option", STEPS)
def test_good_output_has_no_violation(score: Score, option: str) -> None:
    assert score(option) == set()


@pytest.mark.parametrize(
    "options",
    [
        (UIDS, DEVICE, INSTITUTION, PATIENT, PRIVATE, DESCRIPTORS, GRAPHICS),
        # a calibration date: kept for the device, shifted with all dates; shifting prevails
        (DEVICE, MODIFIED),
        (INSTITUTION, FULL, DESCRIPTORS),
    ],
)
def test_good_output_under_several_options(score: Score, options: tuple[str, ...]) -> None:
    assert score(*options) == set()


@pytest.mark.parametrize("option", STEPS)
def test_output_of_the_basic_profile_alone_does_not_do(score: Score, option: str) -> None:
    """It claims nothing of the option, and what the option retains by K or by shifting is gone."""
    found = score(scorer=Scorer(options=frozenset({"basic", option})))
    assert (Kind.STAMP, "DeidentificationMethodCodeSequence") in found
    retains = {UIDS, DEVICE, INSTITUTION, PATIENT, FULL, MODIFIED, PRIVATE}
    assert (Kind.NOT_KEPT in {kind for kind, _ in found}) is (option in retains)


@pytest.mark.parametrize("option", STEPS)
def test_output_of_an_option_is_too_much_for_the_basic_profile(score: Score, option: str) -> None:
    kinds = {kind for kind, _ in score(option, scorer=Scorer())}
    # Clean items hold no value of the original, as if they were dummies; only the claim is wrong.
    assert (kinds == {Kind.STAMP}) is (option in (CONTENT, GRAPHICS))


@pytest.mark.parametrize("option", STEPS)
def test_original_is_full_of_violations(tmp_path: Path, option: str) -> None:
    """An option never makes the original acceptable."""
    path = tmp_path / "original.dcm"
    path.write_bytes(encoded(received()))
    kinds = {one.kind for one in Scorer(options=frozenset({"basic", option})).score(path, path)}
    assert kinds >= {Kind.NOT_REPLACED, Kind.NOT_REMOVED, Kind.STAMP}
    assert (Kind.UID_KEPT in kinds) is (option != UIDS)


def put(keyword: str, value: object) -> Change:
    return lambda dataset: setattr(dataset, keyword, value)


def drop(keyword: str) -> Change:
    return lambda dataset: delattr(dataset, keyword)


def in_item(number: int, change: Change) -> Change:
    return lambda dataset: change(dataset.ContentSequence[number])


def with_items(*numbers: int) -> Change:
    """The original's content items of these numbers, put at the end."""

    def change(dataset: Dataset) -> None:
        items = tree()
        dataset.ContentSequence = [*dataset.ContentSequence[:1], *(items[number] for number in numbers)]

    return change


def in_text_object(change: Change) -> Change:
    return lambda dataset: change(dataset.GraphicAnnotationSequence[0].TextObjectSequence[0])


def private(offset: int, value: str, creator: str = "SIEMENS MR HEADER") -> Change:
    return lambda dataset: dataset.private_block(0x0019, creator, create=True).add_new(offset, "LO", value)


def pointing(*steps: int) -> Change:
    return lambda dataset: dataset.ContentSequence[5].add_new(0x0040DB73, "UL", list(steps))


REGION = "(0008,2218)[0]/"


@pytest.mark.parametrize(
    ("option", "change", "violation"),
    [
        # K: gone, emptied, changed; nested as well
        (UIDS, put("StudyInstanceUID", NEW[STUDY]), (Kind.NOT_KEPT, "(0020,000D)")),
        (UIDS, put("ReferencedSeriesSequence", []), (Kind.LOST, "(0008,1115)")),
        (UIDS, drop("SeriesInstanceUID"), (Kind.NOT_KEPT, "(0020,000E)")),
        (DEVICE, drop("DeviceSerialNumber"), (Kind.NOT_KEPT, "(0018,1000)")),
        (DEVICE, put("StationName", ""), (Kind.NOT_KEPT, "(0008,1010)")),
        (DEVICE, put("DateOfLastCalibration", ["20180101"]), (Kind.NOT_KEPT, "(0018,1200)")),
        (INSTITUTION, put("InstitutionName", "Another"), (Kind.NOT_KEPT, "(0008,0080)")),
        (PATIENT, put("PatientAge", "055Y"), (Kind.NOT_KEPT, "(0010,1010)")),
        (FULL, drop("AcquisitionDateTime"), (Kind.NOT_KEPT, "(0008,002A)")),
        (FULL, nested(put("StudyDate", "")), (Kind.NOT_KEPT, REGION + "(0008,0020)")),
        (FULL, put("PatientBirthDate", "19700101"), (Kind.NOT_REPLACED, "(0010,0030)")),  # in no dates column
        # what no column of the option names is the Basic Profile's
        (DEVICE, put("InstitutionName", "Mirage Hospital"), (Kind.NOT_REPLACED, "(0008,0080)")),
        (UIDS, put("StudyDescription", "THORAX"), (Kind.NOT_REMOVED, "(0008,1030)")),
        (INSTITUTION, put("StationName", "STATION9"), (Kind.NOT_REPLACED, "(0008,1010)")),
        (PATIENT, put("StudyDate", "20190304"), (Kind.NOT_REPLACED, "(0008,0020)")),
        # dates: the original, another shift, another time, gone, one of two
        (MODIFIED, put("StudyDate", "20190304"), (Kind.NOT_SHIFTED, "(0008,0020)")),
        (MODIFIED, put("AcquisitionDateTime", "20190222101112"), (Kind.NOT_SHIFTED, "(0008,002A)")),
        (MODIFIED, put("AcquisitionDateTime", "20190221101113"), (Kind.NOT_SHIFTED, "(0008,002A)")),
        (MODIFIED, put("AcquisitionDateTime", "2019"), (Kind.NOT_SHIFTED, "(0008,002A)")),
        (MODIFIED, drop("ContentDate"), (Kind.LOST, "(0008,0023)")),
        (MODIFIED, drop("ContentDate"), (Kind.NOT_KEPT, "(0008,0023)")),
        (MODIFIED, put("ContentDate", ""), (Kind.NOT_KEPT, "(0008,0023)")),
        (MODIFIED, put("DateOfLastCalibration", ["20171221", "20181222"]), (Kind.NOT_SHIFTED, "(0018,1200)")),
        (MODIFIED, nested(put("StudyDate", "20190304")), (Kind.NOT_SHIFTED, REGION + "(0008,0020)")),
        (MODIFIED, put("LongitudinalTemporalInformationModified", "REMOVED"),
         (Kind.STAMP, "LongitudinalTemporalInformationModified")),
        # private: an offset that is not listed, one of another creator, of none, a creator of nothing
        (PRIVATE, private(0x10, "x"), (Kind.PRIVATE, "(0019,1010)")),
        (PRIVATE, private(0x0C, "7", "ACME"), (Kind.PRIVATE, "(0019,110C)")),
        (PRIVATE, add(0x00230010, "LO", "SIEMENS MR HEADER"), (Kind.PRIVATE, "(0023,0010)")),
        (PRIVATE, add(0x0019110C, "IS", "1"), (Kind.PRIVATE, "(0019,110C)")),
        (PRIVATE, nested(add(0x0019100C, "IS", "1")), (Kind.PRIVATE, REGION + "(0019,100C)")),
        (PRIVATE, add(0x00211002, "LO", "harmful"), (Kind.NOT_REPLACED, "(0021,1002)")),  # declared to identify
        (PRIVATE, lambda dataset: dataset.__delitem__(0x00211001), (Kind.NOT_KEPT, "(0021,1001)")),
        (PRIVATE, lambda dataset: dataset.__delitem__(0x0019100C), (Kind.NOT_KEPT, "(0019,100C)")),
        # descriptors: the patient's name in any case, the study's day as it is written in texts
        (DESCRIPTORS, put("StudyDescription", "thorax fäkenstead"), (Kind.IDENTITY, "(0008,1030)")),
        (DESCRIPTORS, put("SeriesDescription", "AXIAL 04.03.2019"), (Kind.IDENTITY, "(0008,103E)")),
        (DESCRIPTORS, put("Allergies", "ACC777"), (Kind.IDENTITY, "(0010,2110)")),
        # structured content: names, days, references, texts, what has no row, what refers to nothing
        (CONTENT, in_item(0, put("PersonName", NAME)), (Kind.NOT_REPLACED, "(0040,A730)[0] (121008, DCM)")),
        (CONTENT, with_items(1), (Kind.NOT_REMOVED, "(0040,A730)[1] (121022, DCM)")),
        (CONTENT, with_items(3), (Kind.NOT_REMOVED, "(0040,A730)[3] (113877, DCM)")),
        (CONTENT, with_items(6), (Kind.NOT_REMOVED, "(0040,A730)[6] (121125, DCM)")),
        (CONTENT, with_items(6), (Kind.NOT_REPLACED, "(0040,A730)[6] (121125, DCM)")),
        (CONTENT, with_items(7), (Kind.NOT_REPLACED, "(0040,A730)[7] (no-row, 99TEST)")),
        (CONTENT, with_items(4), (Kind.UID_KEPT, "(0040,A730)[4]/(0040,A124)")),
        (CONTENT, in_item(5, put("TextValue", "in Fakenstead")), (Kind.IDENTITY, "(0040,A730)[8]/(0040,A160)")),
        (CONTENT, in_item(1, put("TextValue", "")), (Kind.CONTENT, "(0040,A730)[2] (121012, DCM)")),
        (CONTENT, in_item(1, drop("RelationshipType")), (Kind.CONTENT, "(0040,A730)[2] (121012, DCM)")),
        (CONTENT, pointing(1, 8), (Kind.CONTENT, "(0040,A730)[8]/(0040,DB73)")),
        # graphics
        (GRAPHICS, in_text_object(put("UnformattedTextValue", "Fakenstead")),
         (Kind.IDENTITY, "(0070,0001)[0]/(0070,0008)[0]/(0070,0006)")),
        (GRAPHICS, put("StudyDescription", "x"), (Kind.NOT_REMOVED, "(0008,1030)")),
    ],
)  # fmt: skip
def test_violation_is_found(score: Score, option: str, change: Change, violation: tuple[Kind, str]) -> None:
    assert violation in score(option, change=change)


def test_options_retain_content_items(score: Score) -> None:
    """Items that columns of Table E.3.4-1 retain, or whose dates shift."""

    def whole(dataset: Dataset) -> None:
        items = tree()
        items[0].PersonName, items[2].TextValue, items[8].TextValue = "K7", "no row", "a lung"
        items[6].DateTime, items[7].Date = "20190221101112.5+0100", "20190221"
        dataset.ContentSequence = [items[at] for at in (0, 2, 3, 4, 5, 6, 7, 8, 9)]

    options = (CONTENT, UIDS, DEVICE, MODIFIED)
    assert score(*options, change=whole) == set()

    def other_day(dataset: Dataset) -> None:
        whole(dataset)
        dataset.ContentSequence[5].DateTime = "20190222101112.5+0100"

    assert score(*options, change=other_day) == {(Kind.NOT_SHIFTED, "(0040,A730)[6]/(0040,A120)")}

    def without(dataset: Dataset) -> None:
        whole(dataset)
        del dataset.ContentSequence[2]

    assert score(*options, change=without) == {(Kind.NOT_KEPT, "(0040,A730)[3] (113877, DCM)")}


def test_unlisted_references_hold_when_uids_are_retained(score: Score) -> None:
    given = received()
    given.SourceFrameOfReferenceUID = OTHER  # in no row of the table
    assert score(UIDS, given=given, change=put("SourceFrameOfReferenceUID", OTHER)) == set()
    torn = score(UIDS, given=given, change=put("SourceFrameOfReferenceUID", NEW[OTHER]))
    assert Kind.UID_INCONSISTENT in {kind for kind, _ in torn}


def test_shift_is_remembered_per_patient(score: Score) -> None:
    scorer = Scorer(options=frozenset({"basic", MODIFIED}))
    assert score(MODIFIED, scorer=scorer) == set()
    another = received()
    another.PatientID = "MRN12346"
    assert score(MODIFIED, scorer=scorer, given=another) == set()
    assert len(scorer.shifts.days) == 2
    later = received()
    later.StudyDate = "20190305"
    assert (Kind.NOT_SHIFTED, "(0008,0020)") in score(MODIFIED, scorer=scorer, given=later)


def test_dates_that_name_no_day(score: Score) -> None:
    """A dummy may stay, and what is no date may not."""
    given = received()
    given.ContentDate = "19000101"
    assert score(MODIFIED, given=given, change=put("ContentDate", "19000101")) == set()
    given["ContentDate"]._value = "20190230"
    found = score(MODIFIED, given=given, change=lambda dataset: setattr(dataset["ContentDate"], "_value", "20190230"))
    assert (Kind.NOT_REPLACED, "(0008,0023)") in found
    assert score(MODIFIED, given=given, change=put("ContentDate", "")) == set()


@pytest.mark.parametrize(
    ("text", "days", "shifted"),
    [("2019", -1, "2018"), ("2019", 5, "2019"), ("201903", -11, "201902"), ("201903+0100", 40, "201904+0100")],
)
def test_partial_dates(score: Score, text: str, days: int, shifted: str) -> None:
    assert shifted_partial(text, days) == shifted


def test_partial_date_is_judged(score: Score) -> None:
    given = received()
    given.AcquisitionDateTime = "201903"
    assert score(MODIFIED, given=given, change=put("AcquisitionDateTime", "201902")) == set()
    found = score(MODIFIED, given=given, change=put("AcquisitionDateTime", "201903"))
    assert (Kind.NOT_SHIFTED, "(0008,002A)") in found


def test_what_the_profile_treats_by_itself_is_not_judged(score: Score) -> None:
    scorer = Scorer(options=frozenset({"basic", PATIENT}), unjudged=frozenset({0x00101010}))
    assert score(PATIENT, scorer=scorer, change=put("PatientAge", "050Y")) == set()
    identity = put("PatientAge", "050Y")

    def leaking(dataset: Dataset) -> None:
        identity(dataset)
        dataset.SmokingStatus = "MRN12345"

    assert (Kind.IDENTITY, "identity 0") in score(PATIENT, scorer=scorer, change=leaking)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"basic", "retain-uid"}, "retain-uid"), ({"basic", FULL, MODIFIED}, "contradict")],
)
def test_impossible_options(options: set[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scorer(options=frozenset(options))


@pytest.mark.parametrize(
    ("tag", "options", "code"),
    [
        (0x00181200, (DEVICE,), "K"),  # Date of Last Calibration
        (0x00181200, (DEVICE, MODIFIED), "C"),
        (0x00181200, (DEVICE, FULL), "K"),
        (0x00181200, (DESCRIPTORS,), "X"),
        (0x00080055, (DEVICE,), "C"),  # Station AE Title
        (0x00081030, (DESCRIPTORS,), "C"),
        (0x0020000D, (UIDS,), "K"),
        (0x00191001, (PRIVATE,), "C"),
        (0x50003000, (GRAPHICS,), "C"),
        (0x60023000, (GRAPHICS,), "C"),
        (0x60023000, (DESCRIPTORS,), "X"),
    ],
)
def test_rulings(tag: int, options: tuple[str, ...], code: str) -> None:
    found = table.ruling(tag, frozenset(options))
    assert found is not None
    assert found.code == code


def test_every_column_is_read() -> None:
    """As many cells as the edition of the table has."""
    counts = {
        option: sum(bool(found and found.code in ("K", "C")) for found in
                    (table.ruling(tag, frozenset({option})) for tag in table.tags()))
        for option in table.COLUMNS
    }  # fmt: skip
    assert counts == {
        PRIVATE: 0, UIDS: 60, DEVICE: 59, INSTITUTION: 10, PATIENT: 19, FULL: 169, MODIFIED: 169, DESCRIPTORS: 141,
        CONTENT: 4, GRAPHICS: 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "value_type", "options", "expected"),
    [
        ("121008", "PNAME", (), "D"),
        ("121012", "UIDREF", (), "X/D"),
        ("121012", "UIDREF", (DEVICE,), "K"),
        ("121125", "DATETIME", (FULL,), "K"),
        ("121125", "DATETIME", (MODIFIED,), "C"),
        ("121071", "TEXT", (DESCRIPTORS,), "C"),
        ("121071", "CODE", (DESCRIPTORS,), None),
    ],
)
def test_content_codes(code: str, value_type: str, options: tuple[str, ...], expected: str | None) -> None:
    assert content_code(code, "DCM", value_type, frozenset(options)) == expected


def test_safe_table_is_whole() -> None:
    found = safe_elements()
    assert len(found) == 87
    assert {one.creator for one in found} >= {"SIEMENS MR HEADER", "GEMS_ACQU_01", "Philips Imaging DD 001"}
    assert all(one.group % 2 for one in found)


def test_items_keep_their_numbers_when_others_go() -> None:
    before = tree()
    assert align([before[0], before[2], before[9]], before) == (0, 2, 9)
    assert align([before[3], before[0]], before) == (3, 11)  # out of order: of nothing that is known
    graphic, other = Dataset(), Dataset()
    graphic.GraphicData, other.GraphicData = [1.0, 2.0], [3.0, 4.0]
    assert align([other], [graphic, other]) == (1,)


def test_instance_uids_of_the_tests_differ() -> None:
    assert len({STUDY, SERIES, INSTANCE, OTHER, *NEW.values()}) == 8
