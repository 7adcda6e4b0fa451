"""Files that the service account alone may use (promise P9): checked before they are used, refused otherwise."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from gateway.errors import ConfigurationError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ROOT: Final = 0


def require_private(path: Path) -> None:
    """Require that nobody but this account may use ``path``, a file or directory; what does not exist is fine.

    Raises
    ------
    ConfigurationError
        others may, or it belongs to another account; says what to do
    """
    status = _status(path)
    if status is None:
        return
    if status.st_mode & _OTHERS:
        raise ConfigurationError(place=str(path), problem=_opened(status.st_mode, "use", _wanted(status.st_mode)))
    _require_owner(path, status)


def require_unwritable(path: Path) -> None:
    """Require that nobody but this account may change ``path``; what does not exist is fine.

    Raises
    ------
    ConfigurationError
        others may, or it belongs to another account; says what to do
    """
    status = _status(path)
    if status is None:
        return
    if status.st_mode & _OTHERS_WRITE:
        raise ConfigurationError(place=str(path), problem=_opened(status.st_mode, "change", "chmod go-w"))
    _require_owner(path, status)


def require_private_key(path: Path, *, place: str) -> None:
    """Require that a TLS key's file is for this account alone; a key of root's may be read by its group too.

    Raises
    ------
    ConfigurationError
        it cannot be read, or others may use it; says what to do
    """
    status = _status(path)
    if status is None:
        raise ConfigurationError(place=place, problem=f"{path}: there is no such file")
    # The way of distributions: keys are root's, and services that use them are in a group that may read them.
    allowed = stat.S_IRGRP if status.st_uid == _ROOT else 0
    if status.st_mode & _OTHERS & ~allowed:
        raise ConfigurationError(place=place, problem=f"{path}: {_opened(status.st_mode, 'use', 'chmod 600')}")
    if status.st_uid not in (_ROOT, os.geteuid()):
        raise ConfigurationError(place=place, problem=f"{path}: it belongs to another account")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(place=str(path), problem=f"its permissions cannot be read: {error.strerror}") from None


def _require_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise ConfigurationError(
            place=str(path),
            problem="it belongs to another account: run the gateway as that account, or change that with chown -R",
        )


def _wanted(mode: int) -> str:
    return "chmod 700" if stat.S_ISDIR(mode) else "chmod 600"


def _opened(mode: int, verb: str, remedy: str) -> str:
    return f"others than the owner may {verb} it (mode {stat.S_IMODE(mode):04o}): change that with {remedy}"
