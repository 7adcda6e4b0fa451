"""Starts the command that finds faces with limits: memory, time, size of files, and without a network if it can.

It is run as a program, ``python confine.py MEMORY SECONDS PARENT COMMAND...``, and becomes the command. It needs
nothing of the gateway.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final

__all__ = ["main"]

#: unshare(2), prctl(2).
_NEW_NETWORK: Final = 0x40000000
_NEW_USER: Final = 0x10000000
_DIE_WITH_PARENT: Final = 1
_NO_NEW_PRIVILEGES: Final = 38
_LARGEST_FILE: Final = 4 << 30


def main(arguments: list[str]) -> None:
    """Limit this process, and become the command."""
    memory, seconds, parent = (int(one) for one in arguments[:3])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    # A network of its own has no interface that is up. Who may not have that may as a user of its own.
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)
    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
    os.execvp(arguments[3], arguments[3:])  # noqa: S606 - a fixed list of the configuration


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError:
        # As a shell answers for a command that is not there.
        sys.exit(127)
