"""What the disk is asked for: how durable a write is, directory entries that survive, errors in our own words."""

from __future__ import annotations

import errno
import os
import threading
import time
import weakref
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.errors import SpoolFull, SpoolUnavailable

#: Originals carry identity: the service account alone may read them (promise P9).
DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

#: With so much more than the reserve, the kernel is asked again only after a time in which nobody writes as much.
_AMPLE: Final = 512 << 20
_AMPLE_SECONDS: Final = 0.1

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Durability(StrEnum):
    """What a commit waits for."""

    #: The file's bytes and its directory entry are on stable storage, as POSIX demands.
    FULL = "full"
    #: The file's bytes; the entry is left to the file system, which ext4 and XFS write in the same journal transaction.
    DATA = "data"
    #: Nothing: a power failure may lose what was acknowledged. For tests and throw-away data.
    NONE = "none"


def free_bytes(root: Path) -> int:
    """Bytes that this account may still write to the file system of ``root``."""
    status = os.statvfs(root)
    return status.f_bavail * status.f_frsize


class Disk:
    """The file system of a spool, and the reserve that is to stay free on it; for many threads.

    Parameters
    ----------
    root
        a directory of the file system
    reserve
        bytes that are to stay free
    """

    def __init__(self, root: Path, *, reserve: int) -> None:
        self._root = root
        self._reserve = reserve
        self._ask_at = 0.0

    def check(self, operation: str, name: str) -> None:
        """Raise if less than the reserve is free; the kernel is not asked for every instance.

        Parameters
        ----------
        operation
            what is about to be done, for the error
        name
            to what

        Raises
        ------
        SpoolFull
            it is
        OSError
            the file system does not answer
        """
        now = time.monotonic()
        if now < self._ask_at:
            return
        free = free_bytes(self._root)
        self._ask_at = now + _AMPLE_SECONDS if free >= self._reserve + _AMPLE else 0.0
        if free < self._reserve:
            raise SpoolFull(operation=operation, name=name, free=free, reserve=self._reserve)

    def errors(self, operation: str, name: str) -> disk_errors:
        """``disk_errors`` of this file system."""
        return disk_errors(operation, name, root=self._root, reserve=self._reserve)


class disk_errors:  # noqa: N801  (reads as a statement)
    """Turns an OSError of the block into SpoolFull or SpoolUnavailable; neither carries a path.

    Parameters
    ----------
    operation, name
        what is done with what
    root
        the spool's directory
    reserve
        bytes that are left free
    """

    __slots__ = ("_name", "_operation", "_reserve", "_root")

    def __init__(self, operation: str, name: str, *, root: Path, reserve: int) -> None:
        self._operation, self._name, self._root, self._reserve = operation, name, root, reserve

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise disk_error(error, self._operation, self._name, root=self._root, reserve=self._reserve) from error


def disk_error(error: OSError, operation: str, name: str, *, root: Path, reserve: int) -> SpoolFull | SpoolUnavailable:
    """The gateway's error for an OSError of the spool's disk."""
    if error.errno in _NO_SPACE:
        try:
            free = free_bytes(root)
        except OSError:
            free = 0
        return SpoolFull(operation=operation, name=name, free=free, reserve=reserve)
    return SpoolUnavailable(operation=operation, name=name, reason=os.strerror(error.errno or errno.EIO))


def make_directory(path: Path, *, durable: bool) -> None:
    """Create ``path``, its parents too, for this account alone; with ``durable`` the entry survives a crash.

    The parent is synced although the directory exists: whoever made it may not have come to that.
    """
    if not path.parent.exists():
        make_directory(path.parent, durable=durable)
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Put the entries of the directory ``path`` on stable storage."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DirectorySync:
    """Syncs a directory once for all entries that were made before the sync began.

    Who commits while another thread's sync runs waits for it and needs one of its own only if its entry came later.
    The directory stays open as long as this object lives.

    Raises
    ------
    OSError
        the directory cannot be opened
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        weakref.finalize(self, os.close, self._descriptor)
        self._counter = threading.Lock()
        self._disk = threading.Lock()
        self._made = 0
        self._synced = 0
        self._failed = 0

    def entry(self) -> int:
        """The number of an entry that has just been made, to be given to ``sync``."""
        with self._counter:
            self._made += 1
            return self._made

    def sync(self, entry: int) -> None:
        """Return when ``entry`` is on stable storage.

        Raises
        ------
        OSError
            the sync that covered the entry failed; the kernel reports that once, so it is remembered
        """
        if self._failed < entry <= self._synced:
            return
        with self._disk:
            if entry <= self._failed:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if entry <= self._synced:
                return
            with self._counter:
                made = self._made
            try:
                os.fsync(self._descriptor)
            except OSError:
                self._failed = made
                raise
            self._synced = made
