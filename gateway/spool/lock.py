"""One gateway per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.errors import SpoolUnavailable
from gateway.spool.disk import FILE_MODE


class SpoolLock:
    """An exclusive lock that the kernel releases when its process ends, however it ends.

    Raises
    ------
    SpoolUnavailable
        another process holds it
    """

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise SpoolUnavailable(operation="lock", name="the data directory", reason=reason) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            reason = f"another gateway, process {holder}, uses it"
            raise SpoolUnavailable(operation="lock", name="the data directory", reason=reason) from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another gateway have the data directory."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
