"""Header work alone, in this process: the gateway's engine and verifier, and other projects' engines.

What is counted is CPU time, on files that are in the page cache. Everybody reads the header of the file, applies a
profile of its own (the gateway the whole basic profile of PS3.15, the others their defaults) and encodes the result;
pixel data is neither read nor written. The gateway's verification, which the others do not have, is told apart.
"""

from __future__ import annotations

import importlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pydicom

from benchmarks.figures import Run
from benchmarks.workloads import Workload
from gateway.deid import Deidentifier, ProjectKey
from gateway.dicom import instance
from gateway.dicom.encoded import Limits
from gateway.dicom.instance import open_instance
from gateway.profile import load_profile, shipped_profiles
from gateway.profile.situation import decided
from gateway.verify import Verifier, output_reader

_Header = Callable[[Path], None]


class _NoNumbers:
    """Numbers nothing: what the basic profile asks for would be a mistake of the benchmark."""

    def number(self, purpose: str, token: str) -> int:  # noqa: ARG002 - whoever numbers is given it
        raise AssertionError(f"the profile asks for a number for {purpose}")


def gateway(work: Path, workload: Workload, profile: str = "basic") -> Iterator[Run]:
    """The gateway's engine: an endless sequence of runs.

    The second half of the files is measured, each file once: every run is a new engine's, which has met the first half
    and none of what is measured, as one that is at work has met other series.

    Parameters
    ----------
    work: an empty folder
    workload: whose files are taken
    profile: name of a shipped profile
    """
    program = load_profile(profile, search=[shipped_profiles()])
    work.mkdir(parents=True, exist_ok=True)
    while True:
        for familiar in (instance._FAMILIAR, output_reader._FAMILIAR):
            familiar.forget()
        deidentifier = Deidentifier(program, ProjectKey(b"benchmark" * 4), numbers=_NoNumbers())
        treat = partial(_treat, work, deidentifier, Verifier(program))
        half = len(workload.files) // 2
        treat(workload.files[:half])
        measured = replace(workload, files=workload.files[half:])
        steps = treat(measured.files)
        yield Run(
            instances=len(measured.files),
            size=measured.size,
            seconds=steps["open"] + steps["apply"],
            cpu=steps,
        )


def _treat(work: Path, deidentifier: Deidentifier, verifier: Verifier, files: Sequence[Path]) -> dict[str, float]:
    """CPU seconds of each step for all of ``files``."""
    steps = {"open": 0.0, "apply": 0.0, "verify": 0.0}
    for path in files:
        begun = time.process_time()
        with open_instance(path, work=work, limits=Limits(), max_reencode_bytes=1 << 28) as received:
            opened = time.process_time()
            truths = decided(deidentifier.program, received)
            segments = deidentifier.apply(received, truths).segments
            # Encoded, as the others have it.
            b"".join(segment for segment in segments if isinstance(segment, bytes))
            applied = time.process_time()
            verifier.check(received, segments, truths)
            verified = time.process_time()
        steps["open"] += opened - begun
        steps["apply"] += applied - opened
        steps["verify"] += verified - applied
    return steps


def peer(name: str, workload: Workload) -> Iterator[Run]:
    """Another project's engine on its defaults, by its name in ``PEERS``."""
    header = PEERS[name]()
    with _quiet():
        header(workload.files[0])
        while True:
            begun = time.process_time()
            for path in workload.files:
                header(path)
            seconds = time.process_time() - begun
            yield Run(instances=len(workload.files), size=workload.size, seconds=seconds, cpu={"header": seconds})


def _dicognito() -> _Header:
    anonymizer = importlib.import_module("dicognito.anonymizer").Anonymizer(seed="benchmark")

    def header(path: Path) -> None:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        anonymizer.anonymize(dataset)
        pydicom.dcmwrite(io.BytesIO(), dataset)

    return header


def _dicom_anonymizer() -> _Header:
    anonymize = importlib.import_module("dicomanonymizer").anonymize_dataset

    def header(path: Path) -> None:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        anonymize(dataset)
        pydicom.dcmwrite(io.BytesIO(), dataset)

    return header


def _deid() -> _Header:
    replace: Any = importlib.import_module("deid.dicom").replace_identifiers
    recipe = importlib.import_module("deid.config").DeidRecipe()

    def header(path: Path) -> None:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        [cleaned] = replace(dicom_files=[dataset], deid=recipe, save=False, remove_private=True)
        pydicom.dcmwrite(io.BytesIO(), cleaned)

    return header


#: Name -> makes what does the work for one file.
PEERS: Final[Mapping[str, Callable[[], _Header]]] = {
    "dicognito": partial(_dicognito),
    "dicom-anonymizer": partial(_dicom_anonymizer),
    "deid": partial(_deid),
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings and messages, which would be measured."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
