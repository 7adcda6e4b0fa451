"""The directory of received originals and de-identified outputs."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Final

from gateway import checksum
from gateway.dicom.file_meta import FileMeta
from gateway.dicom.segments import Segment
from gateway.errors import SpoolCorrupt
from gateway.spool.disk import (
    DIRECTORY_MODE,
    FILE_MODE,
    DirectorySync,
    Disk,
    Durability,
    free_bytes,
    make_directory,
)
from gateway.spool.incoming import Incoming
from gateway.spool.lock import SpoolLock
from gateway.spool.output import Output, read_parts, write_parts
from gateway.spool.record import PREAMBLE_LENGTH, SpoolRecord, is_blank
from gateway.spool.ulid import UlidSource

_SUFFIX: Final = ".dcm"
_NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}/[0-9A-HJKMNP-TV-Z]{26}\.dcm")
_CHUNK: Final = 1 << 20
#: Received files whose paths are kept: a worker asks for one several times.
_MOST_PATHS: Final = 256
#: Preamble and file meta information: two UIDs of 64 bytes, two AE titles and what the gateway says of itself.
_HEAD: Final = 4096


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found.

    Attributes
    ----------
    removed
        files that were never completed
    damaged
        names of files whose record or length is wrong; they are kept in the directory ``damaged``
    """

    removed: int
    damaged: tuple[str, ...]


class Spool:
    """Stores received instances durably, and their outputs beside them.

    Several processes may use one spool at the same time; ``lock`` and ``sweep`` are for the one that starts them.

    ::

        <root>/lock
        <root>/received/2026-11-21/01KAK….dcm    originals, a directory per day (UTC)
        <root>/out/2026-11-21/01KAK….out         outputs
        <root>/work                              files that live as long as one task
        <root>/damaged                           what a sweep set aside

    Parameters
    ----------
    root
        the directory; created, with its parents, for this account alone
    durability
        what a commit waits for
    reserve_bytes
        space that is left free, for the ledger and the outputs of what is already here

    Raises
    ------
    SpoolFull, SpoolUnavailable
        the directories cannot be created
    """

    def __init__(self, root: Path, *, durability: Durability = Durability.FULL, reserve_bytes: int = 0) -> None:
        self._root = root.absolute()
        self._durability = durability
        self._disk = Disk(self._root, reserve=reserve_bytes)
        self._received = self._root / "received"
        self._out = self._root / "out"
        self._damaged = self._root / "damaged"
        #: Directory for files that live as long as one task; emptied by ``sweep``.
        self.work = self._root / "work"
        self._ulids = UlidSource()
        #: In the names of unfinished outputs: together with the process, no other spool object's have it.
        self._drafts = self._ulids.next(time.time_ns())
        self._draft_number = count(1)
        self._days: dict[str, DirectorySync] = {}
        self._days_lock = threading.Lock()
        with self._disk.errors("create", "the spool"):
            for path in (self._received, self._out, self.work):
                make_directory(path, durable=durability is not Durability.NONE)
                path.chmod(DIRECTORY_MODE)

    def lock(self) -> SpoolLock:
        """Take the data directory for this gateway alone.

        Raises
        ------
        SpoolUnavailable
            another gateway has it
        """
        return SpoolLock(self._root / "lock")

    def incoming(self, meta: FileMeta) -> Incoming:
        """Begin a received instance whose file meta information is ``meta``.

        Raises
        ------
        SpoolFull
            less than the reserve is free
        SpoolUnavailable
            the disk failed
        """
        with self._disk.errors("create", "a file"):
            self._disk.check("create", "a file")
            now = time.time_ns()
            day = datetime.fromtimestamp(now // 1_000_000_000, UTC).date().isoformat()
            directory = self._day(day)
            name = f"{day}/{self._ulids.next(now)}.dcm"
            path = self._received / name
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            try:
                descriptor = os.open(path, flags, FILE_MODE)
            except FileNotFoundError:
                # Somebody removed the directory while it was empty.
                directory = self._day(day, again=True)
                descriptor = os.open(path, flags, FILE_MODE)
        try:
            return Incoming(
                name=name,
                path=path,
                descriptor=descriptor,
                meta=meta,
                directory=directory,
                durability=self._durability,
                disk=self._disk,
            )
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise

    def path(self, name: str) -> Path:
        """The absolute path of the received file ``name``.

        Raises
        ------
        SpoolCorrupt
            this is not a name that the spool gave
        """
        return _path(self._received, name)

    def read_record(self, name: str) -> SpoolRecord:
        """The record of the received file ``name``; the data set itself is not looked at.

        Raises
        ------
        SpoolCorrupt
            it is missing, incomplete or damaged
        SpoolUnavailable
            it cannot be read
        """
        path = self.path(name)
        with self._disk.errors("read", name):
            try:
                with path.open("rb") as file:
                    head = file.read(_HEAD)
                    size = os.fstat(file.fileno()).st_size
            except FileNotFoundError:
                raise SpoolCorrupt(name=name, reason="it is missing") from None
        record = SpoolRecord.decode(name, head)
        if record.size != size:
            raise SpoolCorrupt(name=name, reason=f"it has {size} bytes instead of {record.size}")
        return record

    def check(self, name: str) -> SpoolRecord:
        """Read the received file ``name`` whole and compare it with its record.

        Raises
        ------
        SpoolCorrupt
            it is not what was received
        SpoolUnavailable
            it cannot be read
        """
        record = self.read_record(name)
        crc32 = 0
        with (
            self._disk.errors("read", name),
            self.path(name).open("rb", buffering=0) as file,
        ):
            file.seek(record.offset)
            while chunk := file.read(_CHUNK):
                crc32 = checksum.crc32(chunk, crc32)
        if crc32 != record.crc32:
            raise SpoolCorrupt(name=name, reason="its checksum is wrong")
        return record

    def names(self, *, newest_first: bool = False) -> Iterator[str]:
        """The complete received files, oldest first. Files that are incomplete or damaged are passed over.

        Parameters
        ----------
        newest_first
            the other way round

        Raises
        ------
        SpoolUnavailable
            a directory or file cannot be read
        """
        for name in self._all_names(newest_first=newest_first):
            try:
                self.read_record(name)
            except SpoolCorrupt:
                continue
            yield name

    def remove(self, name: str) -> None:
        """Remove the received file ``name`` and its output; nothing is said if they are not there.

        Raises
        ------
        SpoolUnavailable
            they cannot be removed
        """
        path = self.path(name)
        with self._disk.errors("remove", name):
            self._output_path(name).unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Bytes that may still be written to the spool's file system.

        Raises
        ------
        SpoolUnavailable
            the file system does not answer
        """
        with self._disk.errors("measure", "the disk"):
            return free_bytes(self._root)

    def write_output(self, name: str, segments: Sequence[Segment]) -> int:
        """Store the output of the received file ``name``, in place of an earlier one, at once or not at all.

        Parameters
        ----------
        name
            name of the original
        segments
            the output, a whole DICOM file; ranges of the original are kept as ranges, others are copied

        Returns
        -------
        Bytes of the output.

        Raises
        ------
        SpoolCorrupt
            the original is missing, or a range ends behind its file
        SpoolFull, SpoolUnavailable
            it cannot be written
        """
        stored = self.path(name)
        # Strings: what Path takes for each of thousands of names adds up.
        final = f"{self._out}/{_output_name(name)}"
        draft = f"{final}.{self._drafts}-{os.getpid()}-{next(self._draft_number)}.tmp"
        with self._disk.errors("write the output of", name):
            try:
                available = os.stat(stored).st_size  # noqa: PTH116
            except FileNotFoundError:
                raise SpoolCorrupt(name=name, reason="it is missing") from None
            try:
                descriptor = _created(draft)
            except FileNotFoundError:
                # The first one of a day, or of one whose directory was removed while it was empty.
                Path(final).parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
                descriptor = _created(draft)
            try:
                with FileIO(descriptor, "wb") as file:
                    length = write_parts(file, segments, stored=stored, available=available)
                os.replace(draft, final)  # noqa: PTH105
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        return length

    def output(self, name: str) -> Output:
        """The output of the received file ``name``, checked.

        Raises
        ------
        SpoolCorrupt
            there is none, it is torn or damaged, or the original is missing or too short
        SpoolUnavailable
            it cannot be read
        """
        stored = self.path(name)
        with self._disk.errors("read the output of", name):
            try:
                return read_parts(self._output_path(name), name=name, stored=stored)
            except FileNotFoundError:
                missing = "its output" if stored.exists() else "it"
                raise SpoolCorrupt(name=name, reason=f"{missing} is missing") from None

    def sweep(self) -> Sweep:
        """Tidy what a crash left behind; the holder of the lock calls it before anything else uses the spool.

        Received files without a record were never acknowledged and are removed. Files whose record or length is
        wrong may have been acknowledged before the disk lost them: they are set aside, never removed. Unfinished
        outputs, work files and the empty directories of past days go.

        Raises
        ------
        SpoolUnavailable
            a file cannot be read or removed
        """
        removed, damaged = 0, []
        with self._disk.errors("sweep", "the spool"):
            for name in list(self._all_names()):
                path = self._received / name
                with path.open("rb") as file:
                    blank = is_blank(file.read(PREAMBLE_LENGTH))
                if blank:
                    path.unlink()
                    removed += 1
                    continue
                try:
                    self.read_record(name)
                except SpoolCorrupt:
                    make_directory(self._damaged, durable=True)
                    path.replace(self._damaged / path.name)
                    damaged.append(name)
            for draft in self._out.glob("*/*.tmp"):
                draft.unlink()
            for entry in self.work.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            today = datetime.now(UTC).date().isoformat()
            for day in (*self._received.iterdir(), *self._out.iterdir()):
                if day.is_dir() and day.name < today:
                    with suppress(OSError):  # not empty
                        day.rmdir()
        return Sweep(removed, tuple(damaged))

    def _all_names(self, *, newest_first: bool = False) -> Iterator[str]:
        with self._disk.errors("list", "the spool"):
            days = sorted((entry.name for entry in os.scandir(self._received) if entry.is_dir()), reverse=newest_first)
        for day in days:
            with self._disk.errors("list", day):
                listed = (f"{day}/{entry.name}" for entry in os.scandir(self._received / day))
                names = sorted(listed, reverse=newest_first)
            for name in names:
                if _NAME.fullmatch(name):
                    yield name

    def _output_path(self, name: str) -> Path:
        return self._out / _output_name(name)

    def _day(self, day: str, *, again: bool = False) -> DirectorySync:
        """The directory of a day, created and durable; ``again`` if it was found missing."""
        directory = self._days.get(day)
        if directory is None or again:
            with self._days_lock:
                directory = self._days.get(day)
                if directory is None or again:
                    make_directory(self._received / day, durable=self._durability is not Durability.NONE)
                    directory = DirectorySync(self._received / day)
                    # Instances that began before midnight hold yesterday's themselves.
                    self._days = {day: directory}
        return directory


@lru_cache(maxsize=_MOST_PATHS)
def _path(received: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise SpoolCorrupt(name=repr(name), reason="it is not a name of this spool")
    return received / name


def _output_name(name: str) -> str:
    return f"{name.removesuffix(_SUFFIX)}.out"


def _created(path: str) -> int:
    """The descriptor of a new file for this account alone."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
