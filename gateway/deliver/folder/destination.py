"""Delivery into a folder: ``PatientID/StudyInstanceUID/SeriesInstanceUID/SOPInstanceUID.dcm`` of the new values.

A file appears whole or not at all: it is written beside the tree, made durable, renamed to its place, and confirmed
only when the directory entry is durable as well. The same content that is there already is confirmed without being
written again; other content under the same name is replaced (the code ``replaced`` says so): the newest delivery of an
instance is the one that counts.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, TypeAlias

from gateway.deliver.base import Check, Outcome, Parcel
from gateway.deliver.books import Books
from gateway.deliver.folder.settings import FolderSettings
from gateway.deliver.verdicts import NOT_WHOLE, unreadable
from gateway.dicom.segments import FileRange, read_into, too_short
from gateway.errors import SpoolCorrupt, SpoolUnavailable

_PARTIAL: Final = ".partial"
#: No delivery takes this long; what is older was left behind by a crash.
_STALE_SECONDS: Final = 24 * 3600.0
_FILE_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750
#: Files that are written at the same time.
_THREADS: Final = 4
#: Bytes that are read and written at a time: they are still in the processor's cache when they are hashed.
_CHUNK: Final = 512 * 1024
_LONGEST: Final = 64
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_DENIED: Final = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))

#: A file's place, and what goes there, in order.
_Task: TypeAlias = "tuple[Path, list[Parcel]]"


class FolderDestination:
    """A folder as a destination; safe for use from several threads and processes.

    Parameters
    ----------
    name
        the destination's name
    settings
        the folder; created when the first instance is delivered
    books
        not needed
    """

    def __init__(self, name: str, settings: FolderSettings, *, books: Books | None = None) -> None:  # noqa: ARG002
        self._name = name
        self._root = settings.path
        self._partial = self._root / _PARTIAL
        # They wait for the disk together: one flush of the disk serves several files.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"folder-{name}")
        self._sweep()

    @property
    def name(self) -> str:
        """The destination's name."""
        return self._name

    def send(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Store the parcels.

        Codes: ``stored``, ``already-stored``, ``replaced`` (confirmed); ``disk-full``, ``permission``, ``folder``,
        ``spool-unreadable`` (failed); ``spool-corrupt`` (dead).
        """
        outcomes: dict[int, Outcome] = {}
        places: dict[Path, list[Parcel]] = {}
        for directory, arrived in self._by_directory(parcels).items():
            try:
                # Not in the threads: no file is confirmed in a directory whose own entry another one fails to sync.
                self._make_directories(directory)
                self._make_directories(self._partial)
            except OSError as error:
                outcomes |= {parcel.delivery_id: _failure(parcel.delivery_id, error) for parcel in arrived}
                continue
            for parcel in arrived:
                places.setdefault(directory / _file_name(parcel.sop_uid), []).append(parcel)
        renamed: dict[Path, list[int]] = {}
        for place, stored in self._store_places(places):
            outcomes |= {outcome.delivery_id: outcome for outcome in stored}
            confirmed = [outcome.delivery_id for outcome in stored if outcome.state == "confirmed"]
            if confirmed:
                renamed.setdefault(place.parent, []).extend(confirmed)
        for directory, deliveries in renamed.items():
            # One sync for all that came into a directory; before it nothing there is confirmed.
            try:
                _sync_directory(directory)
            except OSError as error:
                outcomes |= {delivery: _failure(delivery, error) for delivery in deliveries}
        return [outcomes[parcel.delivery_id] for parcel in parcels]

    def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """As ``send``: a folder confirms at once, and storing the same content twice is storing it once."""
        return self.send(parcels)

    def probe(self, parcel: Parcel | None) -> Iterator[Check]:
        """Write and remove a file, tell the free space, and store and remove ``parcel`` if given."""
        try:
            self._make_directories(self._partial)
            partial = self._partial / f"{os.getpid()}-{token_hex(8)}"
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))
            partial.unlink()
        except OSError as error:
            yield Check(ok=False, text=f"the folder cannot be written: {_why(error)}")
            return
        free = shutil.disk_usage(self._root).free
        yield Check(ok=free > 0, text=f"the folder can be written; {free:,} bytes are free")
        if parcel is None:
            return
        [outcome] = self.send([parcel])
        if outcome.state != "confirmed":
            yield Check(ok=False, text=f"the test instance is not stored: {outcome.detail}")
            return
        place = self._place(parcel)
        try:
            place.unlink()
            for directory in place.relative_to(self._root).parents[:-1]:
                (self._root / directory).rmdir()
        except OSError as error:
            yield Check(ok=False, text=f"the test instance is stored and cannot be removed: {_why(error)}")
            return
        yield Check(ok=True, text="the test instance is stored, and removed again")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _by_directory(self, parcels: Sequence[Parcel]) -> dict[Path, list[Parcel]]:
        """The parcels by the directory that they go to, which nearly all of a batch share."""
        series: dict[tuple[str, str, str], list[Parcel]] = {}
        for parcel in parcels:
            series.setdefault((parcel.patient_id, parcel.study_uid, parcel.series_uid), []).append(parcel)
        directories: dict[Path, list[Parcel]] = {}
        for values, arrived in series.items():
            directories.setdefault(self._root.joinpath(*map(component, values)), []).extend(arrived)
        return directories

    def _store_places(self, places: Mapping[Path, list[Parcel]]) -> Iterator[tuple[Path, list[Outcome]]]:
        """Store everything in its place; the threads take the next one when they are done with one."""
        waiting = deque(places.items())
        tasks = [self._threads.submit(self._store_waiting, waiting) for _ in range(min(_THREADS, len(waiting)))]
        for task in tasks:
            yield from task.result()

    def _store_waiting(self, waiting: deque[_Task]) -> list[tuple[Path, list[Outcome]]]:
        """What one thread does: store until nothing waits any more."""
        buffer = memoryview(bytearray(_CHUNK))
        stored: list[tuple[Path, list[Outcome]]] = []
        while True:
            try:
                place, parcels = waiting.popleft()
            except IndexError:
                return stored
            stored.append((place, self._store_all(parcels, place, buffer)))

    def _store_all(self, parcels: Sequence[Parcel], place: Path, buffer: memoryview) -> list[Outcome]:
        """Store what goes to one place, one after the other: the last stays."""
        outcomes = []
        for parcel in parcels:
            try:
                outcomes.append(self._store(parcel, place, buffer))
            except (SpoolCorrupt, SpoolUnavailable) as error:
                outcomes.append(unreadable(error).of(parcel))
            except OSError as error:
                outcomes.append(_failure(parcel.delivery_id, error))
        return outcomes

    def _place(self, parcel: Parcel) -> Path:
        return self._root / output_path(
            patient_id=parcel.patient_id,
            study_uid=parcel.study_uid,
            series_uid=parcel.series_uid,
            sop_uid=parcel.sop_uid,
        )

    def _store(self, parcel: Parcel, place: Path, buffer: memoryview) -> Outcome:
        if not parcel.is_whole:
            return NOT_WHOLE.of(parcel)
        exists = place.exists()
        if exists and _is_same(parcel, place, buffer):
            return Outcome(parcel.delivery_id, "confirmed", "already-stored")
        partial = f"{self._partial}/{os.getpid()}-{token_hex(8)}"
        target = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        try:
            try:
                digest = _copy(parcel.parts, target, buffer)
                os.fdatasync(target)
                _uncache(target)
            finally:
                os.close(target)
            os.rename(partial, place)  # noqa: PTH104 - a Path for each of thousands of names costs more than the call
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)  # noqa: PTH108
            raise
        return Outcome(parcel.delivery_id, "confirmed", "replaced" if exists else "stored", digest=digest)

    def _make_directories(self, directory: Path) -> None:
        """Create what is missing, each level durable in its parent."""
        missing = []
        while not directory.is_dir():
            missing.append(directory)
            directory = directory.parent
        for level in reversed(missing):
            with suppress(FileExistsError):
                level.mkdir(mode=_DIRECTORY_MODE)
            _sync_directory(level.parent)

    def _sweep(self) -> None:
        """Remove what deliveries that died have left behind."""
        with suppress(OSError):
            for left in self._partial.iterdir():
                with suppress(OSError):
                    if left.stat().st_mtime < time.time() - _STALE_SECONDS:
                        left.unlink()


def output_path(*, patient_id: str, study_uid: str, series_uid: str, sop_uid: str) -> Path:
    """The place of an instance in a folder, relative to it, made of its new values."""
    return Path(component(patient_id), component(study_uid), component(series_uid), _file_name(sop_uid))


def component(value: str) -> str:
    """A value as one component of a path: no separators, no hidden or special names, at most 64 characters.

    Letters, digits, ``.``, ``-`` and ``_`` stay. A value that had to be changed gets a part of its SHA-256 at its end,
    so that different values stay different; the values are pseudonyms, the hash tells nothing more.
    """
    safe = _UNSAFE.sub("_", value).strip(".")[:_LONGEST]
    if safe == value and safe:
        return safe
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[: _LONGEST - 9]}~{digest}"


def _file_name(sop_uid: str) -> str:
    return f"{component(sop_uid)}.dcm"


def _open(part: FileRange) -> int:
    # The size is checked first: afterwards an error of the copy is the folder's.
    try:
        missing = part.offset + part.length - part.path.stat().st_size
        source = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SpoolUnavailable(operation="read", name=part.path.name, reason=_why(error)) from None
    if missing > 0:
        os.close(source)
        raise too_short(part.path, missing)
    return source


def _copy(parts: Sequence[FileRange], target: int, buffer: memoryview) -> str:
    """Write the ranges to ``target``; the SHA-256 of what was written, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in _chunks(parts, buffer):
        digest.update(chunk)
        written = os.write(target, chunk)
        while written < len(chunk):
            written += os.write(target, chunk[written:])
    return digest.hexdigest()


def _chunks(parts: Sequence[FileRange], buffer: memoryview) -> Iterator[memoryview]:
    """The bytes of the ranges, one full buffer after the other; each lasts until the next is asked for."""
    filled = 0
    for part in parts:
        source = _open(part)
        try:
            at = 0
            while at < part.length:
                count = _read(part, source, at, buffer[filled:])
                filled, at = filled + count, at + count
                if filled == len(buffer):
                    yield buffer
                    filled = 0
        finally:
            os.close(source)
    if filled:
        yield buffer[:filled]


def _read(part: FileRange, source: int, at: int, target: memoryview) -> int:
    try:
        return read_into(source, part, at, target)
    except OSError as error:
        raise SpoolUnavailable(operation="read", name=part.path.name, reason=_why(error)) from None


def _uncache(descriptor: int) -> None:
    """Give back the memory that holds a file which is on the disk: nobody reads it soon, and others arrive.

    To take these pages again costs a fraction of what it costs to find others, most of all in a virtual machine, whose
    host may have taken back the others.
    """
    with suppress(OSError):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _is_same(parcel: Parcel, place: Path, buffer: memoryview) -> bool:
    """Whether ``place`` holds these bytes; it is then made durable, since whoever wrote it may not have got so far."""
    with place.open("rb") as existing:
        if os.fstat(existing.fileno()).st_size != parcel.length:
            return False
        if any(existing.read(len(chunk)) != chunk for chunk in _chunks(parcel.parts, buffer)):
            return False
        os.fsync(existing.fileno())
    return True


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(delivery_id: int, error: OSError) -> Outcome:
    if error.errno in _FULL:
        code = "disk-full"
    elif error.errno in _DENIED:
        code = "permission"
    else:
        code = "folder"
    return Outcome(delivery_id, "failed", code, f"the folder cannot be written: {_why(error)}")


def _why(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno is not None else type(error).__name__).lower()


DESTINATION: Final = FolderDestination
