"""The gateway's engine on files and folders, without a gateway: ``gateway deid``.

Each file is treated as the workers treat a received instance; what they would hold is reported and not written. What
files say of each other is asked first: of a study that names two patients none is written, whatever the order, and
where the profile takes faces away, those of a series in one run are all of it. A DICOMDIR, which lists the files beside
it by name and number, is no instance and stays behind, and so does what else lies on a disc and is no DICOM file.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from filecmp import cmp
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias, TypeVar

from gateway.deid import Deidentified, ProjectKey
from gateway.deid.patient import claims, subject_of
from gateway.deliver.folder.destination import output_path
from gateway.dicom.instance import Instance
from gateway.dicom.segments import Segment, copy_to
from gateway.errors import GatewayError, MediaDirectory, NotDicom, RejectedByRule
from gateway.ledger.identities import CONFLICTS
from gateway.pixels.faces.blanking import Face
from gateway.pixels.faces.places import is_part_of_volume
from gateway.pixels.sampling import SERIES_INSTANCE_UID
from gateway.privacy import make_private
from gateway.profile import load_profile, shipped_profiles
from gateway.rehearsal.activation import require_passing
from gateway.service.export_folder import first_bytes, is_packed
from gateway.service.faces_of_series import NO_SERIES, look_at
from gateway.settings.configuration import Settings
from gateway.treatment.pixel_stage import PixelStage
from gateway.treatment.sequential_numbers import OfflineNumbers
from gateway.treatment.series_knowledge import SeriesKnowledge
from gateway.treatment.treatment import OpeningRules, Treatment, holding, opening_rules

Job = TypeVar("Job")
T = TypeVar("T")

#: Kind and token of studies that name two patients and the like: ``gateway.deid.patient.claims``.
Conflicts: TypeAlias = frozenset[tuple[str, str]]

#: A file's path, its relative path, and what was found of a face in its series.
FileWork: TypeAlias = tuple[Path, Path, Face | None]

#: What files are called that are DICOM files.
_DICOM: Final = frozenset((".dcm", ".dicom", ".ima"))
#: Code and detail of a file whose place another one has.
_TWO_CONTENTS: Final = (
    "two-contents-of-instance",
    "another file has its SOP Instance UID and another content: run again without the one that is wrong",
)
#: What directories of discs are called (PS3.10 8.6).
_DIRECTORY: Final = "DICOMDIR"
#: Where PS3.10 has what DICOM files begin with.
_PREFIX: Final = slice(128, 132)
#: Jobs handed to the processes ahead of the results.
_AHEAD: Final = 8
#: A file of which nobody could look at the series.
_LOST: Final = Face(kind="doubt", reason="its series could not be looked at")
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
    profile
        name of a profile or path of its file
    secret
        the project's secret
    output
        directory of the outputs
    project
        name of the project, whose numbers sequential pseudonyms are; empty where there are none
    keep_names
        mirror the input's relative paths; otherwise the layout of a folder destination
    settings
        limits and directories of profiles
    walks
        the files are those of a folder or an archive: what is no DICOM file among them is ignored
    """

    profile: str
    secret: bytes
    output: Path
    keep_names: bool
    settings: Settings
    project: str = ""
    walks: bool = False


@dataclass(frozen=True, slots=True)
class OfflineResult:
    """What became of one file: ``code`` and ``detail`` say why it was held or ignored, or which rule rejected it."""

    path: Path
    state: Literal["deidentified", "rejected", "held", "ignored"]
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
    ProfileError
        the profile has an error, or one of its tests fails
    ConfigurationError
        the secret is too short
    """
    # Errors of the profile or secret once, before any process starts.
    defaces = _Offline(task, task.output).defaces
    with _work_folder(task.output) as folder, _Processes(task, folder, jobs) as processes:
        said = _said(processes, files) if defaces or len(files) > 1 else []
        faces = _faces(processes, said) if defaces else {}
        work = partial(_deidentify, _conflicts(said))
        left: list[FileWork] = [(path, relative, faces.get(path)) for path, relative in files]
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
                with _Processes(task, folder, 1) as alone:
                    for _, result in alone.run([file], work):
                        yield result or OfflineResult(file[0], "held", "worker-died", "the process that read it ended")
            left = left[done + len(suspects) :]


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """A folder for the moment. Re-encoded copies of originals stay beside the outputs, which are as well protected as
    the operator wants, and go with the folder of the run when their process has died.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".work-", dir=folder) as work:
        yield Path(work)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a file says that matters to others.

    Attributes
    ----------
    path
        of the file
    claims
        of its study and its Patient ID
    series
        its Series Instance UID, if it is part of a volume; empty otherwise
    """

    path: Path
    claims: tuple[tuple[str, str, str], ...] = ()
    series: str = ""


def _said(processes: _Processes, files: Sequence[tuple[Path, Path]]) -> list[_Said]:
    """What files say of each other, in their order; one that cannot be read, or kills its process, says nothing."""
    by_path: dict[Path, _Said] = {}
    left = [path for path, _ in files]
    while left:
        done = 0
        for path, said in processes.run(left, _listened):
            done += 1
            by_path[path] = said or _Said(path)
        left = left[done:]
    return [by_path[path] for path, _ in files]


def _conflicts(said: Iterable[_Said]) -> Conflicts:
    """The studies that name two patients, and Patient IDs of two issuers."""
    names: dict[tuple[str, str], set[str]] = {}
    for one in said:
        for kind, what, whose in one.claims:
            names.setdefault((kind, what), set()).add(whose)
    return frozenset(one for one, by in names.items() if len(by) > 1)


def _faces(processes: _Processes, said: Iterable[_Said]) -> dict[Path, Face]:
    """What was found of a face in the series of each file that is part of one."""
    members: dict[str, list[Path]] = {}
    for one in said:
        if one.series:
            members.setdefault(one.series, []).append(one.path)
    by_path: dict[Path, Face] = {}
    left = list(members.values())
    while left:
        done = 0
        for series, faces in processes.run(left, _looked):
            done += 1
            by_path.update(zip(series, faces or [_LOST] * len(series), strict=True))
        left = left[done:]
    return by_path


class _Processes:
    """Processes that do the jobs of a run; a context manager.

    Parameters
    ----------
    task
        what to do
    folder
        for files of the moment
    jobs
        how many
    """

    def __init__(self, task: OfflineTask, folder: Path, jobs: int) -> None:
        self._task = task
        self._folder = folder
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def run(self, jobs: Sequence[Job], work: Callable[[Job], T]) -> Iterator[tuple[Job, T | None]]:
        """Results in any order; None for jobs whose result was lost with a process. Ends at the first loss."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(self._task, self._folder)
            )
        waiting = iter(jobs)
        running: dict[Future[T], Job] = {}
        broken = False
        while True:
            while not broken and len(running) < self._jobs * _AHEAD:
                try:
                    job = next(waiting)
                except StopIteration:
                    break
                try:
                    running[self._pool.submit(work, job)] = job
                except BrokenProcessPool:
                    broken = True
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                try:
                    yield job, future.result()
                except BrokenProcessPool:
                    broken = True
                    yield job, None
        if broken:
            self.__exit__()


_offline: _Offline | None = None


def _start(task: OfflineTask, folder: Path) -> None:
    global _offline  # noqa: PLW0603  (one per process of the pool)
    make_private()
    _offline = _Offline(task, folder)


def _deidentify(conflicts: Conflicts, work: FileWork) -> OfflineResult:
    return _engine().deidentify(*work, conflicts)


def _listened(path: Path) -> _Said:
    return _engine().listen(path)


def _looked(series: Sequence[Path]) -> list[Face]:
    return _engine().look(series)


def _engine() -> _Offline:
    if _offline is None:
        raise RuntimeError("the process was not started for this")
    return _offline


class _Offline:
    """The engine of one process; ``folder`` is for files of the moment."""

    def __init__(self, task: OfflineTask, folder: Path) -> None:
        self._task = task
        self._folder = folder
        search = (*task.settings.profiles, shipped_profiles())
        program = require_passing(load_profile(task.profile, search=search))
        numbers = OfflineNumbers(task.settings, task.project) if task.project else None
        self._key = ProjectKey(task.secret)
        self._pixels = PixelStage(task.settings.pixels)
        self._treatment = Treatment(program, self._key, numbers=numbers, pixels=self._pixels)

    @property
    def defaces(self) -> bool:
        """Whether the profile takes faces out of series."""
        return self._treatment.program.pixels.defaces

    def listen(self, path: Path) -> _Said:
        """What a file says; nothing if it is rejected or held."""
        with _work_folder(self._folder) as work:
            try:
                with holding("opening"):
                    opened = opening_rules(self._task.settings, work).open(path)
                with opened as instance:
                    self._treatment.admit(instance)
                    series = instance.text(SERIES_INSTANCE_UID) if is_part_of_volume(instance) else ""
                    return _Said(path, self._claims_of(instance), series)
            except (GatewayError, OSError):
                return _Said(path)

    def look(self, series: Sequence[Path]) -> list[Face]:
        """What is found of a face in a series, for each of its files."""
        with _work_folder(self._folder) as work:
            rules = opening_rules(self._task.settings, work)
            try:
                finding = look_at(
                    range(len(series)),
                    lambda number: rules.open(series[number]),
                    self._task.settings,
                    opening=rules,
                    sandbox=self._pixels.sandbox,
                )
            except (GatewayError, OSError) as error:
                reason = error.message if isinstance(error, GatewayError) else error.strerror or type(error).__name__
                return [Face(kind="doubt", reason=reason.rstrip("."))] * len(series)
            return [finding.face(number) for number in range(len(series))]

    def _claims_of(self, instance: Instance) -> tuple[tuple[str, str, str], ...]:
        return claims(instance, self._key, subject_of(instance, self._treatment.program.identity))

    def deidentify(self, path: Path, relative: Path, face: Face | None, conflicts: Conflicts) -> OfflineResult:
        with _work_folder(self._folder) as work:
            rules: OpeningRules = opening_rules(self._task.settings, work)
            try:
                with holding("opening"):
                    opened = rules.open(path)
                with opened as instance:
                    admission = self._treatment.admit(instance)
                    conflict = self._conflict(instance, conflicts)
                    if conflict is not None:
                        return OfflineResult(path, "held", *conflict)
                    draft = work / secrets.token_hex(8)
                    series = SeriesKnowledge(
                        face=lambda: face or (_LOST if instance.text(SERIES_INSTANCE_UID) else NO_SERIES)
                    )
                    with self._treatment.treat(admission, opening=rules, series=series) as treated:
                        size = _write(draft, treated.output.segments)
                    target = self._target(relative, treated.output)
                    if not self._is_free(target, draft):
                        return OfflineResult(path, "held", *_TWO_CONTENTS)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    # The work directory is on the same file system: the file appears at once or not at all.
                    draft.replace(target)
            except MediaDirectory as directory:
                return OfflineResult(path, self._directory_state(relative), directory.code, directory.message)
            except NotDicom as other:
                return self._not_dicom(path, relative, other)
            except RejectedByRule as rejected:
                return OfflineResult(path, "rejected", str(rejected.facts["rule"]), str(rejected.facts["because"]))
            except GatewayError as error:
                return OfflineResult(path, "held", error.code, error.message)
            except OSError as error:
                return OfflineResult(path, "held", "disk", error.strerror or type(error).__name__)
        return OfflineResult(path, "deidentified", size=size)

    def _is_free(self, target: Path, draft: Path) -> bool:
        """Whether no other file of the run has the place of an output, or one with the same content."""
        mark = self._folder / f"placed-{sha256(os.fsencode(target)).hexdigest()}"
        try:
            os.link(draft, mark)
        except FileExistsError:
            return cmp(draft, mark, shallow=False)
        except OSError:
            # A file system without links: what comes later is taken.
            return True
        return True

    def _directory_state(self, relative: Path) -> Literal["ignored", "rejected", "held"]:
        """What becomes of a DICOMDIR: in a folder an image that says it is one does not vanish."""
        if not self._task.walks:
            return "rejected"
        return "ignored" if relative.name.upper().startswith(_DIRECTORY) else "held"

    def _not_dicom(self, path: Path, relative: Path, error: NotDicom) -> OfflineResult:
        """What becomes of a file that is none of DICOM: in a folder it is ignored if it cannot be or have been one."""
        ignored = False
        # What says by its name or its first bytes that it is a DICOM file, and is none, is damaged.
        if self._task.walks and relative.suffix.lower() not in _DICOM:
            with suppress(OSError):
                head = first_bytes(path)
                if is_packed(head, relative.name):
                    return OfflineResult(path, "held", "archive", "it is packed in a way that is not read")
                ignored = head[_PREFIX] != b"DICM"
        return OfflineResult(path, "ignored" if ignored else "held", error.code, error.message)

    def _conflict(self, instance: Instance, conflicts: Conflicts) -> tuple[str, str] | None:
        """Code and detail of what other files contradict."""
        said = self._claims_of(instance) if conflicts else ()
        kind = next((kind for kind, what, _ in said if (kind, what) in conflicts), None)
        return None if kind is None else (CONFLICTS[kind][0], _DETAILS[kind])

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
