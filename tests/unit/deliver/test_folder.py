from __future__ import annotations

import errno
import hashlib
import os
import random
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.deliver.base import Destination, Outcome, Parcel
from gateway.deliver.folder.destination import FolderDestination, component
from gateway.deliver.folder.settings import FolderSettings
from tests.unit.deliver.peers import content_of, make_parcel


def folder_at(root: Path) -> FolderDestination:
    return FolderDestination("archive", FolderSettings(type="folder", path=root))


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir()
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive" / "deep"


def brief(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.state, outcome.code) for outcome in outcomes]


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_layout_and_content(spool: Path, root: Path) -> None:
    parcels = [
        make_parcel(spool, number, content=bytes([number]) * size, pieces=3)
        for number, size in enumerate([1, 1000, 3_000_001])
    ]
    folder = folder_at(root)
    assert brief(folder.send(parcels)) == [("confirmed", "stored")] * 3
    folder.close()
    assert files_of(root) == {
        f"PSEUDONYM-1/2.25.1000/2.25.1000.1/{parcel.sop_uid}.dcm": content_of(parcel) for parcel in parcels
    }
    assert isinstance(folder, Destination)
    assert folder.name == "archive"


def test_others_cannot_read(spool: Path, root: Path) -> None:
    folder_at(root).send([make_parcel(spool, 0)])
    for path in (root, *root.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o027


def test_the_same_again_is_confirmed_and_not_written(spool: Path, root: Path) -> None:
    parcel = make_parcel(spool, 0)
    folder = folder_at(root)
    folder.send([parcel])
    [place] = root.rglob("*.dcm")
    before = place.stat()
    assert brief(folder.send([parcel])) == [("confirmed", "already-stored")]
    after = place.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "other",
    [
        b"x" * 1400,  # another length
        b"instance 1 " * 100,  # the same length, other bytes
    ],
)
def test_other_content_replaces(spool: Path, root: Path, other: bytes) -> None:
    folder = folder_at(root)
    folder.send([make_parcel(spool, 0)])
    [place] = root.rglob("*.dcm")
    with place.open("rb") as reader:
        changed = make_parcel(spool, 0, content=other)
        assert brief(folder.send([changed])) == [("confirmed", "replaced")]
        # Whoever has the old file open reads the old file to its end.
        assert reader.read() == b"instance 0 " * 100
    assert place.read_bytes() == other
    assert len(files_of(root)) == 1


def test_twice_in_one_call(spool: Path, root: Path) -> None:
    parcel = make_parcel(spool, 0)
    outcomes = folder_at(root).send([parcel, replace(parcel, delivery_id=9)])
    assert brief(outcomes) == [("confirmed", "stored"), ("confirmed", "already-stored")]
    assert [outcome.delivery_id for outcome in outcomes] == [0, 9]


def test_threads_deliver_the_same_instance(spool: Path, root: Path) -> None:
    parcels = [make_parcel(spool, number, content=bytes([number]) * 200_000) for number in range(4)]
    folder = folder_at(root)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(folder.send, [parcels] * 16))
    assert {outcome.state for outcomes in results for outcome in outcomes} == {"confirmed"}
    assert sorted(files_of(root).values()) == [content_of(parcel) for parcel in parcels]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("PSEUDONYM-1", "PSEUDONYM-1"),
        ("1.2.840.1", "1.2.840.1"),
        ("a_b.c-d", "a_b.c-d"),
        ("x" * 64, "x" * 64),
    ],
)
def test_harmless_values_stay(value: str, expected: str) -> None:
    assert component(value) == expected


HOSTILE = [
    "",
    ".",
    "..",
    ".hidden",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "C:",
    "a^b",
    "a b",
    "trailing.",
    "x" * 65,
    "y" * 10_000,
    "\u00e4\u6f22",
    "\ud800",
    ".partial",
    "~",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_become_one_harmless_component(value: str) -> None:
    name = component(value)
    assert 0 < len(name) <= 64
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set("/\\\0:^ ")
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert component(value) == name


def test_different_values_stay_different() -> None:
    values = [*HOSTILE, "a_b", "passwd", "x" * 64, "x" * 66, "_"]
    assert len({component(value) for value in values}) == len(values)


def test_nothing_leaves_the_root(spool: Path, root: Path) -> None:
    parcel = replace(
        make_parcel(spool, 0, patient="../../.."), study_uid="..", series_uid="/tmp", sop_uid="../../outside"
    )
    assert brief(folder_at(root).send([parcel])) == [("confirmed", "stored")]
    [name] = files_of(root)
    assert len(Path(name).parts) == 4
    assert sorted(path.name for path in spool.parent.iterdir()) == ["archive", "spool"]


# Faults: the instance that they concern fails, the others arrive, and no half of a file stays


def _failing(number: int, after: int = 0) -> Any:
    calls = []

    def fail(*arguments: Any, **more: Any) -> int:
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **more)

    real = os.write
    return fail


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EACCES, "permission"),
        (errno.EROFS, "permission"),
        (errno.EIO, "folder"),
        (errno.ESTALE, "folder"),
    ],
)
@pytest.mark.parametrize("after", [0, 1])
def test_a_folder_that_cannot_be_written(
    spool: Path, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str, after: int
) -> None:
    parcels = [make_parcel(spool, 0, content=bytes(1_000_000))]
    monkeypatch.setattr(os, "write", _failing(number, after))
    outcomes = folder_at(root).send(parcels)
    assert brief(outcomes) == [("failed", code)]
    assert "PSEUDONYM" not in outcomes[0].detail
    assert files_of(root) == {}


def test_a_disk_that_is_really_full(spool: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def onto_full(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if ".partial/" in str(path) and flags & os.O_CREAT:
            real(path, flags, mode)
            return real("/dev/full", os.O_WRONLY)
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", onto_full)
    assert brief(folder_at(root).send([make_parcel(spool, 0)])) == [("failed", "disk-full")]
    assert files_of(root) == {}


@pytest.mark.parametrize("length", [1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 2_560_000])
@pytest.mark.parametrize("taken", [1000, 100_000, None])
def test_writes_that_take_only_a_part(
    spool: Path, root: Path, monkeypatch: pytest.MonkeyPatch, length: int, taken: int | None
) -> None:
    real = os.write
    parcel = make_parcel(spool, 0, content=random.Random(length).randbytes(length), pieces=min(length, 3))
    monkeypatch.setattr(os, "write", lambda target, content: real(target, content[:taken]))
    [outcome] = folder_at(root).send([parcel])
    assert list(files_of(root).values()) == [content_of(parcel)]
    assert outcome.digest == hashlib.sha256(content_of(parcel)).hexdigest()


def test_a_directory_that_cannot_be_synced_confirms_nothing(
    spool: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_at(root)
    folder.send([make_parcel(spool, 0)])
    parcels = [make_parcel(spool, number) for number in range(1, 3)]
    real = os.fsync

    def fail_for_directories(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "no")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_directories)
    assert brief(folder.send(parcels)) == [("failed", "folder")] * 2
    monkeypatch.undo()
    assert brief(folder.send(parcels)) == [("confirmed", "already-stored")] * 2


def test_everything_is_synced_before_it_is_confirmed(spool: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parcels = [make_parcel(spool, number) for number in range(2)]
    synced: list[str] = []

    def noting(real: Callable[[int], None]) -> Callable[[int], None]:
        def note(descriptor: int) -> None:
            synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            real(descriptor)

        return note

    monkeypatch.setattr(os, "fsync", noting(os.fsync))
    monkeypatch.setattr(os, "fdatasync", noting(os.fdatasync))
    assert brief(folder_at(root).send(parcels)) == [("confirmed", "stored")] * 2
    series = root / "PSEUDONYM-1" / "2.25.1000" / "2.25.1000.1"
    # Every directory that was made is durable in its parent, each file before its entry in the series.
    made = [root.parent, root, *(root / level for level in series.relative_to(root).parents), series]
    assert {str(directory.parent) for directory in made} <= set(synced)
    assert len([path for path in synced if "/.partial/" in path]) == 2
    assert synced[-1] == str(series)


def test_what_is_there_already_is_synced_before_it_is_confirmed(
    spool: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The delivery that wrote it may have died between rename and sync.
    folder = folder_at(root)
    folder.send([make_parcel(spool, 0)])
    [place] = root.rglob("*.dcm")
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    assert brief(folder.send([make_parcel(spool, 0)])) == [("confirmed", "already-stored")]
    assert synced == [str(place), str(place.parent)]


def test_a_file_in_the_way(spool: Path, root: Path) -> None:
    root.mkdir(parents=True)
    (root / "PSEUDONYM-1").write_text("not a directory")
    parcels = [make_parcel(spool, 0), make_parcel(spool, 1, patient="PSEUDONYM-2")]
    assert brief(folder_at(root).send(parcels)) == [("failed", "folder"), ("confirmed", "stored")]


def test_a_missing_file_concerns_its_instance_alone(spool: Path, root: Path) -> None:
    parcels = [make_parcel(spool, number) for number in range(3)]
    parcels[1].parts[0].path.unlink()
    assert brief(folder_at(root).send(parcels)) == [
        ("confirmed", "stored"),
        ("failed", "spool-unreadable"),
        ("confirmed", "stored"),
    ]
    assert len(files_of(root)) == 2


def _with_wrong_length(parcel: Parcel) -> Parcel:
    return replace(parcel, length=parcel.length + 1)


def _truncated(parcel: Parcel) -> Parcel:
    path = parcel.parts[0].path
    path.write_bytes(path.read_bytes()[:700])
    return parcel


def _without_parts(parcel: Parcel) -> Parcel:
    return replace(parcel, parts=(), length=0)


@pytest.mark.parametrize("damage", [_with_wrong_length, _truncated, _without_parts])
def test_stored_bytes_that_are_not_what_was_stored(spool: Path, root: Path, damage: Any) -> None:
    parcel = damage(make_parcel(spool, 0))
    assert brief(folder_at(root).send([parcel])) == [("dead", "spool-corrupt")]
    assert files_of(root) == {}


def test_what_a_crash_left_behind_is_swept(spool: Path, root: Path) -> None:
    partial = root / ".partial"
    partial.mkdir(parents=True)
    old, new = partial / "1-old", partial / "2-new"
    for path in (old, new):
        path.write_text("half")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    folder_at(root)
    assert not old.exists()
    assert new.exists()


def test_the_folder_is_made_with_the_first_instance(spool: Path, root: Path) -> None:
    folder = folder_at(root)
    assert not root.exists()
    folder.send([make_parcel(spool, 0)])
    assert root.is_dir()
