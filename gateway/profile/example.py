"""The tests that a profile brings along, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.profile.condition import EXTRA_NAMES
from gateway.profile.language import ExampleForm, ImageForm, ProfileFile
from gateway.profile.pixel_reading import read_rectangles
from gateway.profile.program import GivenValue, Origin, ProfileTest, TestImage
from gateway.profile.target import At, PrivateElement, parse_target
from gateway.sections.yamlfile import Document, KeyPath, Problems

#: Stands for the patient's pseudonym in what a test expects.
PATIENT_MARK: Final = "{patient}"


def read_tests(document: Document[ProfileFile], file: Path, problems: Problems) -> tuple[ProfileTest, ...]:
    """The tests of a file, in their order.

    Parameters
    ----------
    document
        the file's content
    file
        where it was found
    problems
        gathers what is wrong: a test that names what is no single element, has values of the wrong form, or can
        not fail; such a test is left out
    """
    tests = []
    for number, form in enumerate(document.model.tests):
        with problems.gathered():
            tests.append(_test(document, file, number, form))
    return tuple(tests)


def _test(document: Document[ProfileFile], file: Path, number: int, form: ExampleForm) -> ProfileTest:
    at = ("tests", number)
    expects = [key for key in ("expect", "never", "black", "same") if getattr(form, key)]
    if not expects and "outcome" not in form.model_fields_set:
        problem = 'the test expects nothing: give "expect", "never", "black", "same" or "outcome"'
        raise document.error(*at, problem=problem)
    if form.outcome != "accepted" and expects:
        key = expects[0]
        raise document.error(*at, key, problem=f"an instance that is {form.outcome} has no output")
    return ProfileTest(
        name=form.name or f"test {number + 1}",
        given=_given(document, form, at),
        sender=_sender(document, form, at),
        expect=_expected(document, form, at),
        never=tuple(form.never),
        outcome=form.outcome,
        origin=Origin(document.model.profile, "", str(file), document.place(*at).line),
        file=None if form.file is None else str(file.parent / form.file),
        image=_image(form),
        pictured=form.image is not False,
        black=read_rectangles(document, (*at, "black"), form.black),
        same=read_rectangles(document, (*at, "same"), form.same),
    )


def _image(form: ExampleForm) -> TestImage | None:
    """The picture that a test asks for, by its own key or by what it expects of it."""
    if form.image is True or (form.image is None and form.file is None and (form.black or form.same)):
        return TestImage(512, 512, 1, colour=False)
    if not isinstance(form.image, ImageForm):
        return None
    return TestImage(form.image.rows, form.image.columns, form.image.frames, form.image.colour)


def _given(document: Document[ProfileFile], form: ExampleForm, at: KeyPath) -> dict[str, GivenValue]:
    values: dict[str, GivenValue] = {}
    for name, value in form.given.items():
        if name not in EXTRA_NAMES:
            path = (*at, "given", name)
            _check_name(document, name, path)
            values[name] = _value(document, value, path)
    return values


def _sender(document: Document[ProfileFile], form: ExampleForm, at: KeyPath) -> dict[str, str]:
    sender: dict[str, str] = {}
    for name, value in form.given.items():
        if name in EXTRA_NAMES:
            if not isinstance(value, str):
                raise document.error(*at, "given", name, problem=f"{name} is a text")
            sender[name] = value
    return sender


def _expected(
    document: Document[ProfileFile], form: ExampleForm, at: KeyPath
) -> dict[str, str | tuple[str, ...] | None]:
    values: dict[str, str | tuple[str, ...] | None] = {}
    for name, value in form.expect.items():
        path = (*at, "expect", name)
        _check_name(document, name, path)
        if value is None:
            values[name] = None
        elif isinstance(value, list):
            values[name] = tuple(_scalar(document, one, (*path, number)) for number, one in enumerate(value))
        else:
            values[name] = _scalar(document, value, path)
    return values


def _check_name(document: Document[ProfileFile], name: str, path: KeyPath) -> None:
    try:
        target = parse_target(name)
    except ValueError as failed:
        raise document.error(*path, problem=str(failed)) from None
    if isinstance(target, PrivateElement) and target.offset is not None:
        return
    if isinstance(target, At) and "*" not in target.path and "**" not in target.path:
        return
    if not isinstance(target, int):
        raise document.error(*path, problem=f'"{name}" is not one element')


def _value(document: Document[ProfileFile], value: Any, path: KeyPath) -> GivenValue:
    if not isinstance(value, list):
        return _scalar(document, value, path)
    if value and all(isinstance(one, Mapping) for one in value):
        return tuple(_item(document, one, (*path, number)) for number, one in enumerate(value))
    return tuple(_scalar(document, one, (*path, number)) for number, one in enumerate(value))


def _item(document: Document[ProfileFile], item: Mapping[str, Any], path: KeyPath) -> dict[str, GivenValue]:
    values: dict[str, GivenValue] = {}
    for name, value in item.items():
        _check_name(document, name, (*path, name))
        values[name] = _value(document, value, (*path, name))
    return values


def _scalar(document: Document[ProfileFile], value: Any, path: KeyPath) -> str:
    """A text or a number as text. Truth values are refused: YAML reads some words as such."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise document.error(*path, problem="the value of an element is a text, a number, or a list of them")
    return repr(value)
