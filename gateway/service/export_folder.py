"""What somebody hands over: a file, or the folder of a CD or an export, with archives in it.

Archives are unpacked beside the outputs, which are as well protected as the operator wants, under numbers: what their
members are called may lead anywhere, and may name somebody.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final

__all__ = ["Handed", "handed_over"]

_ZIP: Final = (".zip",)
_TAR: Final = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
#: Archives in archives in archives.
_DEEPEST: Final = 3
_MOST_MEMBERS: Final = 1_000_000
#: Left free on the disk, in bytes.
_MARGIN: Final = 256 << 20
_ENCRYPTED: Final = 0x1


class _Unusable(Exception):
    """An archive cannot be unpacked; the text says why."""


@dataclass(slots=True)
class Handed:
    """What was found.

    Attributes
    ----------
    files: where each file is, and where it stands in what was handed over, in that order
    unusable: archives that cannot be unpacked, with the reason
    walks: whether it is more than one file: then what is no DICOM file is no error
    """

    files: list[tuple[Path, Path]] = field(default_factory=list)
    unusable: list[tuple[Path, str]] = field(default_factory=list)
    walks: bool = False


@contextmanager
def handed_over(source: Path, output: Path) -> Iterator[Handed]:
    """The files in ``source``, with those in its archives, as long as the block lasts.

    Parameters
    ----------
    source: a file, a directory that is walked recursively, or an archive
    output: directory of the outputs, in which archives are unpacked for the moment
    """
    archived = source.is_file() and _is_archive(source)
    found = Handed(walks=archived or not source.is_file())
    if not found.walks:
        found.files.append((source, Path(source.name)))
        yield found
        return
    paths = [source] if archived else sorted(path for path in source.rglob("*") if path.is_file())
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=output) as folder:
        unpacking = _Unpacking(Path(folder), found)
        for path in paths:
            unpacking.take(path, Path(path.name) if archived else path.relative_to(source), depth=0)
        yield found


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith((*_ZIP, *_TAR))


class _Unpacking:
    """Takes files, and those in archives."""

    def __init__(self, folder: Path, found: Handed) -> None:
        self._folder = folder
        self._found = found
        self._members = 0

    def take(self, path: Path, relative: Path, *, depth: int) -> None:
        if not _is_archive(relative):
            self._found.files.append((path, relative))
            return
        if depth == _DEEPEST:
            self._found.unusable.append((relative, f"it is an archive inside {_DEEPEST} others"))
            return
        before = len(self._found.files)
        try:
            members = _zipped(path) if relative.name.lower().endswith(_ZIP) else _taped(path)
            for name, size, stream in members:
                with stream:
                    member = self._unpack(stream, size)
                self.take(member, relative / _safe(name), depth=depth + 1)
        except _Unusable as failed:
            reason = str(failed)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, RuntimeError, NotImplementedError, ValueError):
            reason = "the archive is damaged"
        else:
            return
        # Half an archive would look like a whole one.
        del self._found.files[before:]
        self._found.unusable.append((relative, reason))

    def _unpack(self, stream: IO[bytes], size: int) -> Path:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise _Unusable(f"there are more than {_MOST_MEMBERS} files in archives")
        if size > shutil.disk_usage(self._folder).free - _MARGIN:
            raise _Unusable("the disk has no room to unpack it")
        path = self._folder / f"{self._members:07}"
        with path.open("xb") as file:
            shutil.copyfileobj(_Bounded(stream, size), file)
        return path


class _Bounded:
    """A stream of which no more is read than it was said to have."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _Unusable("a file in it is longer than the archive says")
        return data


def _zipped(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED:
                raise _Unusable("the archive is encrypted: unpack it first")
            yield info.filename, info.file_size, archive.open(info)


def _taped(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(path) as archive:
        for info in archive:
            stream = archive.extractfile(info) if info.isreg() else None
            if stream is not None:
                yield info.name, info.size, stream


def _safe(name: str) -> Path:
    """The place of a member, which cannot lead out of its archive."""
    parts = [one for one in PurePosixPath(name.replace("\\", "/")).parts if one not in ("", "/", ".", "..")]
    return Path(*(part.replace("\0", "_").replace(":", "_") for part in parts or ["file"]))
