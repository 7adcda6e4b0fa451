"""dcmtk's storescu as the modality."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydicom.uid import JPEGLosslessSV1

from benchmarks.workloads import Workload
from tests.fixtures.tools import tool

#: Transfer syntax -> the option by which storescu proposes it; uncompressed ones it proposes by itself.
_PROPOSALS: Final[Mapping[str, tuple[str, ...]]] = {JPEGLosslessSV1: ("-xs",)}


#: Instead of a number of associations: one for each instance, as some modalities send.
EACH: Final = 0
#: Processes of storescu that send an instance each at the same time.
_AT_ONCE: Final = 4


def storescu(port: int, workload: Workload, *, associations: int, no_delay: bool) -> None:
    """Send the files of a workload, over so many associations at the same time, each its share of the series.

    Parameters
    ----------
    port: on loopback
    workload: what to send
    associations: processes of storescu, one association each; or ``EACH``
    no_delay: with ``TCP_NODELAY=1`` in storescu's environment; without, it is as Debian ships it

    Raises
    ------
    RuntimeError: an instance was not acknowledged with Success
    """
    if associations == EACH:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(
                lambda path: send(port, [path], workload.transfer_syntax, no_delay=no_delay), workload.files
            ):
                pass
        return
    send(port, workload.files, workload.transfer_syntax, associations=associations, no_delay=no_delay)


def warm_up(port: int, workload: Workload) -> None:
    """Send what a workload has for the beginning."""
    send(port, workload.warm_up, workload.transfer_syntax, associations=1, no_delay=True)


def send(
    port: int, files: Sequence[Path], transfer_syntax: str, *, associations: int = 1, no_delay: bool = True
) -> None:
    """Send files of one transfer syntax by storescu; see ``storescu``."""
    environ = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    if no_delay:
        environ["TCP_NODELAY"] = "1"
    command = [tool("storescu"), *_PROPOSALS.get(transfer_syntax, ()), "-aec", "GATEWAY", "127.0.0.1", str(port)]
    each = -(-len(files) // associations)
    shares = [files[start : start + each] for start in range(0, len(files), each)]
    processes = [
        subprocess.Popen([*command, *map(str, share)], env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for share in shares
    ]
    try:
        for process in processes:
            _, said = process.communicate()
            if process.returncode:
                raise RuntimeError(f"storescu ended with {process.returncode}: {said.decode(errors='replace')[-500:]}")
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
