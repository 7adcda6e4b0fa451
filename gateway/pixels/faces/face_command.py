"""The command that finds the face in a volume: any program that keeps to this contract.

It is called with two more arguments, a folder to read and a folder to write:

- ``IN/volume.nii``: the series as one volume (NIfTI-1, 32-bit floats: Hounsfield units of CT, brightness of MR), cells
  of about a millimetre, and nothing in its header but the geometry.
- ``IN/series.json``: ``{"modality": "CT"}`` or ``"MR"``.
- ``OUT/mask.nii`` or ``mask.nii.gz``, of the same size and axes: other than 0 where there is a face; or
  ``OUT/defaced.nii`` or ``defaced.nii.gz``: the volume without its face, of which the cells that differ are the mask.
- ``OUT/report.json``, if it likes: names and numbers that tell how well it went.
- Exit code 0: done. 3: there is no head. 4: it is not sure. Anything else: it has failed.

It gets nothing by which anybody is known but the pixels, an empty environment, limits of time and memory, and no
network where the system allows that. What it prints is thrown away. Both folders are deleted afterwards.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.errors import SpoolUnavailable
from gateway.extras import deface
from gateway.pixels.faces import confine
from gateway.pixels.faces.nifti import NiftiError, read_cells, write_volume
from gateway.pixels.faces.volume import SeriesVolume
from gateway.settings.pixel_settings import FaceSettings

__all__ = ["Finding", "Stopped", "find_face", "missing"]

_SCRATCH: Final = "faces"
_NO_HEAD: Final = 3
_UNSURE: Final = 4
_MASKS: Final = ("mask.nii", "mask.nii.gz")
_DEFACED: Final = ("defaced.nii", "defaced.nii.gz")
_SHIPPED: Final = ("-m", "gateway.pixels.faces.atlas")
#: How often is looked whether the command has ended, in seconds.
_LOOK: Final = 0.1
_LONGEST_REPORT: Final = 4096
_MOST_NUMBERS: Final = 12
_NAME: Final = re.compile(r"[a-z_]{1,40}", re.ASCII)
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


class Stopped(Exception):
    """The gateway stops, and the command was ended for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the command says of a volume.

    Attributes
    ----------
    kind
        ``face``: there is one, ``mask`` tells where; ``none``: there is no head; ``unsure``: it does not know
    mask
        of the shape of the volume, with ``face``
    reason
        in words for a person
    """

    kind: Literal["face", "none", "unsure"]
    mask: NDArray[np.bool_] | None = None
    reason: str = ""


def missing(settings: FaceSettings) -> str | None:
    """What the command lacks; None if everything is there, or if it is one of the configuration's own."""
    return deface.missing() if settings.command is None else None


def find_face(
    volume: SeriesVolume, settings: FaceSettings, *, work: Path, stopping: Callable[[], bool] = bool
) -> Finding:
    """Ask the command where the face is.

    Parameters
    ----------
    volume
        of the series
    settings
        the command and its limits
    work
        directory for the scratch directory, which only this account can enter
    stopping
        whether to give up

    Raises
    ------
    Stopped
        ``stopping`` said so
    SpoolUnavailable
        the scratch directory cannot be written
    """
    lacks = missing(settings)
    if lacks is not None:
        return Finding(kind="unsure", reason=lacks)
    _forget_the_dead(work)
    scratch = work / f"{_SCRATCH}-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        scratch.mkdir(mode=0o700)
        source, target, rest = (scratch / name for name in ("in", "out", "tmp"))
        for folder in (source, target, rest):
            folder.mkdir(mode=0o700)
        write_volume(source / "volume.nii", volume)
        (source / "series.json").write_text(json.dumps({"modality": volume.modality}), encoding="utf-8")
        code = _run(_command(settings), source, target, rest, settings, stopping)
        return _finding(code, target, volume, settings)
    except OSError as error:
        raise SpoolUnavailable(operation="write", name="a volume", reason=error.strerror or "unknown") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _forget_the_dead(work: Path) -> None:
    """Remove what a process left that was killed at a series: it is as large as a volume, and somebody's head."""
    for left in work.glob(f"{_SCRATCH}-*-*"):
        owner = left.name.split("-")[1]
        if not owner.isdecimal():
            continue
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (PermissionError, OverflowError):
            continue


def _command(settings: FaceSettings) -> Sequence[str]:
    return settings.command if settings.command is not None else (sys.executable, "-I", "-B", *_SHIPPED)


def _run(
    command: Sequence[str],
    source: Path,
    target: Path,
    rest: Path,
    settings: FaceSettings,
    stopping: Callable[[], bool],
) -> int | None:
    """The exit code; None if the time was up."""
    limits = (str(settings.memory_bytes), str(round(4 * settings.seconds) + 1), str(os.getpid()))
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", confine.__file__, *limits, *command, str(source), str(target)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=rest,
        # No secret of the gateway's environment.
        env={
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(rest), "TMPDIR": str(rest), "LC_ALL": "C.UTF-8",
            **dict.fromkeys(_THREADS, "1"),
        },
        start_new_session=True,
    ) as child:  # fmt: skip
        end = time.monotonic() + settings.seconds
        try:
            while True:
                try:
                    return child.wait(_LOOK)
                except subprocess.TimeoutExpired:
                    if stopping():
                        raise Stopped from None
                    if time.monotonic() > end:
                        return None
        finally:
            # The command may have children of its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)


def _finding(code: int | None, target: Path, volume: SeriesVolume, settings: FaceSettings) -> Finding:
    told = _report(target / "report.json")
    if code is None:
        return Finding(kind="unsure", reason=f"the command did not end within {settings.seconds:g} seconds")
    if code == _NO_HEAD:
        return Finding(kind="none", reason="the command found nothing of the size of a head")
    if code == _UNSURE:
        return Finding(kind="unsure", reason=f"the command is not sure where the face is{told}")
    if code != 0:
        ended = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
        return Finding(kind="unsure", reason=f"the command {ended}")
    try:
        mask = _mask(target, volume)
    except NiftiError as error:
        return Finding(kind="unsure", reason=f"what the command wrote cannot be used: {error}")
    return Finding(kind="face", mask=mask, reason=f"the command found the face{told}")


def _mask(target: Path, volume: SeriesVolume) -> NDArray[np.bool_]:
    for name in _MASKS:
        if (target / name).is_file() and not (target / name).is_symlink():
            return np.asarray(read_cells(target / name, volume) != 0)
    for name in _DEFACED:
        if (target / name).is_file() and not (target / name).is_symlink():
            return np.asarray(np.abs(read_cells(target / name, volume) - volume.values) > 1e-3)
    raise NiftiError(f"there is none of {', '.join((*_MASKS, *_DEFACED))}")


def _report(path: Path) -> str:
    """The numbers of a report in words; empty if there are none. Of text nothing is taken over."""
    try:
        if path.is_symlink() or path.stat().st_size > _LONGEST_REPORT:
            return ""
        report: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    numbers = [
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in (report.items() if isinstance(report, dict) else ())
        if _NAME.fullmatch(name) and isinstance(value, int | float)
    ]
    return f" ({', '.join(numbers[:_MOST_NUMBERS])})" if numbers else ""
