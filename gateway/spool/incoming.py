"""An instance on its way into the spool."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from gateway import checksum
from gateway.dicom.file_meta import FileMeta, write_file_meta
from gateway.spool.disk import DirectorySync, Disk, Durability
from gateway.spool.record import PREAMBLE_LENGTH, SpoolRecord

Span: TypeAlias = "bytes | bytearray | memoryview"

#: Buffers that one writev takes at most; Linux's own limit (IOV_MAX).
_VECTOR: Final = 1024
#: The reserve is looked at again whenever so many bytes have been written.
_SPACE_CHECK: Final = 16 << 20


class Incoming:
    """A spool file that is being written; one thread uses it.

    Used as a context manager, it is given up unless it was committed.

    Attributes
    ----------
    name
        its name in the spool
    length
        bytes of the data set so far
    """

    __slots__ = ("_crc32", "_descriptor", "_directory", "_disk", "_durability", "_entry", "_header", "_meta",
                 "_next_check", "_path", "_pending", "length", "name")  # fmt: skip

    def __init__(
        self,
        *,
        name: str,
        path: Path,
        descriptor: int,
        meta: FileMeta,
        directory: DirectorySync,
        durability: Durability,
        disk: Disk,
    ) -> None:
        self.name = name
        self.length = 0
        self._path = path
        self._descriptor = descriptor
        self._meta = meta
        self._directory = directory
        self._entry = directory.entry()
        self._durability = durability
        self._disk = disk
        self._header = write_file_meta(meta)
        # Written together with the first bytes of the data set: one call to the kernel less per instance.
        self._pending: list[Span] = [self._header]
        self._crc32 = 0
        self._next_check = _SPACE_CHECK

    def write(self, spans: Sequence[Span]) -> None:
        """Append ``spans``, buffers of bytes, to the data set; they may be reused afterwards.

        Raises
        ------
        SpoolFull
            no space, or less than the reserve would be left
        SpoolUnavailable
            the disk failed
        """
        for span in spans:
            self._crc32 = checksum.crc32(span, self._crc32)
            self.length += len(span)
        with self._disk.errors("write", self.name):
            self._write([*self._pending, *spans])
            self._pending.clear()
            if self.length >= self._next_check:
                self._next_check = self.length + _SPACE_CHECK
                self._disk.check("write", self.name)

    def commit(
        self, *, source: str, peer_address: str, received_at_ns: int | None = None, association: int = 0
    ) -> SpoolRecord:
        """Complete the file and make it durable.

        Parameters
        ----------
        source
            name of the source, at most 64 bytes of UTF-8
        peer_address
            IP address of the sender, or ""
        received_at_ns
            nanoseconds since 1970, UTC; the present if None
        association
            number of the association that brings it, 0 for none

        Returns
        -------
        What the file says of itself from here on, whatever happens.

        Raises
        ------
        SpoolFull, SpoolUnavailable
            it is not durable, and has been removed
        """
        try:
            if self._pending:
                self.write(())
            record = SpoolRecord(
                name=self.name,
                offset=len(self._header),
                length=self.length,
                crc32=self._crc32,
                received_at_ns=time.time_ns() if received_at_ns is None else received_at_ns,
                peer_address=peer_address,
                source=source,
                meta=self._meta,
                association=association,
            )
            with self._disk.errors("sync", self.name):
                os.pwrite(self._descriptor, record.encode(self._header[PREAMBLE_LENGTH:]), 0)
                if self._durability is not Durability.NONE:
                    os.fdatasync(self._descriptor)
                if self._durability is Durability.FULL:
                    self._directory.sync(self._entry)
                descriptor, self._descriptor = self._descriptor, -1
                os.close(descriptor)
        except BaseException:
            self.abort()
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            raise
        return record

    def abort(self) -> None:
        """Give the instance up and remove its file; does nothing after a commit."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        # Should the file stay: without a record it is not an instance, and the next sweep removes it.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        with suppress(OSError):
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _write(self, spans: list[Span]) -> None:
        start = 0
        while start < len(spans):
            batch = spans[start : start + _VECTOR]
            start += len(batch)
            left = os.writev(self._descriptor, batch) - sum(map(len, batch))
            if left:
                self._write_rest(batch, left)

    def _write_rest(self, spans: list[Span], left: int) -> None:
        """Write the last ``-left`` bytes of ``spans``: the kernel took fewer than it was given."""
        rest = memoryview(b"".join(spans))[left:]
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
