"""Delivery to the double: every way there, every fault, and what is said of each instance."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from gateway.deliver.base import Destination, Outcome, Parcel, Probing
from gateway.deliver.books import Books
from gateway.deliver.xnat.destination import XnatDestination
from gateway.deliver.xnat.settings import XnatSettings
from tests.fixtures.ports import free_port
from tests.fixtures.xnat import XnatDouble, xnat_server
from tests.unit.deliver.peers import CT, content_of, make_parcel, section

STUDY = "2.25.1000"
RT_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"


def instance(
    directory: Path,
    number: int,
    *,
    study: str = STUDY,
    patient: str = "SUBJECT-1",
    series: int = 1,
    modality: str = "CT",
    sop_class: str = CT,
    size: int = 200,
    comment: str = "",
) -> Parcel:
    """A small de-identified instance."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(f"2.25.{number + 1}")
    data_set = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data_set.SOPClassUID = sop_class
    data_set.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data_set.StudyInstanceUID = study
    data_set.SeriesInstanceUID = f"{study}.{series}"
    data_set.SeriesNumber = series
    data_set.InstanceNumber = number
    data_set.PatientID = data_set.PatientName = patient
    data_set.Modality = modality
    data_set.StudyComments = comment
    data_set.PixelData = bytes(size)
    data_set["PixelData"].VR = "OW"
    written = io.BytesIO()
    data_set.save_as(written, enforce_file_format=True)
    parcel = make_parcel(directory, number, content=written.getvalue(), study=study, patient=patient)
    return replace(parcel, sop_class_uid=sop_class, series_uid=data_set.SeriesInstanceUID)


@pytest.fixture
def xnat(tmp_path: Path) -> Iterator[XnatDouble]:
    with xnat_server(tmp_path / "xnat") as double:
        yield double


@pytest.fixture
def parcels(tmp_path: Path) -> list[Parcel]:
    return [instance(tmp_path, number, series=1 + number % 2) for number in range(4)]


BASIC = {"type": "basic", "username": "gateway", "password": "${PASSWORD}"}
TOKEN = {"type": "alias-token", "alias": "${ALIAS}", "secret": "${SECRET}"}


def made_of(
    url: str, *, password: str = "s3cret", auth: dict[str, str] = BASIC, books: Books | None = None, **options: object
) -> XnatDestination:
    environ = {"PASSWORD": password, "ALIAS": "alias", "SECRET": "secret"}
    fields = {"type": "xnat", "url": url, "auth": auth, "project": "CHEST", "timeout_seconds": 20.0, **options}
    return XnatDestination("xnat", section(XnatSettings, environ=environ, **fields), books=books)


def destination(double: XnatDouble, **options: Any) -> XnatDestination:
    return made_of(double.url, **options)


def said(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.state, outcome.code) for outcome in outcomes]


def send(double: XnatDouble, parcels: Sequence[Parcel], **options: object) -> list[tuple[str, str]]:
    """What becomes of parcels; each call is a new process to XNAT."""
    xnat = destination(double, **options)
    try:
        outcomes = xnat.send(parcels)
    finally:
        xnat.close()
    assert [outcome.delivery_id for outcome in outcomes] == [parcel.delivery_id for parcel in parcels]
    for outcome in outcomes:
        assert outcome.code
        assert outcome.detail
        assert not any(parcel.sop_uid in outcome.detail for parcel in parcels)
        # A pseudonym is named only where it is the trouble.
        named = any(parcel.patient_id in outcome.detail for parcel in parcels)
        assert named == (outcome.code == "label-collision" and "differs from it by case" in outcome.detail)
    return said(outcomes)


def stored(double: XnatDouble, project: str = "CHEST") -> list[bytes]:
    return sorted(double.store.archived(project).values())


def contents(parcels: Sequence[Parcel]) -> list[bytes]:
    return sorted(content_of(parcel) for parcel in parcels)


# The ways there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
def test_every_byte_arrives_in_the_archive(xnat: XnatDouble, parcels: list[Parcel], mode: str) -> None:
    assert send(xnat, parcels, mode=mode) == [("confirmed", "archived")] * 4
    assert stored(xnat) == contents(parcels)
    [session] = xnat.store.projects["CHEST"].experiments.values()
    assert session.subject == "SUBJECT-1"
    assert session.label.startswith("SUBJECT-1-")
    assert session.study_uid == STUDY
    assert xnat.store.rows == []


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
def test_every_byte_arrives_in_the_prearchive(xnat: XnatDouble, parcels: list[Parcel], mode: str) -> None:
    xnat.store.projects["CHEST"].code = 0
    assert send(xnat, parcels, mode=mode, into="prearchive") == [("confirmed", "prearchived")] * 4
    assert len(xnat.store.waiting("CHEST")) == 4
    assert xnat.store.archived("CHEST") == {}
    [row] = xnat.store.rows
    assert (row.status, row.tag) == ("READY", STUDY)


@pytest.mark.parametrize("mode", ["zip", "gradual"])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4, "archived"),  # the commit answers 301 with the place in the archive: not followed
        (0, "prearchived"),
    ],
)
def test_the_projects_own_setting_decides(
    xnat: XnatDouble, parcels: list[Parcel], mode: str, code: int, expected: str
) -> None:
    xnat.store.projects["CHEST"].code = code
    assert send(xnat, parcels, mode=mode, into="project") == [("confirmed", expected)] * 4


def test_what_an_import_says(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    send(xnat, parcels)
    [target] = xnat.made("POST", "/data/services/import")
    for parameter in (
        "import-handler=DICOM-zip", "inbody=true", "project=CHEST", "PROJECT_ID=CHEST", "subject=SUBJECT-1",
        "SUBJECT_ID=SUBJECT-1", "session=SUBJECT-1-", "EXPT_LABEL=SUBJECT-1-", "dest=%2Farchive", "overwrite=append",
        "overwrite_files=true", "rename=false", "Ignore-Unparsable=false",
    ):  # fmt: skip
        assert parameter in target
    assert "prevent_anon" not in target
    # No UID is part of a URL: proxies keep those.
    assert not any(STUDY in one or parcel.sop_uid in one for one in xnat.requests for parcel in parcels)


def test_one_session_of_the_server_is_used_and_ended(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    made = destination(xnat)
    made.send(parcels[:2])
    made.send(parcels[2:])
    assert len(xnat.made("POST", "/data/JSESSION")) == 1
    assert len(xnat.sessions) == 1
    made.close()
    assert xnat.sessions == {}
    made.close()


def test_the_same_again_is_confirmed_and_stored_once(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    for _ in range(2):
        assert send(xnat, parcels) == [("confirmed", "archived")] * 4
    assert stored(xnat) == contents(parcels)


def test_a_study_that_grows(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    for parcel in parcels:
        assert send(xnat, [parcel]) == [("confirmed", "archived")]
    assert stored(xnat) == contents(parcels)
    assert len(xnat.store.projects["CHEST"].experiments) == 1


@pytest.mark.parametrize(
    ("options", "zips"),
    [
        ({"max_instances": 3}, 2),
        ({"max_bytes": 1}, 4),  # an instance larger than that goes alone
        ({}, 1),
    ],
)
def test_batches(xnat: XnatDouble, parcels: list[Parcel], options: dict[str, object], zips: int) -> None:
    assert send(xnat, parcels, **options) == [("confirmed", "archived")] * 4
    assert len(xnat.made("POST", "/data/services/import")) == zips
    assert stored(xnat) == contents(parcels)


def test_two_studies_of_two_patients(xnat: XnatDouble, tmp_path: Path) -> None:
    parcels = [
        instance(tmp_path, 0, study="2.25.1", patient="A"),
        instance(tmp_path, 1, study="2.25.2", patient="A"),
        instance(tmp_path, 2, study="2.25.3", patient="B"),
        instance(tmp_path, 3, study="2.25.1", patient="A"),
    ]
    assert send(xnat, parcels) == [("confirmed", "archived")] * 4
    found = xnat.store.projects["CHEST"].experiments.values()
    assert Counter((one.subject, one.study_uid) for one in found) == Counter(
        [("A", "2.25.1"), ("A", "2.25.2"), ("B", "2.25.3")]
    )


def test_a_resource_of_its_own_and_a_series_number_used_twice(xnat: XnatDouble, tmp_path: Path) -> None:
    plan = instance(tmp_path, 0, modality="CT", sop_class=RT_PLAN)
    other = replace(instance(tmp_path, 1), series_uid="2.25.99")
    assert send(xnat, [plan, other]) == [("confirmed", "archived")] * 2
    [session] = xnat.store.projects["CHEST"].experiments.values()
    assert "secondary" in {resource for scan in xnat.store.files(session.folder).values() for resource in scan}


def test_a_site_that_anonymizes_again(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.store.anonymizes = True
    assert send(xnat, parcels) == [("confirmed", "archived")] * 4
    assert stored(xnat) != contents(parcels)


def test_the_same_uid_twice_in_a_call(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    twice = [parcels[0], replace(parcels[0], delivery_id=99)]
    assert send(xnat, twice) == [("confirmed", "archived")] * 2
    assert stored(xnat) == contents(parcels[:1])


def test_several_threads(xnat: XnatDouble, tmp_path: Path) -> None:
    """Of one study one thread sends at a time; others send other studies meanwhile."""
    parcels = [instance(tmp_path, number, study=f"2.25.{1 + number % 2}") for number in range(8)]
    made = destination(xnat, connections=2)
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda one=one: outcomes.extend(made.send([one]))) for one in parcels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert said(outcomes) == [("confirmed", "archived")] * 8
    assert stored(xnat) == contents(parcels)
    assert len(xnat.made("POST", "/data/JSESSION")) <= 2


# What stands against it ---------------------------------------------------------------------------------------------


def test_a_project_that_is_not_there(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    assert send(xnat, parcels, project="LUNG") == [("failed", "no-project")] * 4
    assert xnat.made("POST", "/data/services/import") == []
    assert xnat.store.rows == []


def test_a_project_by_its_alias(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.project("BRAIN", alias="HEAD")
    assert send(xnat, parcels, project="HEAD") == [("failed", "no-project")] * 4
    assert xnat.made("POST", "/data/services/import") == []


def test_a_project_without_the_right_to_write(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.rights["gateway"]["CHEST"] = "read"
    assert send(xnat, parcels) == [("failed", "no-rights")] * 4
    assert xnat.made("POST", "/data/services/import") == []


def test_a_subject_whose_label_differs_by_case(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.store.projects["CHEST"].subjects.append("Subject-1")
    assert send(xnat, parcels) == [("dead", "label-collision")] * 4
    assert xnat.made("POST", "/data/services/import") == []


def test_a_session_of_another_study(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    send(xnat, parcels[:2])
    [session] = xnat.store.projects["CHEST"].experiments.values()
    session.study_uid = "2.25.7"
    assert send(xnat, parcels[2:]) == [("dead", "label-collision")] * 2
    assert len(xnat.made("POST", "/data/services/import")) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"patient_id": ""}, "invalid-label"),
        ({"sop_uid": "../../etc/passwd"}, "invalid-uid"),
        ({"study_uid": ""}, "invalid-uid"),
        ({"length": 7}, "spool-corrupt"),
    ],
)
def test_a_parcel_that_cannot_be_sent(
    xnat: XnatDouble, parcels: list[Parcel], change: dict[str, object], code: str
) -> None:
    broken = replace(parcels[1], **change)  # type: ignore[arg-type]
    made = destination(xnat)
    assert said(made.send([parcels[0], broken])) == [("confirmed", "archived"), ("dead", code)]
    made.close()


def test_wrong_credentials(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    assert send(xnat, parcels, password="wrong") == [("failed", "credentials")] * 4


def test_an_alias_token(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.tokens["alias"] = ("secret", "gateway")
    made = destination(xnat, auth=TOKEN)
    assert said(made.send(parcels)) == [("confirmed", "archived")] * 4
    made.close()


@pytest.mark.parametrize("guests", [False, True])
def test_an_idle_session(xnat: XnatDouble, parcels: list[Parcel], guests: bool) -> None:
    """A site that admits guests hides the project from them: 404 where another says 401."""
    xnat.guests = guests
    made = destination(xnat)
    made.send(parcels[:2])
    xnat.expire()
    assert said(made.send(parcels[2:])) == [("confirmed", "archived")] * 2
    assert len(xnat.made("POST", "/data/JSESSION")) == 2
    made.close()


def test_nobody_there(parcels: list[Parcel], xnat: XnatDouble) -> None:
    made = made_of(f"http://127.0.0.1:{free_port()}")
    assert said(made.send(parcels)) == [("failed", "unreachable")] * 4
    assert said(made.confirm(parcels)) == [("sent", "unverified")] * 4
    made.close()


def test_something_that_is_no_xnat(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.faults.set("html")
    assert send(xnat, parcels) == [("failed", "answer-unreadable")] * 4


# Faults -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zip", "gradual", "stow"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        # One instance is missing, although the answer is 200; the others are where they should be.
        ("drop-one", [("failed", "partial"), *[("confirmed", "archived")] * 3]),
    ],
)
def test_one_is_missing(
    xnat: XnatDouble, parcels: list[Parcel], mode: str, fault: str, expected: list[tuple[str, str]]
) -> None:
    xnat.faults.set(fault)
    done = send(xnat, parcels, mode=mode)
    if mode == "gradual":
        # Alone in its request, it was answered by an empty 200.
        expected = [("dead", "rejected"), *expected[1:]]
    if mode == "stow":
        # Nothing is archived as long as one of them is to come.
        expected = [("failed", "partial"), *[("sent", "processing")] * 3]
    assert done == expected
    assert len(xnat.store.archived("CHEST")) == (0 if mode == "stow" else 3)
    assert send(xnat, parcels[:1], mode=mode) == [("confirmed", "archived")]
    assert stored(xnat) == contents(parcels)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("store-nothing", ("failed", "missing")),  # 200 with a URI, and nothing is there
        ("lose", ("failed", "missing")),  # taken and lost
        ("empty-answer", ("dead", "rejected")),  # a filter
        ("error-after-storing", ("confirmed", "archived")),  # 500, and everything is there
        ("conflict", ("dead", "conflict")),
        ("conflict-unsaid", ("dead", "conflict")),
        ("unassigned", ("dead", "misrouted")),
        ("busy", ("failed", "busy")),
        ("full", ("failed", "storage-full")),
        ("concurrent", ("failed", "busy")),
        ("redirect", ("failed", "redirect")),
        ("building", ("sent", "processing")),
        ("logged-out", ("confirmed", "archived")),  # logged in again, sent again
    ],
)
def test_faults(xnat: XnatDouble, parcels: list[Parcel], fault: str, expected: tuple[str, str]) -> None:
    xnat.faults.set(fault, times=4 if fault == "unassigned" else 1)
    assert send(xnat, parcels) == [expected] * 4


def test_busy_says_for_how_long(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.faults.set("busy")
    made = destination(xnat)
    assert {outcome.retry_after for outcome in made.send(parcels)} == {2.0}
    made.close()


def test_into_another_project(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.project("LUNG")
    xnat.faults.set("elsewhere", times=4)
    assert send(xnat, parcels) == [("dead", "misrouted")] * 4
    assert xnat.store.archived("CHEST") == {}


@pytest.mark.parametrize(
    "fault",
    [
        "error-before-storing",
        "error-before-archiving",
        "reset",  # the connection breaks off in the middle of the body
    ],
)
def test_a_setback_is_overcome_in_the_same_call(xnat: XnatDouble, parcels: list[Parcel], fault: str) -> None:
    xnat.faults.set(fault)
    assert send(xnat, parcels) == [("confirmed", "archived")] * 4
    assert stored(xnat) == contents(parcels)


def test_a_server_that_keeps_failing_is_left_alone(xnat: XnatDouble, tmp_path: Path) -> None:
    parcels = [instance(tmp_path, number) for number in range(16)]
    xnat.faults.set("error-before-storing", times=100)
    assert send(xnat, parcels) == [("failed", "server-error")] * 16
    assert len(xnat.made("POST", "/data/services/import")) == 3


def test_silence(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.faults.set("silence")
    assert send(xnat, parcels, timeout_seconds=0.5) == [("failed", "timeout")] * 4


def test_one_that_is_no_dicom_does_not_take_the_others_with_it(xnat: XnatDouble, tmp_path: Path) -> None:
    parcels = [instance(tmp_path, number) for number in range(7)]
    parcels[3] = make_parcel(tmp_path, 3, study=STUDY, patient="SUBJECT-1")
    assert send(xnat, parcels) == [
        *[("confirmed", "archived")] * 3,
        ("dead", "rejected"),
        *[("confirmed", "archived")] * 3,
    ]
    assert len(xnat.store.archived("CHEST")) == 6
    assert xnat.store.rows == []


def test_one_that_is_too_large_does_not_take_the_others_with_it(xnat: XnatDouble, tmp_path: Path) -> None:
    parcels = [instance(tmp_path, number, size=200_000 if number == 1 else 200) for number in range(3)]
    xnat.faults.set("too-large", times=100)
    assert send(xnat, parcels) == [("confirmed", "archived"), ("dead", "too-large"), ("confirmed", "archived")]


def test_a_filter_that_drops_some(xnat: XnatDouble, tmp_path: Path) -> None:
    parcels = [instance(tmp_path, 0), instance(tmp_path, 1, sop_class=RT_PLAN)]
    xnat.store.rejects.add(RT_PLAN)
    assert send(xnat, parcels) == [("confirmed", "archived"), ("failed", "partial")]
    assert send(xnat, parcels[1:]) == [("dead", "rejected")]


def test_stored_bytes_that_are_not_to_be_had(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """It is sent later, and the session is archived then."""
    parcels[2].parts[0].path.unlink()
    waits = ("sent", "processing")
    for mode in ("zip", "gradual", "stow"):
        assert send(xnat, parcels, mode=mode) == [waits, waits, ("failed", "spool-unreadable"), waits]
        assert {row.status for row in xnat.store.rows} == {"READY"}
    assert xnat.store.archived("CHEST") == {}


def test_a_session_in_conflict_is_left_to_a_human(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """A study of another modality under the same UID: XNAT refuses the merge."""
    send(xnat, parcels[:2])
    [session] = xnat.store.projects["CHEST"].experiments.values()
    session.type = "mrSessionData"
    assert send(xnat, parcels[2:]) == [("dead", "waits-for-a-person")] * 2
    assert [row.status for row in xnat.store.rows] == ["CONFLICT"]
    # What was in the archive before is still there, and still confirmed.
    made = destination(xnat)
    assert said(made.confirm(parcels)) == [*[("confirmed", "archived")] * 2, *[("dead", "waits-for-a-person")] * 2]
    session.type = "ctSessionData"
    assert said(made.send(parcels[2:])) == [("confirmed", "archived")] * 2
    made.close()


def test_an_earlier_version_proves_nothing(xnat: XnatDouble, tmp_path: Path) -> None:
    """The same instance with other content: what the archive lists is the old one until XNAT says it took the new."""
    old = replace(instance(tmp_path, 0, size=200), delivery_id=200)
    assert send(xnat, [old]) == [("confirmed", "archived")]
    new = replace(instance(tmp_path, 0, size=300), delivery_id=300)
    xnat.faults.set("error-before-storing", times=3)
    made = destination(xnat)
    assert said(made.send([new])) == [("failed", "server-error")]
    xnat.faults.set("error-before-storing", times=0)
    assert said(made.send([new])) == [("confirmed", "archived")]
    assert stored(xnat) == contents([new])
    made.close()


def test_what_arrived_after_the_time_out_is_confirmed_at_the_next_attempt(
    xnat: XnatDouble, parcels: list[Parcel]
) -> None:
    """A proxy gives up waiting, and XNAT files the study all the same: every attempt of this kind fails."""
    made = destination(xnat)
    xnat.faults.set("html", times=1)  # the first look at the project
    assert said(made.send(parcels)) == [("failed", "answer-unreadable")] * 4
    xnat.faults.set("full")
    assert said(made.send(parcels)) == [("failed", "storage-full")] * 4
    assert send(xnat, parcels) == [("confirmed", "archived")] * 4
    xnat.faults.set("full")
    assert said(made.send(parcels)) == [("confirmed", "archived")] * 4
    made.close()


def test_a_server_that_keeps_failing_is_left_alone_in_gradual_mode(xnat: XnatDouble, tmp_path: Path) -> None:
    parcels = [instance(tmp_path, number) for number in range(16)]
    xnat.faults.set("error-before-storing", times=100)
    assert send(xnat, parcels, mode="gradual") == [("failed", "server-error")] * 16
    assert len(xnat.made("POST", "/data/services/import")) == 3


def test_the_same_study_in_another_projects_prearchive_is_not_ours(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    """With UIDs that are kept, two projects may have the same study."""
    xnat.project("LUNG")
    send(xnat, [replace(parcel, patient_id="OTHER") for parcel in parcels], project="LUNG", into="prearchive")
    xnat.faults.set("store-nothing")
    assert send(xnat, parcels) == [("failed", "missing")] * 4


# Confirmation -------------------------------------------------------------------------------------------------------


def test_a_session_that_takes_its_time_is_asked_for(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    xnat.faults.set("building")
    made = destination(xnat)
    assert said(made.send(parcels)) == [("sent", "processing")] * 4
    assert said(made.confirm(parcels)) == [("sent", "processing")] * 4
    assert {outcome.retry_after for outcome in made.confirm(parcels)} == {15.0}  # the study as one, not now and then
    xnat.store.settle()
    assert said(made.confirm(parcels)) == [("confirmed", "archived")] * 4
    assert len(xnat.made("POST", "/data/services/import")) == 1
    made.close()


def test_what_was_lost_meanwhile_is_not_confirmed(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    made = destination(xnat)
    xnat.faults.set("building")
    made.send(parcels)
    for row in list(xnat.store.rows):
        xnat.store.delete(row)
    assert said(made.confirm(parcels)) == [("failed", "missing")] * 4
    made.close()


def test_a_listing_that_cannot_be_read_proves_nothing(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    made = destination(xnat)
    made.send(parcels)
    xnat.faults.set("html", times=2)  # a new session does not help
    assert said(made.confirm(parcels)) == [("sent", "unverified")] * 4
    assert said(made.confirm(parcels)) == [("confirmed", "archived")] * 4
    made.close()


# Trying it out ------------------------------------------------------------------------------------------------------


def test_the_interfaces(xnat: XnatDouble) -> None:
    made = destination(xnat)
    assert isinstance(made, Destination)
    assert isinstance(made, Probing)


@pytest.mark.parametrize("into", ["archive", "prearchive"])
def test_a_probe_leaves_nothing_behind(xnat: XnatDouble, parcels: list[Parcel], into: str) -> None:
    xnat.store.projects["CHEST"].code = 0
    made = destination(xnat, into=into)
    checks = list(made.probe(parcels[0]))
    made.close()
    assert [check.ok for check in checks] == [True] * 4
    assert "XNAT 1.9.2" in checks[0].text
    assert xnat.store.archived("CHEST") == {}
    assert xnat.store.rows == []
    assert xnat.store.projects["CHEST"].subjects == []


def test_a_probe_leaves_a_subject_that_was_there(xnat: XnatDouble, parcels: list[Parcel], tmp_path: Path) -> None:
    send(xnat, parcels)
    made = destination(xnat)
    assert all(check.ok for check in made.probe(instance(tmp_path, 50, study="2.25.50")))
    made.close()
    assert stored(xnat) == contents(parcels)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"password": "wrong"}, "credentials"),
        ({"project": "LUNG"}, "no project of this ID"),
    ],
)
def test_a_probe_says_in_words_what_is_wrong(xnat: XnatDouble, options: dict[str, object], words: str) -> None:
    made = destination(xnat, **options)
    checks = list(made.probe(None))
    made.close()
    assert not checks[-1].ok
    assert words in checks[-1].text
    assert xnat.made("POST", "/data/services/import") == []


def test_the_double_is_read_by_pydicom(xnat: XnatDouble, parcels: list[Parcel]) -> None:
    send(xnat, parcels)
    for content in xnat.store.archived("CHEST").values():
        assert pydicom.dcmread(io.BytesIO(content)).PatientID == "SUBJECT-1"
