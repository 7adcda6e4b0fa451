"""The server that children are forked from, as a fork of this process: what is imported already serves it as well.

``multiprocessing`` starts it as an interpreter of its own, which takes as long to import everything as the supervisor
took, and holds all of it a second time.
"""

from __future__ import annotations

import gc
import os
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import Any, Final

from gateway.service.group_signals import hold_group_signals

#: Standard input, output and error.
_STREAMS: Final = 3


def fork_the_server() -> None:
    """Start the server, if this process has no threads yet and none runs.

    Otherwise, and if it ends, an interpreter of its own becomes the server when the next child is started.
    """
    if threading.active_count() > 1:
        return
    resource_tracker.ensure_running()
    # What lives as long as the process is not touched by the collector, so that its memory stays shared.
    gc.collect()
    gc.freeze()
    spawn = util.spawnv_passfds
    util.spawnv_passfds = _fork  # type: ignore[assignment]
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = spawn


def _fork(_path: bytes, arguments: Sequence[Any], descriptors: Sequence[int]) -> int:
    """In place of an interpreter with these arguments, of which the last is the server's one line of program."""
    with warnings.catch_warnings():
        # Threads of libraries (OpenBLAS) look after themselves.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        hold_group_signals()
        # Not all that could be open: where a container sets no limit, these are a thousand million.
        for descriptor in {int(one.name) for one in Path("/dev/fd").iterdir()} - {*range(_STREAMS), *descriptors}:
            with suppress(OSError):
                # The one by which they were listed is closed.
                os.close(descriptor)
        # Its lock is held by the one that starts the server.
        forkserver._forkserver.__init__()  # type: ignore[misc] # noqa: SLF001
        exec(str(arguments[-1]), {})  # noqa: S102 - the line that multiprocessing has just written
    except SystemExit:
        status = 0
    finally:
        os._exit(status)
