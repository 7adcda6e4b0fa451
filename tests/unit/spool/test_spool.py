"""Received originals on disk."""

import errno
import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from gateway.dicom.file_meta import FileMeta
from gateway.dicom.segments import FileRange
from gateway.errors import SpoolCorrupt, SpoolFull, SpoolUnavailable
from gateway.spool import Durability, Spool, SpoolRecord
from gateway.spool.disk import DirectorySync, Disk
from gateway.spool.ulid import UlidSource

META = FileMeta("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "2.25.17", "SENDER", "GATEWAY")
DATA_SET = b"\x08\x00\x18\x00UI\x08\x002.25.17\0" + b"\x10\x00\x10\x00PN\x04\x00A^B "


def store(spool: Spool, data: bytes = DATA_SET) -> SpoolRecord:
    with spool.incoming(META) as incoming:
        incoming.write([data])
        return incoming.commit(source="ward-3", peer_address="192.0.2.7")


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_spool_file_is_a_dicom_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = store(spool)
    dataset = pydicom.dcmread(spool.path(stored.name))
    assert dataset.SOPInstanceUID == "2.25.17"
    assert dataset.PatientName == "A^B"
    assert dataset.file_meta.TransferSyntaxUID == META.transfer_syntax
    assert dataset.file_meta.SourceApplicationEntityTitle == "SENDER"
    assert dataset.file_meta.ReceivingApplicationEntityTitle == "GATEWAY"


def test_another_process_reads_the_same_record(tmp_path: Path) -> None:
    stored = store(Spool(tmp_path))
    other = Spool(tmp_path)
    assert other.read_record(stored.name) == stored
    assert other.check(stored.name) == stored
    assert stored.meta == META
    assert stored.size == other.path(stored.name).stat().st_size
    assert list(other.names()) == [stored.name]


def test_names_are_unique_relative_and_sorted_by_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path, durability=Durability.NONE)
    names = [store(spool).name for _ in range(200)]
    assert names == sorted(set(names))
    assert list(spool.names()) == names
    assert list(spool.names(newest_first=True)) == names[::-1]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d/[0-9A-Z]{26}\.dcm", name) for name in names)


def test_ulids_rise_when_the_clock_does_not() -> None:
    source = UlidSource()
    moments = [5_000_000_000, 5_000_000_000, 4_000_000_000, 6_000_000_000]  # the same, backwards, forwards
    names = [source.next(moment) for moment in moments]
    assert names == sorted(set(names))
    assert {len(name) for name in names} == {26}


def test_p9_originals_are_for_the_service_account_alone(tmp_path: Path) -> None:
    root = tmp_path / "data" / "spool"
    old = os.umask(0)
    try:
        spool = Spool(root)
        stored = store(spool)
        spool.write_output(stored.name, [b"inline"])
        spool.lock().release()
    finally:
        os.umask(old)
    for path in [root, *root.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize(
    "spans",
    [
        [],  # an empty data set is the receiver's business, not the spool's
        [b"a" * 10],
        [b"ab"] * 5000,  # more buffers than one call takes
        [memoryview(bytes(range(256)) * 40)[3:9001], bytearray(b"xyz")],
        [b""] * 3,
    ],
)
def test_spans_are_stored_in_order(tmp_path: Path, spans: list[Any]) -> None:
    spool = Spool(tmp_path, durability=Durability.NONE)
    with spool.incoming(META) as incoming:
        incoming.write(spans)
        incoming.write(spans)
        stored = incoming.commit(source="", peer_address="")
    expected = b"".join(map(bytes, spans)) * 2
    assert spool.path(stored.name).read_bytes()[stored.offset :] == expected
    assert stored.length == len(expected)
    spool.check(stored.name)


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, spans: real(descriptor, [b"".join(spans)[:7]]))
    stored = store(spool := Spool(tmp_path), b"0123456789" * 10)
    assert spool.path(stored.name).read_bytes().endswith(b"0123456789" * 10)
    spool.check(stored.name)


@pytest.mark.parametrize("committed", [False, True])
def test_only_what_was_committed_stays(tmp_path: Path, committed: bool) -> None:
    spool = Spool(tmp_path)
    with spool.incoming(META) as incoming:
        incoming.write([DATA_SET])
        assert list(spool.names()) == []
        if committed:
            incoming.commit(source="", peer_address="")
            incoming.abort()  # too late, and harmless
    assert len(list(spool.names())) == len(list((tmp_path / "received").rglob("*.dcm"))) == committed


class Flushes:
    """Records what is synced, in order, with the content of the file at that moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str, bool]] = []
        self._fdatasync, self._fsync = os.fdatasync, os.fsync
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fdatasync(self, descriptor: int) -> None:
        self.calls.append(("fdatasync", *self._of(descriptor)))
        self._fdatasync(descriptor)

    def fsync(self, descriptor: int) -> None:
        self.calls.append(("fsync", *self._of(descriptor)))
        self._fsync(descriptor)

    @staticmethod
    def _of(descriptor: int) -> tuple[str, bool]:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        return path.name, path.is_file() and path.read_bytes()[:4] == b"DGsp"


@pytest.mark.parametrize(
    ("durability", "expected"),
    [
        (Durability.FULL, ["fdatasync file", "fsync day"]),
        (Durability.DATA, ["fdatasync file"]),
        (Durability.NONE, []),
    ],
)
def test_p1_commit_syncs_the_complete_file_and_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, expected: list[str]
) -> None:
    spool = Spool(tmp_path, durability=durability)
    store(spool)  # the day's directory exists from here on
    disk = Flushes(monkeypatch)
    stored = store(spool)
    day, file = stored.name.split("/")
    kinds = {file: "file", day: "day"}
    assert [f"{call} {kinds[name]}" for call, name, _ in disk.calls] == expected
    assert all(complete for call, name, complete in disk.calls if name == file)


def test_p1_a_new_day_is_synced_into_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    disk = Flushes(monkeypatch)
    store(spool)
    assert disk.calls[0][:2] == ("fsync", "received")


@pytest.mark.parametrize(
    ("call", "number", "expected"),
    [
        ("writev", errno.ENOSPC, SpoolFull),
        ("writev", errno.EDQUOT, SpoolFull),
        ("writev", errno.EIO, SpoolUnavailable),
        ("pwrite", errno.ENOSPC, SpoolFull),
        ("pwrite", errno.EROFS, SpoolUnavailable),
        ("fdatasync", errno.ENOSPC, SpoolFull),  # delayed allocation reports a full disk here
        ("fdatasync", errno.EIO, SpoolUnavailable),
        ("fsync", errno.EIO, SpoolUnavailable),  # the directory
        ("open", errno.ENOSPC, SpoolFull),
        ("open", errno.EMFILE, SpoolUnavailable),
        ("statvfs", errno.EIO, SpoolUnavailable),
    ],
)
def test_p5_a_failing_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, expected: type[Exception]
) -> None:
    monkeypatch.setattr("gateway.spool.disk._AMPLE_SECONDS", 0.0)
    spool = Spool(tmp_path)
    first = store(spool)

    def fail(*arguments: object, **more: object) -> None:
        raise OSError(number, os.strerror(number), "/the/path")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(expected) as caught:
            store(spool)
    assert "/the/path" not in str(caught.value)
    assert [path.name for path in (tmp_path / "received").rglob("*.dcm")] == [Path(first.name).name]
    assert list(spool.names()) == [first.name]
    assert list(Spool(tmp_path).names()) == [first.name]
    second = store(spool)
    assert list(spool.names()) == [first.name, second.name]


def test_p5_the_reserve_is_kept_and_space_coming_back_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"bytes": 1000}
    monkeypatch.setattr("gateway.spool.disk.free_bytes", lambda root: free["bytes"])
    spool = Spool(tmp_path, reserve_bytes=1000)
    store(spool)
    free["bytes"] = 999
    with pytest.raises(SpoolFull, match="999 bytes free, too few to create a file above a reserve of 1000 bytes"):
        store(spool)
    free["bytes"] = 1000
    with spool.incoming(META) as incoming:
        incoming.write([bytes(1 << 20)])
        free["bytes"] = 999
        with pytest.raises(SpoolFull):  # in the middle of a large instance
            incoming.write([bytes(1 << 20)] * 16)
    free["bytes"] = 1000
    store(spool)
    assert len(list(spool.names())) == 2


@pytest.mark.parametrize(
    ("free", "asked"),
    [
        ((1 << 40), 1),  # ample: asked again after a time
        ((512 << 20) + 1000, 1),
        ((512 << 20) + 999, 3),  # the reserve is near: asked every time
        (1000, 3),
    ],
)
def test_the_kernel_is_asked_as_often_as_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, asked: int
) -> None:
    calls: list[Path] = []
    now = [100.0]

    def ask(root: Path) -> int:
        calls.append(root)
        return free

    monkeypatch.setattr("gateway.spool.disk.free_bytes", ask)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    disk = Disk(tmp_path, reserve=1000)
    for _ in range(3):
        disk.check("create", "a file")
    assert len(calls) == asked
    now[0] += 0.1
    disk.check("create", "a file")
    assert len(calls) == asked + 1


def test_free_bytes_is_what_the_file_system_says(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert abs(Spool(tmp_path).free_bytes() - status.f_bavail * status.f_frsize) < 1 << 30


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "it is missing"),
        (lambda path: path.write_bytes(b""), "it was never completed"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "bytes instead of"),
        (lambda path: flip(path, 20), "its record is damaged"),
        (lambda path: flip(path, 200), "its record is damaged"),
    ],
)
def test_damage_is_found_by_the_record(tmp_path: Path, damage: Callable[[Path], object], reason: str) -> None:
    spool = Spool(tmp_path)
    stored = store(spool)
    damage(spool.path(stored.name))
    with pytest.raises(SpoolCorrupt, match=reason):
        spool.read_record(stored.name)
    assert list(spool.names()) == []


def test_torn_bytes_are_found_by_the_checksum(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = store(spool)
    flip(spool.path(stored.name), stored.size - 1)
    assert spool.read_record(stored.name) == stored
    with pytest.raises(SpoolCorrupt, match="checksum"):
        spool.check(stored.name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "2026-01-01/../../x.dcm",
        "/etc/passwd",
        "2026-01-01/short.dcm",
        f"2026-01-01/{'I' * 26}.dcm",  # a letter that the alphabet leaves out
    ],
)
def test_a_name_of_nobodys_making_leads_nowhere(tmp_path: Path, name: str) -> None:
    spool = Spool(tmp_path)
    for use in (spool.path, spool.read_record, spool.check, spool.remove, spool.output):
        with pytest.raises(SpoolCorrupt, match="not a name of this spool"):
            use(name)


def test_remove_takes_original_and_output_and_may_be_repeated(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = store(spool)
    spool.write_output(stored.name, [b"x"])
    spool.remove(stored.name)
    spool.remove(stored.name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_sweep_removes_the_unfinished_and_sets_the_damaged_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    kept, torn, mangled = (store(spool) for _ in range(3))
    spool.write_output(kept.name, [b"x"])
    unfinished = spool.incoming(META)
    unfinished.write([DATA_SET])
    empty = spool.path(kept.name).with_name("0" * 26 + ".dcm")
    empty.touch()
    flip(spool.path(mangled.name), 50)
    spool.path(torn.name).write_bytes(spool.path(torn.name).read_bytes()[:-4])
    (spool.work / "reencoded.dcm").write_bytes(b"x")
    (spool.work / "task").mkdir()
    (spool.work / "task" / "file").write_bytes(b"x")
    draft = tmp_path / "out" / Path(kept.name).parent / "half.out.tmp"
    draft.write_bytes(b"x")
    (tmp_path / "received" / "2020-01-01").mkdir()

    result = Spool(tmp_path).sweep()

    assert result.removed == 2
    assert result.damaged == (torn.name, mangled.name)
    assert list(spool.names()) == [kept.name]
    assert {path.name for path in (tmp_path / "damaged").iterdir()} == {Path(n.name).name for n in (torn, mangled)}
    assert list(spool.work.iterdir()) == []
    assert not draft.exists()
    assert spool.output(kept.name).length == 1
    assert not (tmp_path / "received" / "2020-01-01").exists()
    unfinished.abort()
    assert Spool(tmp_path).sweep().removed == 0


def test_a_day_that_was_removed_is_made_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = store(spool)
    spool.remove(stored.name)
    spool.path(stored.name).parent.rmdir()
    assert list(spool.names()) == [] != [store(spool).name]


def test_a_second_gateway_is_refused(tmp_path: Path) -> None:
    with Spool(tmp_path).lock(), pytest.raises(SpoolUnavailable, match=rf"another gateway, process {os.getpid()}"):
        Spool(tmp_path).lock()
    Spool(tmp_path).lock().release()


class TestDirectorySync:
    def test_one_sync_serves_all_entries_made_before_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        disk = Flushes(monkeypatch)
        directory = DirectorySync(tmp_path)
        entries = [directory.entry() for _ in range(8)]
        threads = [threading.Thread(target=directory.sync, args=(entry,)) for entry in entries]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(disk.calls) == 1
        directory.sync(directory.entry())
        assert len(disk.calls) == 2

    def test_a_failed_sync_fails_for_everyone_it_covered(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = DirectorySync(tmp_path)
        first, second = directory.entry(), directory.entry()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.EIO, "the first time")))
            with pytest.raises(OSError, match="the first time"):
                directory.sync(second)
        with pytest.raises(OSError, match="Input/output"):  # the kernel would say yes now
            directory.sync(first)
        directory.sync(directory.entry())


class TestOutput:
    def test_ranges_of_the_original_stay_ranges(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        stored = store(spool, bytes(range(256)) * 4000)
        path = spool.path(stored.name)
        other = spool.work / "pixels"
        other.write_bytes(b"P" * 3_000_000)
        segments: list[bytes | FileRange] = [
            b"head",
            FileRange(path, 500, 1000),
            b"",
            FileRange(other, 5, 2_500_000),
            b"tail",
            FileRange(path, 9, 1),
        ]
        expected = b"head" + path.read_bytes()[500:1500] + b"P" * 2_500_000 + b"tail" + path.read_bytes()[9:10]

        assert spool.write_output(stored.name, segments) == len(expected)
        other.unlink()
        output = Spool(tmp_path).output(stored.name)

        assert output.length == len(expected)
        assert (
            b"".join(part.path.read_bytes()[part.offset : part.offset + part.length] for part in output.parts())
            == expected
        )
        assert [part.path == path for part in output.parts()] == [False, True, False, False, False, True]
        assert all(part.path.is_absolute() for part in output.parts())
        small = sum(part.length for part in output.parts() if part.path != path)
        assert next(p for p in (tmp_path / "out").rglob("*.out")).stat().st_size < small + 300

    def test_an_output_of_very_many_parts(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        stored = store(spool)
        path = spool.path(stored.name)
        # The table of the parts alone is longer than what is read at a time.
        segments: list[bytes | FileRange] = [b"ab", FileRange(path, 3, 2)] * 40_000
        assert spool.write_output(stored.name, segments) == 160_000
        ranges = spool.output(stored.name).ranges
        assert len(ranges) == 80_000
        assert ranges[-1] == FileRange(path, 3, 2)
        assert [part.offset - ranges[0].offset for part in ranges[::2]] == list(range(0, 80_000, 2))

    def test_a_second_output_replaces_the_first(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        stored = store(spool)
        for content in (b"first", b"second!"):
            spool.write_output(stored.name, [content])
        assert spool.output(stored.name).length == 7
        assert len(list((tmp_path / "out").rglob("*.*"))) == 1

    def test_a_failed_write_keeps_the_output_before(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        stored = store(spool)
        spool.write_output(stored.name, [b"first"])
        short = spool.work / "short"
        short.write_bytes(b"12")
        bad = [
            FileRange(spool.path(stored.name), 0, stored.size + 1),  # behind the original's end
            FileRange(short, 0, 3),  # behind the end of a work file
        ]
        for part in bad:
            with pytest.raises(SpoolCorrupt):
                spool.write_output(stored.name, [b"second", part])
        with pytest.raises(SpoolUnavailable):
            spool.write_output(stored.name, [FileRange(spool.work / "absent", 0, 3)])
        assert spool.output(stored.name).length == 5
        assert len(list((tmp_path / "out").rglob("*.*"))) == 1

    @pytest.mark.parametrize("left", [b"", b"DGou\x01", bytes(60)])
    def test_what_a_killed_process_left_is_no_output_and_is_replaced(self, tmp_path: Path, left: bytes) -> None:
        spool = Spool(tmp_path)
        stored = store(spool)
        path = tmp_path / "out" / stored.name.replace(".dcm", ".out")
        path.parent.mkdir()
        path.write_bytes(left)
        with pytest.raises(SpoolCorrupt):
            spool.output(stored.name)
        spool.write_output(stored.name, [b"whole"])
        assert spool.output(stored.name).length == 5
        assert [one.name for one in path.parent.iterdir()] == [path.name]

    def test_a_failed_first_write_leaves_nothing(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        stored = store(spool)
        for bad, error in (
            (FileRange(spool.path(stored.name), 0, stored.size + 1), SpoolCorrupt),
            (FileRange(spool.work / "absent", 0, 3), SpoolUnavailable),
        ):
            with pytest.raises(error):
                spool.write_output(stored.name, [b"begin", bad])
            assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []

    def test_damage_anywhere_is_found(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        stored = store(spool)
        spool.write_output(stored.name, [b"head", FileRange(spool.path(stored.name), 0, stored.size), b"tail"])
        path = next((tmp_path / "out").rglob("*.out"))
        good = path.read_bytes()
        for at in range(len(good)):
            bad = bytearray(good)
            bad[at] ^= 1
            path.write_bytes(bad)
            with pytest.raises(SpoolCorrupt):
                spool.output(stored.name)
        for length in range(len(good)):
            path.write_bytes(good[:length])
            with pytest.raises(SpoolCorrupt):
                spool.output(stored.name)
        path.write_bytes(good)
        spool.output(stored.name)

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        stored = store(spool)
        with pytest.raises(SpoolCorrupt, match="its output is missing"):
            spool.output(stored.name)
        spool.write_output(stored.name, [FileRange(spool.path(stored.name), 0, stored.size)])
        path = spool.path(stored.name)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(SpoolCorrupt, match="its output needs"):
            spool.output(stored.name)
        path.unlink()
        with pytest.raises(SpoolCorrupt, match="it is missing"):
            spool.output(stored.name)
        with pytest.raises(SpoolCorrupt, match="it is missing"):
            spool.write_output(stored.name, [b"x"])
