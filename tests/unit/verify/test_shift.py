"""The verifier finds out by itself whether dates were shifted, and alike."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom.instance import Instance
from gateway.errors import LeakSuspected
from gateway.profile import Program, Shift, load_profile, shipped_profiles
from gateway.verify import Verifier
from gateway.verify.shift import check_shift, dates_of
from tests.unit.verify.support import encoded, item, joined, opened, original, write

STUDY, OTHER = 0x00080020, 0x00080021


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"20240229", ["2024-02-29"]),
        (b"20240229101112.123456+0100", ["2024-02-29"]),  # the clock and the offset are no dates
        (b"20240229\\20240301 ", ["2024-02-29", "2024-03-01"]),
        (b"20240228-20240301", ["2024-02-28", "2024-03-01"]),  # both ends
        (b"2024.02.29", ["2024-02-29"]),
        (b"2024-02-29", ["2024-02-29"]),
        (b"20240230", []),  # no date
        (b"202402", []),  # not a whole one
        (b"", []),
    ],
)
def test_dates_of_a_value(raw: bytes, found: list[str]) -> None:
    assert [day.isoformat() for day in dates_of(raw)] == found


@pytest.mark.parametrize(
    ("originals", "outputs", "good"),
    [
        # one shift explains all
        ({STUDY: {b"20240110"}, OTHER: {b"20240111"}}, [(STUDY, b"20240101"), (OTHER, b"20240102")], True),
        # several originals, of which not all need be in the output
        ({STUDY: {b"20240110", b"20240301"}}, [(STUDY, b"20240101")], True),
        # nothing to check
        ({STUDY: {b"20240110"}}, [(STUDY, b"")], True),
        # a placeholder stays
        ({STUDY: {b"20240110", b"19000101"}}, [(STUDY, b"20240101"), (STUDY, b"19000101")], True),
        # not shifted
        ({STUDY: {b"20240110"}}, [(STUDY, b"20240110")], False),
        # out of the range of -30 to 30 days
        ({STUDY: {b"20240110"}}, [(STUDY, b"20231101")], False),
        # not alike
        ({STUDY: {b"20240110"}, OTHER: {b"20240110"}}, [(STUDY, b"20240101"), (OTHER, b"20240102")], False),
        # a date that was never there
        ({STUDY: {b"20240110"}}, [(OTHER, b"20240101")], False),
    ],
)
def test_one_shift_explains_the_dates(
    originals: dict[int, set[bytes]], outputs: list[tuple[int, bytes]], good: bool
) -> None:
    found = [(f"place {number}", tag, raw) for number, (tag, raw) in enumerate(outputs)]
    if good:
        written = check_shift(Shift(-30, 30), found, originals)
        assert written == {raw.decode() for _, raw in outputs if raw}
    else:
        with pytest.raises(LeakSuspected, match="place"):
            check_shift(Shift(-30, 30), found, originals)


@pytest.fixture(scope="module")
def shifting(tmp_path_factory: pytest.TempPathFactory) -> Program:
    file = tmp_path_factory.mktemp("profile") / "shifting.yaml"
    file.write_text(
        "profile: shifting\nuse: [basic, retain-longitudinal-modified-dates]\n"
        "dates: {shift: per-patient, days: -700..-1}\n"
        "attributes:\n"
        "  - insert: {ClinicalTrialSiteName: Reading Room}\n"
        "  - {map: {BodyPartExamined: {HEART: CHEST}}, otherwise: remove}\n"
        '  - {pseudonymise: [StudyID], format: "S{base32:12}"}\n'
        "  - {truncate-date: [PatientBirthDate], to: year}\n",
        encoding="utf-8",
    )
    return load_profile(str(file), search=[shipped_profiles()])


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    source = original(
        PatientID="MRN-0048151",
        PatientBirthDate="19610808",
        StudyInstanceUID="1.2.276.0.7230010.3.1.2.9",
        StudyDate="20240229",
        SeriesDate="20240301",
        ContentDate="20240302",
        StudyTime="101112",
        StudyID="S-4711",
        BodyPartExamined="HEART",
        ViewCodeSequence=[item(StudyDate="20231231", CodeValue="1")],
    )
    with opened(write(tmp_path / "original.dcm", source)) as found:
        yield found


def put(**values: object) -> Callable[[Dataset], object]:
    return lambda found: found.update(item(**values))


def nested(**values: object) -> Callable[[Dataset], object]:
    return lambda found: found.ViewCodeSequence[0].update(item(**values))


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda found: None, None),  # a true output
        (put(StudyDate="20240229"), r"\(0008,00(20|21)\)"),  # one date is the original
        (put(ContentDate="20240101"), r"\(0008,0023\)"),  # one moved otherwise
        (put(StudyTime="101112MOCK"), r"\(0008,0030\)"),  # a time that is none
        (nested(StudyDate="20231231"), r"\(0054,0220\)\[0\]/"),  # at depth
        (put(RescaleType="29.02.2024"), r"\(0028,1054\)"),  # an original date as text
        (put(PatientBirthDate="19610801"), r"\(0010,0030\)"),  # truncated too little
        (put(ClinicalTrialSiteName="Elsewhere"), r"\(0012,0031\)"),  # not what the profile inserts
        (lambda found: delattr(found, "ClinicalTrialSiteName"), r"\(0012,0031\)"),  # nor nothing
        (put(BodyPartExamined="HEAD"), r"\(0018,0015\)"),  # no value of the map
        (put(StudyID="S-4711"), r"\(0020,0010\)"),  # not pseudonymised
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Invalid value for VR TM")
def test_spoilt_outputs(
    shifting: Program, instance: Instance, spoil: Callable[[Dataset], object], where: str | None
) -> None:
    output = joined(Deidentifier(shifting, ProjectKey(b"k" * 32)).apply(instance).segments)
    dataset = pydicom.dcmread(io.BytesIO(output))
    spoil(dataset)
    bare = Dataset()
    bare._dict.update(dataset._dict)
    made = output[: 144 + int.from_bytes(output[140:144], "little")] + encoded(bare)
    if where is None:
        Verifier(shifting).check(instance, [made])
        return
    with pytest.raises(LeakSuspected, match=where):
        Verifier(shifting).check(instance, [made])
