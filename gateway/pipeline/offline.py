"""The gateway's engine on files and folders, without a gateway: ``gateway deid``.

Each file is treated as the workers treat a received instance; what they would hold is reported and not written. What
files say of each other is asked first: of a study that names two patients none is written, whatever the order. A
DICOMDIR, which lists the files beside it by name and number, is no instance and stays behind.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias, TypeVar

from gateway.config import Settings
from gateway.deid import Deidentified, ProjectKey
from gateway.deid.patient import claims, subject_of
from gateway.deliver import output_path
from gateway.dicom.instance import Instance
from gateway.dicom.segments import Segment, copy_to
from gateway.errors import GatewayError, MediaDirectory, RejectedByRule
from gateway.ledger.identities import CONFLICTS
from gateway.pipeline.numbers import OfflineNumbers
from gateway.pipeline.pixels import PixelStage
from gateway.pipeline.review.activation import require_passing
from gateway.pipeline.treatment import OpeningRules, Treatment, holding, opening_rules
from gateway.privacy import make_private
from gateway.profile import load_profile, shipped_profiles

T = TypeVar("T")

#: Kind and token of studies that name two patients and the like: ``gateway.deid.patient.claims``.
Conflicts: TypeAlias = frozenset[tuple[str, str]]

#: Files handed to the processes ahead of the results.
_AHEAD: Final = 8
#: What is to be done about a conflict where no ledger keeps what was held.
_DETAILS: Final = {
    "study": "files of its study name two patients: run again without those that are wrong",
    "patient-id": "its Patient ID comes from two issuers: say issuers: distinct in the profile if these are two people",
}


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
    with _Processes(task, jobs) as processes:
        work = partial(_deidentify, _conflicts(processes, files) if len(files) > 1 else frozenset())
        left = list(files)
        while left:
            done, suspects = 0, []
            for file, result in processes.run(left, work):
                if result is None:
                    suspects.append(file)
                else:
                    done += 1
                    yield result
            # A process died: its file is among the suspects; each of them gets a process of its own.
            for file in suspects:
                with _Processes(task, 1) as alone:
                    for _, result in alone.run([file], work):
                        yield result or OfflineResult(file[0], "held", "worker-died", "the process that read it ended")
            left = left[done + len(suspects) :]


def _conflicts(processes: _Processes, files: Sequence[tuple[Path, Path]]) -> Conflicts:
    """The studies among ``files`` that name two patients, and Patient IDs of two issuers.

    A file that cannot be read, or on which its process dies, says nothing: it will be held.
    """
    said: dict[tuple[str, str], set[str]] = {}
    left = list(files)
    while left:
        done = 0
        for _, found in processes.run(left, _claims):
            done += 1
            for kind, what, whose in found or ():
                said.setdefault((kind, what), set()).add(whose)
        left = left[done:]
    return frozenset(one for one, by in said.items() if len(by) > 1)


class _Processes:
    """Processes that treat files; a context manager.

    Parameters
    ----------
    task: what to do
    jobs: how many
    """

    def __init__(self, task: OfflineTask, jobs: int) -> None:
        self._task = task
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def run(
        self, files: Sequence[tuple[Path, Path]], work: Callable[[Path, Path], T]
    ) -> Iterator[tuple[tuple[Path, Path], T | None]]:
        """Results in any order; None for files whose result was lost with a process. Ends at the first loss."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(self._task,)
            )
        waiting = iter(files)
        running: dict[Future[T], tuple[Path, Path]] = {}
        broken = False
        while True:
            while not broken and len(running) < self._jobs * _AHEAD:
                file = next(waiting, None)
                if file is None:
                    break
                try:
                    running[self._pool.submit(work, *file)] = file
                except BrokenProcessPool:
                    broken = True
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                file = running.pop(future)
                try:
                    yield file, future.result()
                except BrokenProcessPool:
                    broken = True
                    yield file, None
        if broken:
            self.__exit__()


_offline: _Offline | None = None


def _start(task: OfflineTask) -> None:
    global _offline  # noqa: PLW0603  (one per process of the pool)
    make_private()
    _offline = _Offline(task)


def _deidentify(conflicts: Conflicts, path: Path, relative: Path) -> OfflineResult:
    if _offline is None:
        raise RuntimeError("the process was not started for this")
    return _offline.deidentify(path, relative, conflicts)


def _claims(path: Path, _relative: Path) -> tuple[tuple[str, str, str], ...]:
    if _offline is None:
        raise RuntimeError("the process was not started for this")
    return _offline.claims(path)


class _Offline:
    """The engine of one process."""

    def __init__(self, task: OfflineTask) -> None:
        self._task = task
        search = (*task.settings.profiles, shipped_profiles())
        program = require_passing(load_profile(task.profile, search=search))
        numbers = OfflineNumbers(task.settings, task.project) if task.project else None
        self._key = ProjectKey(task.secret)
        self._treatment = Treatment(program, self._key, numbers=numbers, pixels=PixelStage(task.settings.pixels))

    def claims(self, path: Path) -> tuple[tuple[str, str, str], ...]:
        """What a file says of its study and its Patient ID; nothing if it is rejected or held."""
        self._task.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".work-", dir=self._task.output) as work:
            try:
                with holding("opening"):
                    opened = opening_rules(self._task.settings, Path(work)).open(path)
                with opened as instance:
                    self._treatment.admit(instance)
                    return self._claims_of(instance)
            except (GatewayError, OSError):
                return ()

    def _claims_of(self, instance: Instance) -> tuple[tuple[str, str, str], ...]:
        return claims(instance, self._key, subject_of(instance, self._treatment.program.identity))

    def deidentify(self, path: Path, relative: Path, conflicts: Conflicts) -> OfflineResult:
        self._task.output.mkdir(parents=True, exist_ok=True)
        # Re-encoded copies of originals stay beside the outputs, which are as well protected as the operator wants.
        with tempfile.TemporaryDirectory(prefix=".work-", dir=self._task.output) as work:
            rules: OpeningRules = opening_rules(self._task.settings, Path(work))
            try:
                with holding("opening"):
                    opened = rules.open(path)
                with opened as instance:
                    conflict = self._conflict(instance, conflicts)
                    if conflict is not None:
                        return OfflineResult(path, "held", *conflict)
                    draft = Path(work) / secrets.token_hex(8)
                    treated = self._treatment.treat(instance, lambda segments: _write(draft, segments), opening=rules)
                target = self._target(relative, treated.output)
                target.parent.mkdir(parents=True, exist_ok=True)
                # The work directory is on the same file system: the file appears at once or not at all.
                draft.replace(target)
            except MediaDirectory as directory:
                return OfflineResult(path, "rejected", directory.code, directory.message)
            except RejectedByRule as rejected:
                return OfflineResult(path, "rejected", str(rejected.facts["rule"]), str(rejected.facts["because"]))
            except GatewayError as error:
                return OfflineResult(path, "held", error.code, error.message)
            except OSError as error:
                return OfflineResult(path, "held", "disk", error.strerror or type(error).__name__)
        return OfflineResult(path, "deidentified", size=treated.stored)

    def _conflict(self, instance: Instance, conflicts: Conflicts) -> tuple[str, str] | None:
        """Code and detail of what other files contradict, for an instance that the profile lets go on."""
        said = self._claims_of(instance) if conflicts else ()
        kind = next((kind for kind, what, _ in said if (kind, what) in conflicts), None)
        if kind is None:
            return None
        self._treatment.admit(instance)
        return CONFLICTS[kind][0], _DETAILS[kind]

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
