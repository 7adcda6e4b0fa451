"""Comparing what a profile's test expects with what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Final

from pydicom import DataElement, Dataset, dcmread

from gateway.dicom.segments import copy_to
from gateway.dicom.tag import show
from gateway.profile.element import ElementName, parse_element
from gateway.profile.program import ProfileTest
from gateway.rehearsal.dry_run import DryRunResult

__all__ = ["problems"]

#: Written by the gateway: profile and software, which a test's texts may resemble.
_STAMP: Final = frozenset((0x00120063, 0x00120064))
_PATIENT: Final = "{patient}"
_NUMBERS: Final = frozenset(("DS", "FD", "FL", "IS"))


def problems(test: ProfileTest, outcome: DryRunResult) -> Iterator[str]:
    """How ``outcome`` differs from what ``test`` expects, one sentence each, with the values of the test.

    The outcome's instance must still be open.
    """
    if outcome.state != test.outcome:
        reason = f": {outcome.reason}" if outcome.reason else ""
        yield f"the instance is {outcome.state}, not {test.outcome}{reason}"
        return
    if outcome.output is None:
        return
    file = BytesIO()
    copy_to(outcome.output.segments, file)
    file.seek(0)
    dataset = dcmread(file)
    patient = outcome.output.patient_id
    for name, expected in test.expect.items():
        try:
            element = parse_element(name)
        except ValueError as failed:
            yield str(failed)
            continue
        yield from _unexpected(name, _found(dataset, element), _filled(expected, patient))
    for text in test.never:
        yield from (f'"{text}" is still in {place}' for place in _places(dataset, text, patient))


def _filled(expected: str | Sequence[str] | None, patient: str) -> list[str] | None:
    if expected is None:
        return None
    values = [expected] if isinstance(expected, str) else list(expected)
    return [value.replace(_PATIENT, patient) for value in values]


def _found(dataset: Dataset, element: ElementName) -> list[DataElement]:
    """The elements of that name in the output, in every item of the path."""
    levels = [dataset]
    for sequence in element.path:
        levels = [item for level in levels if sequence in level for item in level[sequence].value]
    elements = []
    for level in levels:
        tag: int | None = element.tag
        if element.creator:
            try:
                block = level.private_block(element.tag >> 16, element.creator)
                tag = block.get_tag(element.tag & 0xFF)
            except KeyError:
                tag = None
        if tag is not None and tag in level:
            elements.append(level[tag])
    return elements


def _unexpected(name: str, elements: list[DataElement], expected: list[str] | None) -> Iterator[str]:
    if expected is None:
        if elements:
            yield f"{name} is still there: {_shown(_values(elements[0]))}"
        return
    if not elements:
        yield f"{name} is not there, expected: {_shown(expected)}"
    for element in elements:
        values = _values(element)
        if not _equal(values, expected, element.VR):
            yield f"{name} is {_shown(values)}, expected: {_shown(expected)}"


def _values(element: DataElement) -> list[str]:
    """The values as text; an empty element has one empty text."""
    if element.VR == "SQ":
        return [f"a sequence of {len(element.value)} items"] if element.value else [""]
    value = element.value
    if value is None or (not isinstance(value, int | float) and len(value) == 0):
        return [""]
    if isinstance(value, bytes):
        return [value.rstrip(b"\0 ").decode("utf-8", "replace")]
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [str(value)]
    return [str(one) for one in value]


def _equal(values: list[str], expected: list[str], vr: str) -> bool:
    if values == expected:
        return True
    if vr not in _NUMBERS or len(values) != len(expected):
        return False
    try:
        return [float(one) for one in values] == [float(one) for one in expected]
    except ValueError:
        return False


def _shown(values: list[str]) -> str:
    return "empty" if values == [""] else "\\".join(values) if len(values) > 1 else f'"{values[0]}"'


def _places(dataset: Dataset, text: str, patient: str) -> Iterator[str]:
    """Where the text stands in the output, in any case; the pseudonym and the gateway's stamp do not count."""
    wanted = text.casefold()
    for level, path in ((dataset.file_meta, ""), *_levels(dataset)):
        for element in level:
            if element.VR == "SQ" or (not path and element.tag in _STAMP):
                continue
            if any(wanted in one.replace(patient, "").casefold() for one in _values(element)):
                yield f"{path}{element.keyword or show(int(element.tag))}"


def _levels(dataset: Dataset, path: str = "") -> Iterator[tuple[Dataset, str]]:
    yield dataset, path
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _levels(item, f"{path}{element.keyword or show(int(element.tag))}/")
