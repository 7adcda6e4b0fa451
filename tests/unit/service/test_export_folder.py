"""The folder of a CD or an export: archives in it, and what is no DICOM file."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.rehearsal.smallest_images import smallest
from gateway.service.export_folder import handed_over
from tests.unit.dicom.encoding import explicit, part10


def taped(**files: bytes) -> bytes:
    """A tar archive, compressed."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return content.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def found(source: Path, output: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    with handed_over(source, output) as handed:
        files = {relative.as_posix(): path.read_bytes() for path, relative in handed.files}
        unusable = {relative.as_posix(): reason for relative, reason in handed.unusable}
    # Nothing of an archive stays.
    assert not output.exists() or list(output.iterdir()) == []
    return files, unusable


def test_archives_in_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "one").write_bytes(b"1")
    zipped(source / "export.ZIP", {"DICOM/two": b"2", "../../three": b"3", "/four": b"4", "more.tgz": taped(five=b"5")})
    files, unusable = found(source, tmp_path / "out")
    assert files == {
        "one": b"1",
        "export.ZIP/DICOM/two": b"2",
        # A name leads nowhere.
        "export.ZIP/three": b"3",
        "export.ZIP/four": b"4",
        # What is no file in an archive, such as a link, is not followed.
        "export.ZIP/more.tgz/five": b"5",
    }
    assert unusable == {}
    assert set(found(source / "export.ZIP", tmp_path / "out")[0]) == set(files) - {"one"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[: len(data) // 2], "the archive is damaged"),  # the end is missing
        (lambda _: b"no archive", "the archive is damaged"),  # it is none
        (lambda data: data.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"), "the archive is encrypted"),
    ],
)
def test_of_an_archive_that_cannot_be_read_nothing_is(tmp_path: Path, change: object, reason: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    path = zipped(source / "export.zip", {"one": b"1" * 100, "two": b"2" * 100})
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    files, unusable = found(source, tmp_path / "out")
    assert files == {}
    assert reason in unusable["export.zip"]


def test_archives_that_hold_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    source.mkdir()
    deep = b"1"
    for _ in range(4):
        deep = zipped(tmp_path / "x.zip", {"x.zip" if deep != b"1" else "one": deep}).read_bytes()
    (source / "deep.zip").write_bytes(deep)
    assert found(source, tmp_path / "out") == ({}, {"deep.zip/x.zip/x.zip/x.zip": "it is an archive inside 3 others"})
    monkeypatch.setattr("gateway.service.export_folder._MARGIN", 1 << 60)
    zipped(source / "deep.zip", {"one": b"1"})
    assert found(source, tmp_path / "out") == ({}, {"deep.zip": "the disk has no room to unpack it"})


def test_a_disc(tmp_path: Path) -> None:
    source, out = tmp_path / "disc", tmp_path / "out"
    source.mkdir()
    instances = {one.kind: one.write(tmp_path).read_bytes() for one in smallest() if one.form == "full"}
    (source / "README").write_text("Read this first.")
    (source / "viewer.exe").write_bytes(b"MZ\x90\0" + bytes(range(256)) * 4)
    (source / "empty").write_bytes(b"")
    (source / "damaged.dcm").write_bytes(b"no instance")
    (source / "DICOMDIR").write_bytes(
        part10(explicit(0x00041130, "CS", b"DISC"), "1.2.840.10008.1.2.1", sop_class="1.2.840.10008.1.3.10")
    )
    (source / "IM1").write_bytes(instances["CT"])
    # A value of odd length, as some devices write it.
    odd = instances["MR"].replace(b"CS\x02\0O ", b"CS\x01\0O")
    assert len(odd) == len(instances["MR"]) - 1
    (source / "IM2").write_bytes(odd)
    zipped(source / "more.zip", {"GARCIA/IM3": instances["CR"], "index.html": b"<html>"})
    command = ["deid", str(source), str(out), "--profile", "basic", "--jobs", "1"]
    done = CliRunner().invoke(app, command, env={"GATEWAY_DATA": str(tmp_path / "d")})
    assert done.exit_code == 1  # one is damaged
    assert "held damaged.dcm" in done.output
    assert "9 files: 3 de-identified" in done.output
    assert "5 ignored, 1 held (1 not-dicom)" in done.output
    written = [dcmread(path) for path in out.rglob("*.dcm")]
    assert {one.Modality for one in written} == {"CT", "MR", "CR"}
    assert [path for path in out.iterdir() if path.name.startswith(".")] == []
