"""Looking in the destination: did every sample arrive, and is every planted identity gone?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydicom import DataElement, Dataset
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.samples.arrival import Archive, Arrived
from gateway.samples.byte_search import Haystack
from gateway.samples.planting import PREAMBLE, Planted, haystacks, is_in, text_of
from gateway.samples.sample_study import Sample

__all__ = ["CheckReport", "Finding", "check", "examine", "print_report"]

_POLL_SECONDS: Final = 0.5
#: Once everything else has arrived, how long those are waited for that the gateway may hold.
_PATIENCE_SECONDS: Final = 2.0
#: Preamble, ``DICM`` and the element (0002,0000), whose value counts from its own end (PS3.10 7.1).
_META_START: Final = 128 + 4 + 12


@dataclass(frozen=True, slots=True)
class Finding:
    """A planted identity that is still in what arrived, and where; ``where`` is empty if in no element."""

    sample: Sample
    planted: Planted
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the destination holds of a run."""

    samples: tuple[Sample, ...]
    #: Every planted identity that was found, by the number of its sample; a sample that did not arrive has no entry.
    findings: dict[int, tuple[Finding, ...]]
    missing: tuple[Sample, ...]
    #: Instances of the run that arrived twice or were never sent.
    unexpected: int = 0
    #: Not there, and of a kind that a profile without pixel rules holds for a person.
    waiting: tuple[Sample, ...] = ()
    #: Why the destination could not be read at the last try; empty if it could.
    fault: str = ""

    @property
    def clean(self) -> bool:
        """Whether everything arrived that was not held, once, and nothing planted was found."""
        return not (self.missing or self.unexpected or self.fault or any(self.findings.values()))


@dataclass(slots=True)
class _Progress:
    findings: dict[int, tuple[Finding, ...]] = field(default_factory=dict)
    unexpected: int = 0
    fault: str = ""


def check(
    samples: Iterable[Sample],
    archive: Archive,
    *,
    run_id: str,
    timeout_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> CheckReport:
    """Wait for samples to arrive in ``archive`` and examine each one.

    Parameters
    ----------
    samples
        those that must arrive.
    archive
        the destination.
    run_id
        the run's marker.
    timeout_seconds
        how long to wait for the last one; a destination that cannot be read is tried again until then.
    clock
        seconds that pass.
    pause
        waits so many seconds.
    """
    expected = {sample.number: sample for sample in samples}
    certain = {number for number, sample in expected.items() if not sample.may_be_held}
    state, deadline = _Progress(), clock() + timeout_seconds
    patience: float | None = None
    while True:
        state.fault = ""
        try:
            for arrived in archive.arrivals(run_id):
                _enter(state, expected, arrived)
        except OSError as error:
            state.fault = type(error).__name__
        now = clock()
        if patience is None and certain <= state.findings.keys():
            patience = now + _PATIENCE_SECONDS
        if len(state.findings) == len(expected) or now >= (deadline if patience is None else min(deadline, patience)):
            break
        pause(_POLL_SECONDS)
    absent = {number: sample for number, sample in expected.items() if number not in state.findings}
    return CheckReport(
        samples=tuple(expected.values()),
        findings=state.findings,
        missing=tuple(sample for number, sample in absent.items() if number in certain),
        waiting=tuple(sample for number, sample in absent.items() if number not in certain),
        unexpected=state.unexpected,
        fault=state.fault,
    )


def _enter(state: _Progress, expected: dict[int, Sample], arrived: Arrived) -> None:
    sample = expected.get(arrived.number)
    if sample is None or sample.number in state.findings:
        state.unexpected += 1
    else:
        state.findings[sample.number] = examine(sample, arrived)


def examine(sample: Sample, arrived: Arrived) -> tuple[Finding, ...]:
    """Every identity planted in ``sample`` that is still in what arrived.

    The whole file is searched for the bytes of each value; a value too short for that is compared with the element
    at the place where it was planted.
    """
    meta = arrived.dataset.file_meta
    file = Haystack(
        arrived.content,
        transfer_syntax=meta.TransferSyntaxUID,
        data_set=_META_START + meta.FileMetaInformationGroupLength,
    )
    remaining = [planted for planted in sample.planted if _is_found(planted, arrived.dataset, file)]
    elements = [*haystacks(meta), *haystacks(arrived.dataset)] if remaining else []
    # Most values are planted in several places: where one is now is asked once.
    places = {planted.forms: _holding(planted.forms, elements) for planted in remaining}
    return tuple(
        Finding(sample, planted, places[planted.forms] if planted.forms else (planted.path,)) for planted in remaining
    )


def _is_found(planted: Planted, dataset: Dataset, file: Haystack) -> bool:
    if file.holds(planted.forms):
        return True
    element = element_at(dataset, planted.path)
    return element is not None and element.VR != "SQ" and is_in(text_of(element.value), planted.kind, planted.value)


def _holding(forms: tuple[bytes, ...], elements: Sequence[tuple[str, Haystack]]) -> tuple[str, ...]:
    return tuple(path for path, haystack in elements if haystack.holds(forms))


def element_at(dataset: Dataset, path: str) -> DataElement | None:
    """The element that a path of :class:`Planted` names, or None if it is not there."""
    if path == PREAMBLE:
        return None
    *steps, last = path.split("/")
    level: Dataset = dataset
    for step in steps:
        shown, item = step.rstrip("]").split("[")
        tag = _tag(shown)
        if tag not in level or level[tag].VR != "SQ" or len(level[tag].value) <= int(item):
            return None
        level = level[tag].value[int(item)]
    tag = _tag(last)
    if not steps and tag >> 16 == 2:
        level = dataset.file_meta
    return level[tag] if tag in level else None  # noqa: SIM401 - get() is typed as if it could not fail


def _tag(shown: str) -> int:
    return int(shown[1:5] + shown[6:10], 16)


def print_report(report: CheckReport, console: Console, *, details: bool = False) -> None:
    """Print a row per instance, then every finding; with ``details`` every planted identity that is gone as well."""
    table = Table(title="Planted identities in the destination")
    for heading in ("#", "instance", "arrived"):
        table.add_column(heading)
    for heading in ("planted", "gone", "found"):
        table.add_column(heading, justify="right")
    for sample in report.samples:
        findings = report.findings.get(sample.number)
        planted = len(sample.planted)
        if findings is None:
            word = Text("held?", "yellow") if sample.may_be_held else Text("missing", "red")
            table.add_row(str(sample.number), sample.title, word, str(planted), "", "")
        else:
            count = Text(str(len(findings)), "red" if findings else "green")
            table.add_row(str(sample.number), sample.title, "yes", str(planted), str(planted - len(findings)), count)
    console.print(table)
    rows = [finding for findings in report.findings.values() for finding in findings]
    if details:
        _print_planted(report, console)
    elif rows:
        _print_findings(rows, console)
    if report.fault:
        console.print(Text(f"The destination could not be read: {report.fault}.", "red"), soft_wrap=True)
    console.print(_summary(report, len(rows)), soft_wrap=True)
    if report.waiting:
        text = (
            f"{len(report.waiting)} are of a kind that often has text burned in, and are held unless the profile says "
            "what becomes of their pixels: see gateway held list."
        )
        console.print(Text(text), soft_wrap=True)


def _summary(report: CheckReport, remaining: int) -> Text:
    arrived = [sample for sample in report.samples if sample.number in report.findings]
    planted = sum(len(sample.planted) for sample in arrived)
    text = (
        f"{len(arrived)} of {len(report.samples)} instances arrived; of {planted} planted identities in them "
        f"{planted - remaining} are gone and {remaining} found; {len(report.missing)} missing, "
        f"{report.unexpected} unexpected."
    )
    return Text(text, "green" if report.clean else "red")


def _print_findings(findings: Sequence[Finding], console: Console) -> None:
    table = Table(title="Found")
    for heading in ("#", "kind", "planted in", "value", "found in"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        where = "\n".join(finding.where) or "the file, in no element"
        planted = finding.planted
        table.add_row(str(finding.sample.number), planted.kind, planted.path, _plain(planted.value), where)
    console.print(table)


def _print_planted(report: CheckReport, console: Console) -> None:
    table = Table(title="Every planted identity")
    for heading in ("#", "kind", "planted in", "value", "state"):
        table.add_column(heading, overflow="fold")
    for sample in report.samples:
        if sample.number not in report.findings:
            continue
        by_identity = {id(finding.planted): finding for finding in report.findings[sample.number]}
        for planted in sample.planted:
            finding = by_identity.get(id(planted))
            state = Text("gone", "green") if finding is None else Text("found " + " ".join(finding.where), "red")
            table.add_row(str(sample.number), planted.kind, planted.path, _plain(planted.value), state)
    console.print(table)


def _plain(value: str) -> Text:
    # Not as markup: values hold brackets.
    return Text(value)
