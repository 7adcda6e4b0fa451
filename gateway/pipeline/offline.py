"""The gateway's engine on files and folders, without a gateway: ``gateway deid``.

Each file is treated as the workers treat a received instance; what they would hold is reported and not written.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

from gateway.config import Settings
from gateway.deid import Deidentified, ProjectKey
from gateway.deliver import output_path
from gateway.dicom.segments import Segment, copy_to
from gateway.errors import GatewayError, RejectedByRule
from gateway.pipeline.numbers import OfflineNumbers
from gateway.pipeline.pixels import PixelStage
from gateway.pipeline.review.activation import require_passing
from gateway.pipeline.treatment import OpeningRules, Treatment, holding, opening_rules
from gateway.privacy import make_private
from gateway.profile import load_profile, shipped_profiles

#: Files handed to the processes ahead of the results.
_AHEAD: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineTask:
    """What to do with the files.

    Attributes
    ----------
    profile: name of a profile or path of its file
    secret: the project's secret
    output: directory of the outputs
    project: name of the project, whose numbers sequential pseudonyms are; empty where there are none
    keep_names: mirror the input's relative paths; otherwise the layout of a folder destination
    settings: limits and directories of profiles
    """

    profile: str
    secret: bytes
    output: Path
    keep_names: bool
    settings: Settings
    project: str = ""


@dataclass(frozen=True, slots=True)
class OfflineResult:
    """What became of one file: ``code`` and ``detail`` say why it was held, or which rule rejected it."""

    path: Path
    state: Literal["deidentified", "rejected", "held"]
    code: str = ""
    detail: str = ""
    size: int = 0


def input_files(source: Path) -> list[tuple[Path, Path]]:
    """The regular files in ``source`` (a file or a directory, recursively) with their relative paths, sorted."""
    if source.is_file():
        return [(source, Path(source.name))]
    return sorted((path, path.relative_to(source)) for path in source.rglob("*") if path.is_file())


def deidentify_files(task: OfflineTask, files: Sequence[tuple[Path, Path]], *, jobs: int) -> Iterator[OfflineResult]:
    """De-identify files in ``jobs`` processes; results come as they are ready.

    A file on which its process dies is held, and the others go on.

    Raises
    ------
    ProfileError: the profile has an error, or one of its tests fails
    ConfigurationError: the secret is too short
    """
    _Offline(task)  # errors of the profile or secret once, before any process starts
    left = list(files)
    while left:
        done, suspects = 0, []
        for file, result in _pool(task, left, jobs=jobs):
            if result is None:
                suspects.append(file)
            else:
                done += 1
                yield result
        # A process died: its file is among the suspects; each of them gets a process of its own.
        for file in suspects:
            for _, result in _pool(task, [file], jobs=1):
                yield result or OfflineResult(file[0], "held", "worker-died", "the process that read it ended")
        left = left[done + len(suspects) :]


def _pool(
    task: OfflineTask, files: Sequence[tuple[Path, Path]], *, jobs: int
) -> Iterator[tuple[tuple[Path, Path], OfflineResult | None]]:
    """Results in any order; None for files whose result was lost with a process. Ends at the first loss."""
    waiting = iter(files)
    running: dict[Future[OfflineResult], tuple[Path, Path]] = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(task,)) as pool:
        broken = False
        while True:
            while not broken and len(running) < jobs * _AHEAD:
                file = next(waiting, None)
                if file is None:
                    break
                try:
                    running[pool.submit(_deidentify, *file)] = file
                except BrokenProcessPool:
                    broken = True
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                file = running.pop(future)
                try:
                    yield file, future.result()
                except BrokenProcessPool:
                    broken = True
                    yield file, None


_offline: _Offline | None = None


def _start(task: OfflineTask) -> None:
    global _offline  # noqa: PLW0603  (one per process of the pool)
    make_private()
    _offline = _Offline(task)


def _deidentify(path: Path, relative: Path) -> OfflineResult:
    if _offline is None:
        raise RuntimeError("the process was not started for this")
    return _offline.deidentify(path, relative)


class _Offline:
    """The engine of one process."""

    def __init__(self, task: OfflineTask) -> None:
        self._task = task
        search = (*task.settings.profiles, shipped_profiles())
        program = require_passing(load_profile(task.profile, search=search))
        numbers = OfflineNumbers(task.settings, task.project) if task.project else None
        self._treatment = Treatment(
            program, ProjectKey(task.secret), numbers=numbers, pixels=PixelStage(task.settings.pixels)
        )

    def deidentify(self, path: Path, relative: Path) -> OfflineResult:
        self._task.output.mkdir(parents=True, exist_ok=True)
        # Re-encoded copies of originals stay beside the outputs, which are as well protected as the operator wants.
        with tempfile.TemporaryDirectory(prefix=".work-", dir=self._task.output) as work:
            rules: OpeningRules = opening_rules(self._task.settings, Path(work))
            try:
                with holding("opening"):
                    opened = rules.open(path)
                with opened as instance:
                    draft = Path(work) / secrets.token_hex(8)
                    treated = self._treatment.treat(instance, lambda segments: _write(draft, segments), opening=rules)
                target = self._target(relative, treated.output)
                target.parent.mkdir(parents=True, exist_ok=True)
                # The work directory is on the same file system: the file appears at once or not at all.
                draft.replace(target)
            except RejectedByRule as rejected:
                return OfflineResult(path, "rejected", str(rejected.facts["rule"]), str(rejected.facts["because"]))
            except GatewayError as error:
                return OfflineResult(path, "held", error.code, error.message)
            except OSError as error:
                return OfflineResult(path, "held", "disk", error.strerror or type(error).__name__)
        return OfflineResult(path, "deidentified", size=treated.stored)

    def _target(self, relative: Path, output: Deidentified) -> Path:
        if self._task.keep_names:
            return self._task.output / relative
        return self._task.output / output_path(
            patient_id=output.patient_id,
            study_uid=output.study_uid,
            series_uid=output.series_uid,
            sop_uid=output.sop_uid,
        )


def _write(draft: Path, segments: Sequence[Segment]) -> int:
    with draft.open("xb") as file:
        return copy_to(segments, file)
