"""What keeps a process's memory and files from other processes: of the gateway's, each calls this first."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def make_private() -> None:
    """Close this process's memory to others of its account, and its files to other accounts; for ever.

    No debugger attaches but root's, no core dump is written (prctl(2), ptrace(2)), and new files are for this account
    alone. Children that are forked inherit it; programs that are executed do not.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
