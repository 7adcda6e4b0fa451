"""Retained UIDs that would tell a date are replaced, the same in every file; what is no UID does not stay."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.deid import Deidentifier, ProjectKey
from gateway.deid.uids import holds_date, retained
from gateway.dicom.segments import copy_to
from gateway.errors import LeakSuspected
from gateway.profile import Program
from gateway.verify import Verifier
from tests.fixtures.treating import CT, image, item_of, noise, opened, program, stored

KEY = ProjectKey(b"k" * 32)
STUDY = "1.3.12.2.1107.5.2.43.1.30000022071112123519900000001"
FRAME = "1.2.276.0.20220709.7"
PLAIN = "1.2.276.0.7230010.3.1.4"
SHIFTED = "retain-uids, retain-longitudinal-modified-dates"


@pytest.mark.parametrize(
    ("uid", "holds"),
    [
        ("1.3.12.2.1107.5.2.43.1.2022071112123519908834529", True),  # the time of making
        (STUDY, True),  # as Siemens syngo writes it
        ("1.2.276.2022.7.11.3", True),  # three components
        ("1.2.276.2022.07.11", True),
        ("1.2.276.1.2001.2022.07.11", True),  # behind what looks like a year
        ("1.2.276.19310427", True),
        ("1.2.276.20221311.4", False),  # no month
        ("1.2.276.20220231", False),  # no day
        ("1.2.276.120220711", False),  # not at the beginning of a component
        ("1.2.276.2022.71.1", False),
        ("1.2.840.113619.2.55.3.2831868886.97.1302.58", False),
        (PLAIN, False),
        ("2.25.202207118800735698586629295641978511506", False),  # a UUID, by chance
        ("", False),
    ],
)
def test_dates_in_uids(uid: str, holds: bool) -> None:
    assert holds_date(uid) is holds


@pytest.mark.parametrize(
    ("uid", "dates", "stays"),
    [
        (PLAIN, False, True),
        (STUDY, False, False),
        (STUDY, True, True),  # where dates stay, those in UIDs may
        ("7391846", False, False),  # no UID
        ("HC-7391846", True, False),
        ("1.2.840.10008.1.4.1.1", False, True),  # a frame of reference of the standard's
        ("", False, True),
    ],
)
def test_retained(uid: str, dates: bool, stays: bool) -> None:
    made = retained(uid, KEY, dates=dates)
    assert made == (uid if stays else KEY.uid(uid))


def source(number: int, **values: object) -> Dataset:
    reference = item_of(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=f"{STUDY}.9")
    return image(
        noise(8, 8), CT, PatientBirthDate="19310427", StudyDate="20220711", Modality="CT", BodyPartExamined="CHEST",
        PatientSex="F", Manufacturer="ACME", AccessionNumber="", SliceThickness="1", KVP="120", SeriesNumber=1,
        InstanceNumber=number, ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[1, 1], ReferencedImageSequence=[reference], StudyInstanceUID=STUDY,
        FrameOfReferenceUID=FRAME, SeriesInstanceUID=f"{PLAIN}.1", SOPInstanceUID=f"{PLAIN}.1.{number}", **values,
    )  # fmt: skip


def treated(folder: Path, using: Program, *sources: Dataset) -> Iterator[Dataset]:
    engine, verifier = Deidentifier(using, KEY), Verifier(using)
    for one in sources:
        with opened(stored(folder, one)) as instance:
            output = engine.apply(instance)
            verifier.check(instance, output.segments)
            file = io.BytesIO()
            copy_to(output.segments, file)
            file.seek(0)
            found = pydicom.dcmread(file)
            assert (output.study_uid, output.sop_uid) == (found.StudyInstanceUID, found.SOPInstanceUID)
            assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
            yield found


def test_the_uid_alone_decides(tmp_path: Path) -> None:
    """Two instances of a study whose headers tell other dates refer to each other all the same."""
    using = program(tmp_path, "dates: {shift: per-patient, days: -730..-1}", use=f"basic, {SHIFTED}")
    one, two = treated(
        tmp_path, using, source(1, AcquisitionDate="20220709"), source(2, AcquisitionDate="20220711")
    )  # fmt: skip
    for found in (one, two):
        assert found.StudyInstanceUID == KEY.uid(STUDY)
        assert found.FrameOfReferenceUID == KEY.uid(FRAME)
        assert found.SeriesInstanceUID == f"{PLAIN}.1"
        assert found.ReferencedImageSequence[0].ReferencedSOPInstanceUID == KEY.uid(f"{STUDY}.9")
        assert found.ReferencedImageSequence[0].ReferencedSOPClassUID == CT
    assert (one.SOPInstanceUID, two.SOPInstanceUID) == (f"{PLAIN}.1.1", f"{PLAIN}.1.2")


@pytest.mark.parametrize(
    ("use", "stays"),
    [
        ("retain-uids, retain-longitudinal-full-dates", True),
        ("retain-uids", False),
    ],
)
def test_dates_that_stay(tmp_path: Path, use: str, stays: bool) -> None:
    (found,) = treated(tmp_path, program(tmp_path, "", use=f"basic, {use}"), source(1))
    assert found.StudyInstanceUID == (STUDY if stays else KEY.uid(STUDY))


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("uid", ["4711", "MRN.1", "1.2.3a"])
def test_what_is_no_uid(tmp_path: Path, uid: str) -> None:
    one = source(1)
    one.SOPInstanceUID = uid
    (found,) = treated(tmp_path, program(tmp_path, "", use="basic, retain-uids"), one)
    assert found.SOPInstanceUID == KEY.uid(uid)


@pytest.mark.parametrize("place", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_a_number_of_the_patient_holds(tmp_path: Path, place: str) -> None:
    """Which numbers are the patient's the header tells, which other instances may not: it is not replaced."""
    one = source(1, PatientID="HC-7391846")
    setattr(one, place, "1.2.276.7391846.1")
    with pytest.raises(LeakSuspected, match=r"retained UID of .*: kind id"):
        list(treated(tmp_path, program(tmp_path, "", use="basic, retain-uids"), one))
