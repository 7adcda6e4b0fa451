"""The folder of a CD or an export: archives in it, and what is no DICOM file."""

from __future__ import annotations

import gzip
import io
import os
import signal
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.deid import ended_in_order
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
    ("name", "place"),
    [
        ("//etc/cron.d/x", "etc/cron.d/x"),  # two slashes stay two in POSIX
        ("\\\\server\\share\\x", "server/share/x"),  # a place in Windows' network
        ("///x", "x"),
        ("a/../../../b", "a/b"),
        ("C:\\x", "C_/x"),
        ("..", "file"),
    ],
)
def test_a_name_leads_nowhere(tmp_path: Path, name: str, place: str) -> None:
    archive = zipped(tmp_path / "e.zip", {name: b"1"})
    assert found(archive, tmp_path / "out") == ({f"e.zip/{place}": b"1"}, {})


def test_every_member_has_a_place_of_its_own(tmp_path: Path) -> None:
    names = {"a/IM.dcm": b"1", "../a/IM.dcm": b"2", "a//IM.dcm": b"3", "folder/": b"a file all the same", "empty/": b""}
    files, _ = found(zipped(tmp_path / "e.zip", names), tmp_path / "out")
    assert files == {
        "e.zip/a/IM.dcm": b"1",
        "e.zip/a/IM-2.dcm": b"2",
        "e.zip/a/IM-3.dcm": b"3",
        "e.zip/folder": b"a file all the same",
    }


def plain_tar(kind: bytes = tarfile.REGTYPE) -> bytes:
    """Two files of 100 bytes: headers at 0 and 1024, the end at 2048."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in ("one", "two"):
            info = tarfile.TarInfo(name)
            info.size, info.type = 100, kind if name == "two" else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(b"1" * 100))
    return content.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (plain_tar(), ""),
        (plain_tar(b"Z"), ""),  # what is of an unknown type is a file
        (plain_tar()[:1024] + b"x" + plain_tar()[1025:], "the archive is damaged"),  # the library stops there
        (plain_tar()[:1024], "the archive is damaged"),  # cut between two files
        (plain_tar()[:2048], "the archive is damaged"),
        (plain_tar()[:1500], "the archive is damaged"),  # cut in a header
        (plain_tar() * 2, "something follows the end"),  # of which no file would be read
        (plain_tar(tarfile.LNKTYPE), "the archive is damaged"),  # a link with content
    ],
)
def test_a_tar_is_read_to_its_end(tmp_path: Path, data: bytes, reason: str) -> None:
    for name, content in (("e.tar", data), ("e.tar.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        files, unusable = found(tmp_path / name, tmp_path / "out")
        assert (len(files), list(unusable)) == ((0, [name]) if reason else (2, []))
        assert reason in unusable.get(name, "")


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    for folder in ("real", "locked", "elsewhere"):
        (source / folder).mkdir(parents=True)
    (source / "real" / "one").write_bytes(b"1")
    (source / "linked").symlink_to(tmp_path / "in" / "real")
    (source / "gone").symlink_to(tmp_path / "nowhere")
    (source / "file").symlink_to(source / "real" / "one")
    os.mkfifo(source / "pipe")
    listing: Any = os.scandir

    def scandir(path: object) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    files, unusable = found(source, tmp_path / "out")
    assert files == {"real/one": b"1", "file": b"1"}
    assert unusable == {
        "gone": "the link leads nowhere",
        "linked": "a link to a folder is not followed: name that folder",
        "locked": "the folder cannot be listed: Permission denied",
        "pipe": "it is neither a file nor a folder",
    }


def test_what_was_unpacked_of_an_archive_that_is_not_taken_goes_at_once(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"one": b"1"}).read_bytes()
    source = zipped(tmp_path / "e.zip", {"inner.zip": inner, "two": b"2" * 1000})
    data = source.read_bytes()
    at = data.index(b"two") + 3
    source.write_bytes(data[:at] + b"\xff\xff\xff" + data[at + 3 :])  # what zlib says is told as well
    with handed_over(source, tmp_path / "out") as handed:
        assert (handed.files, handed.unusable) == ([], [(Path("e.zip"), "the archive is damaged")])
        assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data + data, "something stands before"),  # two archives, of which the last is listed
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
    # A file of DICOM by what it begins with, and what may hold some.
    (source / "IM0").write_bytes(bytes(128) + b"DICM")
    (source / "IM4.gz").write_bytes(gzip.compress(instances["CT"]))
    (source / "packed").write_bytes(taped(one=b"1"))
    zipped(source / "viewer.jar", {"program": b"1"})
    directory = part10(explicit(0x00041130, "CS", b"DISC"), "1.2.840.10008.1.2.1", sop_class="1.2.840.10008.1.3.10")
    (source / "DICOMDIR").write_bytes(directory)
    (source / "IM5").write_bytes(directory)  # that is not what a directory is called
    (out / ".work-killed").mkdir(parents=True)
    (source / "IM1").write_bytes(instances["CT"])
    # Once more, and once more with another content.
    (source / "IM1-again").write_bytes(instances["CT"])
    (source / "IM1-other").write_bytes(instances["CT"][:-2] + b"\7\7")
    # A value of odd length, as some devices write it.
    odd = instances["MR"].replace(b"CS\x02\0O ", b"CS\x01\0O")
    assert len(odd) == len(instances["MR"]) - 1
    (source / "IM2").write_bytes(odd)
    zipped(source / "more.zip", {"GARCIA/IM3": instances["CR"], "index.html": b"<html>"})
    command = ["deid", str(source), str(out), "--profile", "basic", "--jobs", "1"]
    done = CliRunner().invoke(app, command, env={"GATEWAY_DATA": str(tmp_path / "d")})
    assert done.exit_code == 1  # one is damaged
    assert "held damaged.dcm" in done.output
    assert "16 files: 4 de-identified" in done.output
    assert "6 ignored, 6 held (2 archive, 1 media-directory, 2 not-dicom, 1 two-contents-of-instance)" in " ".join(
        done.output.split()
    )
    written = [dcmread(path) for path in out.rglob("*.dcm")]
    assert {one.Modality for one in written} == {"CT", "MR", "CR"}
    # Of another run it says that it is there.
    assert f"{out}/.work-killed: of a run that was killed" in done.output
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == [".work-killed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_end_leaves_no_originals(tmp_path: Path, number: signal.Signals) -> None:
    source, out = zipped(tmp_path / "e.zip", {"one": b"1"}), tmp_path / "out"
    unpacked: list[Path] = []

    def told_to_end() -> None:
        with ended_in_order(), handed_over(source, out) as handed:
            unpacked.extend(path for path, _ in handed.files if path.is_file())
            signal.raise_signal(number)

    with pytest.raises(SystemExit) as ended:
        told_to_end()
    assert len(unpacked) == 1
    assert ended.value.code == 128 + number
    assert list(out.iterdir()) == []
    assert signal.getsignal(number) is signal.SIG_DFL
