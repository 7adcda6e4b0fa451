"""The check: it finds every planted identity in an instance that nobody cleaned, and none in one that holds none."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from rich.console import Console

from gateway.samples.arrival import Arrived, FolderArchive
from gateway.samples.modules import marker
from gateway.samples.sample_check import CheckReport, check, examine, print_report
from gateway.samples.sample_study import Sample, generate

RUN = "CHECK"
SAMPLES = list(generate(3, RUN))
GROUP_2 = ("preamble", "(0002,")


def ids() -> list[str]:
    return [f"{sample.number} {sample.title}" for sample in SAMPLES]


def arrived(content: bytes) -> Arrived:
    return Arrived(content, dcmread(BytesIO(content)))


def scrubbed(sample: Sample, **kept: object) -> bytes:
    """An instance that has nothing of a sample but its marker, and what ``kept`` says."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sample.sop_class_uid, f"2.25.{sample.number}"
    dataset.Manufacturer, dataset.InstanceNumber = marker(RUN), sample.number
    for keyword, value in kept.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def run(folder: Path, *, samples: list[Sample] = SAMPLES, seconds: float = 3.0) -> CheckReport:
    """Check a folder on a clock that only pauses move."""
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    return check(samples, FolderArchive(folder), run_id=RUN, timeout_seconds=seconds, clock=lambda: now[0], pause=pause)


@pytest.mark.parametrize("sample", SAMPLES, ids=ids())
def test_everything_is_found_in_the_original(sample: Sample) -> None:
    found = {id(finding.planted) for finding in examine(sample, arrived(sample.content))}
    missed = [planted for planted in sample.planted if id(planted) not in found]
    assert missed == []


@pytest.mark.parametrize("sample", SAMPLES, ids=ids())
def test_nothing_is_found_in_a_clean_instance(sample: Sample) -> None:
    assert examine(sample, arrived(scrubbed(sample))) == ()


def test_finding_names_where_it_was_planted_and_where_it_is() -> None:
    sample = SAMPLES[0]
    name = next(planted.value for planted in sample.planted if planted.path == "(0010,0010)")
    findings = examine(sample, arrived(scrubbed(sample, ImageComments=f"seen {name}")))
    assert {finding.where for finding in findings} == {("(0020,4000)",)}
    assert "(0010,0010)" in {finding.planted.path for finding in findings}


def test_short_value_is_compared_at_its_element() -> None:
    sample = SAMPLES[0]
    assert [f.planted.path for f in examine(sample, arrived(scrubbed(sample, PatientAge="053Y")))] == ["(0010,1010)"]
    assert not examine(sample, arrived(scrubbed(sample, SelectorASValue="053Y")))


def test_clean_folder(tmp_path: Path) -> None:
    for sample in SAMPLES:
        folder = tmp_path / str(sample.study)
        folder.mkdir(exist_ok=True)
        (folder / f"{sample.number}.dcm").write_bytes(scrubbed(sample))
    (tmp_path / "foreign.dcm").write_bytes(next(iter(generate(3, "ELSE"))).content)
    (tmp_path / "notes.txt").write_text("nothing to see")
    report = run(tmp_path)
    assert report.clean
    assert sorted(report.findings) == [sample.number for sample in SAMPLES]


def test_missing_unfinished_and_unexpected(tmp_path: Path) -> None:
    first, second, third, *_ = SAMPLES
    (tmp_path / "1.dcm").write_bytes(scrubbed(first))
    (tmp_path / "again.dcm").write_bytes(scrubbed(first))
    (tmp_path / ".2.dcm.part").write_bytes(scrubbed(second))
    (tmp_path / "never-sent.dcm").write_bytes(scrubbed(third))
    report = run(tmp_path, samples=[first, second])
    assert (report.missing, report.unexpected, report.clean) == ((second,), 2, False)


def test_what_the_gateway_may_hold_is_not_missing(tmp_path: Path) -> None:
    """Ultrasound loops: absent, they wait for a person; there, they are examined like the others."""
    held = [sample for sample in SAMPLES if sample.may_be_held]
    assert {sample.title.split(",")[0] for sample in held} == {"US"}
    for sample in SAMPLES:
        if sample is not held[0]:
            (tmp_path / f"{sample.number}.dcm").write_bytes(scrubbed(sample))
    report = run(tmp_path, seconds=60)
    assert (report.missing, report.waiting, report.clean) == ((), (held[0],), True)
    assert held[1].number in report.findings
    text = printed(report)
    assert "held?" in text
    assert "1 are of a kind" in text
    (tmp_path / f"{held[1].number}.dcm").write_bytes(held[1].content)
    assert not run(tmp_path).clean


def test_directory_of_unfinished_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".partial").mkdir()
    for folder in (tmp_path, tmp_path / ".partial"):
        (folder / "1.dcm").write_bytes(scrubbed(SAMPLES[0]))
    assert run(tmp_path, samples=SAMPLES[:1]).clean


def test_file_that_grows_is_read_again(tmp_path: Path) -> None:
    archive, content = FolderArchive(tmp_path), scrubbed(SAMPLES[0])
    (tmp_path / "1.dcm").write_bytes(content[:100])
    assert list(archive.arrivals(RUN)) == []
    (tmp_path / "1.dcm").write_bytes(content)
    assert [one.number for one in archive.arrivals(RUN)] == [1]
    assert list(archive.arrivals(RUN)) == []


def test_found_is_not_clean(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(SAMPLES[0].content)
    report = run(tmp_path, samples=SAMPLES[:1])
    assert not report.clean
    assert len(report.findings[1]) == len(SAMPLES[0].planted)


class Unreadable:
    """An archive that is down at first."""

    def __init__(self, contents: list[bytes], failures: int) -> None:
        self.contents, self.failures = contents, failures

    def arrivals(self, run_id: str) -> Iterator[Arrived]:
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError
        contents, self.contents = self.contents, []
        yield from map(arrived, contents)


def test_archive_that_is_down_is_tried_again() -> None:
    samples = SAMPLES[:2]
    archive = Unreadable([scrubbed(sample) for sample in samples], failures=3)
    report = check(samples, archive, run_id=RUN, timeout_seconds=9, clock=lambda: 0.0, pause=lambda _: None)
    assert report.clean


def test_archive_that_stays_down_is_reported() -> None:
    report = check(SAMPLES, Unreadable([], failures=9), run_id=RUN, timeout_seconds=0)
    assert (report.fault, report.clean) == ("ConnectionRefusedError", False)
    assert len(report.missing) + len(report.waiting) == len(SAMPLES)


def printed(report: CheckReport, *, details: bool = False) -> str:
    output = StringIO()
    print_report(report, Console(file=output, width=200), details=details)
    return output.getvalue()


def test_report_in_words(tmp_path: Path) -> None:
    first, second, *_ = SAMPLES
    (tmp_path / "1.dcm").write_bytes(scrubbed(first, PatientAge="053Y"))
    text = printed(run(tmp_path, samples=[first, second]))
    planted = len(first.planted)
    assert "1 of 2 instances arrived" in text
    assert f"of {planted} planted identities in them {planted - 1} are gone and 1 found; 1 missing" in text
    assert "053Y" in text


def test_details_list_every_planted_identity(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(scrubbed(SAMPLES[0], PatientAge="053Y"))
    text = printed(run(tmp_path, samples=SAMPLES[:1]), details=True)
    assert text.count("gone") >= len(SAMPLES[0].planted) - 1
    assert "found (0010,1010)" in text
