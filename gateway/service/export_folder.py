"""What somebody hands over: a file, or the folder of a CD or an export, with archives in it.

Archives are unpacked beside the outputs, which are as well protected as the operator wants, under numbers: what their
members are called may lead anywhere, and may name somebody.

Nothing is passed over in silence: a folder that cannot be listed, a link that leads nowhere and an archive that is not
read to its end are told.
"""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final

__all__ = ["Handed", "first_bytes", "handed_over", "is_packed"]

_ZIP: Final = (".zip",)
_TAR: Final = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
#: Archives in archives in archives.
_DEEPEST: Final = 3
_MOST_MEMBERS: Final = 1_000_000
#: Left free on the disk, in bytes.
_MARGIN: Final = 256 << 20
_ENCRYPTED: Final = 0x1
#: What libraries raise at archives that are damaged.
_DAMAGED: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError,
    ValueError, ArithmeticError, LookupError,
)  # fmt: skip
#: How files begin that hold others: gzip, bzip2, xz, Zstandard, 7-Zip, RAR, compress, lzip, Microsoft's cabinets, zip.
_PACKED: Final = (
    b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x9d",
    b"LZIP", b"MSCF", b"PK\3\4",
)  # fmt: skip
_TAR_MAGIC: Final = slice(257, 262)
#: Programs and documents, which are zip archives.
_NO_EXPORTS: Final = frozenset((".jar", ".war", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".xpi"))
#: The longest prefix of a zip archive that belongs to it: a mark of archives in several parts.
_LONGEST_PREFIX: Final = 4


class _Unusable(Exception):
    """An archive cannot be unpacked; the text says why."""


@dataclass(slots=True)
class Handed:
    """What was found.

    Attributes
    ----------
    files
        where each file is, and where it stands in what was handed over, in that order; no two at one place
    unusable
        archives that cannot be unpacked, and what else cannot be read, with the reason
    walks
        whether it is more than one file: then what is no DICOM file is no error
    """

    files: list[tuple[Path, Path]] = field(default_factory=list)
    unusable: list[tuple[Path, str]] = field(default_factory=list)
    walks: bool = False


@contextmanager
def handed_over(source: Path, output: Path) -> Iterator[Handed]:
    """The files in ``source``, with those in its archives, as long as the block lasts.

    Parameters
    ----------
    source
        a file, a directory that is walked recursively, or an archive
    output
        directory of the outputs, in which archives are unpacked for the moment
    """
    archived = source.is_file() and _is_archive(source)
    handed = Handed(walks=archived or not source.is_file())
    if not handed.walks:
        handed.files.append((source, Path(source.name)))
        yield handed
        return
    paths = [source] if archived else sorted(_walked(source, source, handed))
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=output) as folder:
        unpacking = _Unpacking(Path(folder), handed)
        for path in paths:
            unpacking.take(path, Path(path.name) if archived else path.relative_to(source), depth=0)
        yield handed


def first_bytes(path: Path) -> bytes:
    """Those of a file that tell what it is."""
    with path.open("rb") as file:
        return file.read(_TAR_MAGIC.stop)


def is_packed(head: bytes, name: str) -> bool:
    """Whether a file that is no DICOM file holds others, among which there may be some.

    Parameters
    ----------
    head
        its first bytes
    name
        what it was called
    """
    packed = head.startswith(_PACKED) or head[_TAR_MAGIC] == b"ustar"
    return packed and PurePosixPath(name).suffix.lower() not in _NO_EXPORTS


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith((*_ZIP, *_TAR))


def _walked(folder: Path, source: Path, handed: Handed) -> Iterator[Path]:
    """The files in a folder; what cannot be read in it is told."""
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except OSError as failed:
        reason = f"the folder cannot be listed: {failed.strerror or type(failed).__name__}"
        handed.unusable.append((folder.relative_to(source), reason))
        return
    for entry in listed:
        path = Path(entry.path)
        if path.is_file():
            yield path
        elif not path.is_dir():
            wrong = "the link leads nowhere" if path.is_symlink() else "it is neither a file nor a folder"
            handed.unusable.append((path.relative_to(source), wrong))
        elif path.is_symlink():
            handed.unusable.append((path.relative_to(source), "a link to a folder is not followed: name that folder"))
        else:
            yield from _walked(path, source, handed)


class _Unpacking:
    """Takes files, and those in archives."""

    def __init__(self, folder: Path, handed: Handed) -> None:
        self._folder = folder
        self._handed = handed
        self._members = 0
        self._places: set[Path] = set()

    def take(self, path: Path, relative: Path, *, depth: int) -> None:
        if not _is_archive(relative):
            self._handed.files.append((path, self._place(relative)))
            return
        if depth == _DEEPEST:
            self._handed.unusable.append((relative, f"it is an archive inside {_DEEPEST} others"))
            return
        before, unpacked = len(self._handed.files), self._members
        try:
            members = _zipped(path) if relative.name.lower().endswith(_ZIP) else _taped(path)
            for name, size, stream in members:
                with stream:
                    member = self._unpack(stream, size)
                place = relative / _safe(name)
                self.take(member, place, depth=depth + 1)
                if _is_archive(place):
                    member.unlink()
        except _Unusable as failed:
            reason = str(failed)
        except _DAMAGED:
            reason = "the archive is damaged"
        else:
            return
        # Half an archive would look like a whole one.
        del self._handed.files[before:]
        for number in range(unpacked + 1, self._members + 1):
            self._path(number).unlink(missing_ok=True)
        self._handed.unusable.append((relative, reason))

    def _place(self, relative: Path) -> Path:
        """The place of a file, which no other has: an archive may have two members of one name."""
        place, number = relative, 1
        while place in self._places:
            number += 1
            place = relative.with_name(f"{relative.stem}-{number}{relative.suffix}")
        self._places.add(place)
        return place

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:07}"

    def _unpack(self, stream: IO[bytes], size: int) -> Path:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise _Unusable(f"there are more than {_MOST_MEMBERS} files in archives")
        if size > shutil.disk_usage(self._folder).free - _MARGIN:
            raise _Unusable("the disk has no room to unpack it")
        path = self._path(self._members)
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
        members = archive.infolist()
        if members and min(one.header_offset for one in members) > _LONGEST_PREFIX:
            # Such as another archive: only the last one is listed.
            raise _Unusable("something stands before the first file in it")
        for info in members:
            if info.is_dir() and not info.file_size:
                continue
            if info.flag_bits & _ENCRYPTED:
                raise _Unusable("the archive is encrypted: unpack it first")
            yield info.filename, info.file_size, archive.open(info)


def _taped(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(path) as archive:
        for info in archive:
            # What is of an unknown type is a file (POSIX, pax).
            is_file = info.isreg() or info.type not in tarfile.SUPPORTED_TYPES
            stream = archive.extractfile(info) if is_file else None
            if stream is not None:
                yield info.name, info.size, stream
        _require_end(archive)


def _require_end(archive: tarfile.TarFile) -> None:
    """Refuse an archive of which the library has read a part: at a damaged header it stops, and says nothing."""
    stream = archive.fileobj
    if stream is None:
        raise _Unusable("the archive is damaged")
    stream.seek(archive.offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if not block or block.strip(b"\0"):
        raise _Unusable("the archive is damaged")
    while block:
        if block.strip(b"\0"):
            raise _Unusable("something follows the end of the archive")
        block = stream.read(tarfile.RECORDSIZE)


def _safe(name: str) -> Path:
    """The place of a member, which cannot lead out of its archive."""
    parts = [one for one in PurePosixPath(name.replace("\\", "/")).parts if one.strip("/") not in ("", ".", "..")]
    return Path(*(part.replace("\0", "_").replace(":", "_") for part in parts or ["file"]))
