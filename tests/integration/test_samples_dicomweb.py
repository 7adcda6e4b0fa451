"""The check against a real DICOMweb server: Orthanc gets the samples over DIMSE and is searched by QIDO-RS."""

from __future__ import annotations

from gateway.samples.arrival import DicomWebArchive
from gateway.samples.sample_check import check, examine
from gateway.samples.sample_study import Sample, generate
from gateway.samples.send import send
from tests.fixtures.orthanc import Orthanc


def store(samples: list[Sample], server: Orthanc) -> None:
    report = send(samples, host="127.0.0.1", port=server.dicom_port, calling_ae="SAMPLES", called_ae="ARCHIVE")
    assert [(one.sample.title, one.status) for one in report.refused] == []


def test_samples_are_found_in_orthanc(orthanc: Orthanc) -> None:
    samples = list(generate(7, "WEB"))
    store(samples, orthanc)
    store(list(generate(7, "FOREIGN", studies=1)), orthanc)
    archive = DicomWebArchive(orthanc.dicomweb)
    report = check(samples, archive, run_id="WEB", timeout_seconds=60)
    assert (report.missing, report.unexpected, report.fault) == ((), 0, "")
    for sample in samples:
        found = {id(finding.planted) for finding in report.findings[sample.number]}
        # What DIMSE does not carry cannot arrive: preamble and group 2 (PS3.7 9.1.1).
        lost = [one.path for one in sample.planted if id(one) not in found]
        assert all(path == "preamble" or path.startswith("(0002,") for path in lost), lost


def test_arrivals_come_once(orthanc: Orthanc) -> None:
    samples = list(generate(7, "ONCE", studies=1))
    archive = DicomWebArchive(orthanc.dicomweb)
    assert list(archive.arrivals("ONCE")) == []
    store(samples[:3], orthanc)
    assert len(list(archive.arrivals("ONCE"))) == 3
    store(samples, orthanc)
    arrived = list(archive.arrivals("ONCE"))
    assert sorted(one.number for one in arrived) == [sample.number for sample in samples[3:]]
    assert all(examine(samples[one.number - 1], one) for one in arrived)
