"""Runs of the fuzzers: each target in a process of its own, with the seeds of the repository."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from coverage import Coverage

from tests.fuzz.targets import TARGETS

ROOT: Final = Path(__file__).resolve().parents[2]
CORPUS: Final = Path(__file__).parent / "corpus"
_EXECUTED: Final = re.compile(rb"stat::number_of_executed_units:\s+(\d+)")
_PEAK: Final = re.compile(rb"stat::peak_rss_mb:\s+(\d+)")
#: What a single input may take.
_SECONDS: Final = 10
_MEGABYTES: Final = 1024
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Run:
    """What came of fuzzing one target.

    Attributes
    ----------
    target: its name
    executions: inputs that were tried
    peak_megabytes: memory of the process
    crashes: files with inputs that found a defect, hang or take too much memory
    report: the end of what the fuzzer said
    """

    target: str
    executions: int
    peak_megabytes: int
    crashes: tuple[Path, ...]
    report: str


def fuzz(target: str, *, seconds: int, work: Path, seed: int) -> Run:
    """Fuzz one target.

    Parameters
    ----------
    target: a name of ``TARGETS``
    seconds: how long
    work: directory for inputs that are worth keeping, and for those that found a defect
    seed: of the fuzzer's random numbers
    """
    found, crashes = work / target, work / "crashes" / target
    found.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "tests.fuzz.harness", target),
            f"-max_total_time={seconds}",
            f"-timeout={_SECONDS}",
            f"-rss_limit_mb={_MEGABYTES}",
            f"-max_len={_LONGEST}",
            f"-seed={seed}",
            f"-artifact_prefix={crashes}/",
            *("-print_final_stats=1", "-verbosity=0"),
            str(found),
            str(CORPUS / target),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        check=False,
        # Only for one that hangs: to start it takes a minute where others work beside it.
        timeout=seconds + 600,
    )
    left = tuple(sorted(crashes.iterdir()))
    report = done.stderr.decode(errors="replace")[-4000:]
    executed, peak = _EXECUTED.search(done.stderr), _PEAK.search(done.stderr)
    if done.returncode and not left:
        raise RuntimeError(f"the fuzzer of {target} ended with {done.returncode}:\n{report}")
    return Run(
        target,
        int(executed[1]) if executed else 0,
        int(peak[1]) if peak else 0,
        left,
        report,
    )


def keep(target: str, work: Path) -> int:
    """Add the inputs of a run that take ways which the repository's do not, shortest first; how many."""
    known: set[tuple[str, tuple[int, int]]] = set()
    for data in seeds(target):
        known |= _ways(target, data)
    added = 0
    for data in sorted({path.read_bytes() for path in (work / target).iterdir()}, key=len):
        ways = _ways(target, data)
        if not ways <= known:
            known |= ways
            added += 1
            (CORPUS / target / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return added


def _ways(target: str, data: bytes) -> set[tuple[str, tuple[int, int]]]:
    """The steps from line to line in the gateway's code that an input takes."""
    measured = Coverage(data_file=None, branch=True, include=[str(ROOT / "gateway" / "*")])
    measured.start()
    try:
        TARGETS[target].run(data)
    finally:
        measured.stop()
    found = measured.get_data()
    return {(file, arc) for file in found.measured_files() for arc in found.arcs(file) or ()}


def seeds(target: str, *more: Path) -> list[bytes]:
    """The inputs that the repository keeps for a target, and those in further directories."""
    paths = [path for folder in (CORPUS / target, *more) for path in sorted(folder.iterdir())]
    return [path.read_bytes() for path in paths]


def coverage_of(module: ModuleType, target: str, *more: Path) -> float:
    """The share of a module's lines and branches that a target's inputs reach, in percent.

    Parameters
    ----------
    module: one that the target uses; imported again in a process of its own, so that all of it is measured
    target: a name of ``TARGETS``
    more: directories with further inputs
    """
    assert module.__file__ is not None
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "coverage"
        subprocess.run(
            [
                sys.executable,
                *("-m", "coverage", "run", "--branch", f"--data-file={data}", f"--include={module.__file__}"),
                *("-m", "tests.fuzz.replay", target, str(CORPUS / target), *map(str, more)),
            ],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        measured = Coverage(data_file=data)
        measured.load()
        with Path(os.devnull).open("w") as nowhere:
            return measured.report(file=nowhere)
