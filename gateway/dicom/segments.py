"""Bytes to be written or sent, as inline bytes and ranges of files.

A de-identified instance is a small header of its own and a long range, the pixel data, of the spool file it came from:
nothing is copied until somebody writes or sends it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeAlias

from gateway.errors import SpoolCorrupt, SpoolUnavailable, TruncatedDataSet

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRange:
    """``length`` bytes of the file ``path`` from ``offset``."""

    path: Path
    offset: int
    length: int


Segment: TypeAlias = "bytes | FileRange"


def total_length(segments: Iterable[Segment]) -> int:
    """How many bytes the segments are together."""
    return sum(segment.length if isinstance(segment, FileRange) else len(segment) for segment in segments)


def too_short(path: Path, missing: int, **facts: object) -> SpoolCorrupt:
    """The error for a file that ends before a range of it does.

    Parameters
    ----------
    path
        the file
    missing
        how many bytes
    facts
        further ones of the error
    """
    return SpoolCorrupt(name=path.name, reason=f"{missing} bytes are missing at its end", **facts)


def read_into(descriptor: int, part: FileRange, at: int, target: memoryview) -> int:
    """Read from byte ``at`` of a range on, as far as the end of it and ``target``; how many bytes, at least one.

    Parameters
    ----------
    descriptor
        of the open file
    part
        the range
    at
        a byte of it, not its end
    target
        where to

    Raises
    ------
    OSError
        the file cannot be read
    SpoolCorrupt
        it ends before
    """
    left = part.length - at
    count = os.preadv(descriptor, [target[:left]], part.offset + at)
    if not count:
        raise too_short(part.path, left)
    return count


def pieces(part: FileRange, buffer: memoryview) -> Iterator[memoryview]:
    """The bytes of a range, as much at a time as the buffer holds; each piece lasts until the next is asked for.

    Raises
    ------
    OSError
        the file cannot be opened or read
    SpoolCorrupt
        it ends before the range does
    """
    descriptor = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at = 0
        while at < part.length:
            count = read_into(descriptor, part, at, buffer)
            yield buffer[:count]
            at += count
    finally:
        os.close(descriptor)


def copy_to(segments: Iterable[Segment], file: IO[bytes]) -> int:
    """Write the segments to ``file`` in order, holding at most 1 MiB of a range in memory.

    Returns
    -------
    The number of bytes written.

    Raises
    ------
    SpoolUnavailable
        the file of a range cannot be opened or read
    TruncatedDataSet
        the file of a range ends before the range does
    """
    written = 0
    with ExitStack() as opened:
        sources: dict[Path, IO[bytes]] = {}
        for segment in segments:
            if isinstance(segment, FileRange):
                try:
                    source = sources.get(segment.path)
                    if source is None:
                        source = sources[segment.path] = opened.enter_context(segment.path.open("rb", buffering=0))
                    source.seek(segment.offset)
                except OSError as error:
                    raise SpoolUnavailable(operation="read", name="a range", reason=error.strerror) from None
                _copy(source, segment, file)
                written += segment.length
            else:
                file.write(segment)
                written += len(segment)
    return written


def _copy(source: IO[bytes], segment: FileRange, file: IO[bytes]) -> None:
    left = segment.length
    while left:
        try:
            chunk = source.read(min(left, _CHUNK))
        except OSError as error:
            raise SpoolUnavailable(operation="read", name="a range", reason=error.strerror) from None
        if not chunk:
            raise TruncatedDataSet(where="a file range", offset=segment.offset + segment.length - left, missing=left)
        file.write(chunk)
        left -= len(chunk)
