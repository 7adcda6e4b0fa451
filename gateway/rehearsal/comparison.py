"""Which samples two programs treat differently, and in which elements."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import DataElement, Dataset, dcmread

from gateway.dicom.segments import copy_to
from gateway.dicom.tag import show
from gateway.profile import Program
from gateway.rehearsal.dry_run import DEMONSTRATION_KEY, DryRun, DryRunResult, opening
from gateway.samples import Sample, generate

__all__ = ["ChangedElement", "ChangedSample", "changed_samples"]

#: Name and digest of the profile: they differ always.
_METHOD: Final = "DeidentificationMethod"
_SEED: Final = 0
_RUN: Final = "REVIEW"
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class ChangedElement:
    """One element whose output differs; a value is empty where the element is absent."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangedSample:
    """One sample that two programs treat differently.

    Attributes
    ----------
    title
        what the sample is
    before, after
        what becomes of the instance: ``accepted``, ``rejected`` or ``held``, with the reason
    elements
        elements whose output differs, if both accept it
    """

    title: str
    before: str
    after: str
    elements: tuple[ChangedElement, ...]


def changed_samples(before: Program, after: Program) -> tuple[int, tuple[ChangedSample, ...]]:
    """Treat every sample of ``gateway samples`` with both programs and the same key.

    Returns
    -------
    How many samples there are, and those that differ.
    """
    changed, count = [], 0
    with (
        tempfile.TemporaryDirectory(prefix="profile-diff-") as folder,
        DryRun(before, DEMONSTRATION_KEY) as one,
        DryRun(after, DEMONSTRATION_KEY) as other,
    ):
        for sample in generate(_SEED, _RUN):
            count += 1
            path = sample.write(Path(folder))
            with opening(Path(folder)).open(path) as instance:
                was = _Treated.of(one.of(instance))
                becomes = _Treated.of(other.of(instance))
            path.unlink()
            difference = _changed(sample, was, becomes)
            if difference is not None:
                changed.append(difference)
    return count, tuple(changed)


@dataclass(frozen=True, slots=True)
class _Treated:
    """What became of a sample: in words, and its elements by name and place."""

    words: str
    elements: dict[str, str] | None

    @classmethod
    def of(cls, outcome: DryRunResult) -> _Treated:
        words = f"{outcome.state}: {outcome.reason}" if outcome.reason else outcome.state
        if outcome.output is None:
            return cls(words, None)
        file = BytesIO()
        copy_to(outcome.output.segments, file)
        file.seek(0)
        return cls(words, dict(_elements(dcmread(file))))


def _changed(sample: Sample, was: _Treated, becomes: _Treated) -> ChangedSample | None:
    if was.words != becomes.words or was.elements is None or becomes.elements is None:
        if was.words == becomes.words:
            return None
        return ChangedSample(sample.title, was.words, becomes.words, ())
    names = dict.fromkeys((*was.elements, *becomes.elements))
    elements = tuple(
        ChangedElement(name, was.elements.get(name, ""), becomes.elements.get(name, ""))
        for name in names
        if was.elements.get(name) != becomes.elements.get(name)
    )
    return ChangedSample(sample.title, was.words, becomes.words, elements) if elements else None


def _elements(dataset: Dataset, path: str = "") -> Iterator[tuple[str, str]]:
    """Name with place -> value, of all elements that are no sequences; an empty sequence counts as one."""
    for element in dataset:
        name = f"{path}{element.keyword or show(int(element.tag))}"
        if element.VR == "SQ":
            if not element.value:
                yield name, "(no items)"
            for number, item in enumerate(element.value, start=1):
                yield from _elements(item, f"{name}[{number}]/")
        elif name != _METHOD:
            yield name, _shown(element)


def _shown(element: DataElement) -> str:
    value = element.value
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if value is None or (not isinstance(value, int | float) and len(value) == 0):
        return "(empty)"
    text = "\\".join(str(one) for one in value) if element.VM > 1 else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
