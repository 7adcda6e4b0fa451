"""gateway.profile.condition: CEL on the values of an instance."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from typing import Any

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigurationError, ProfileError, RuleFailed
from gateway.profile import Condition

VALUES: dict[str, Any] = {
    "Modality": "CT",
    "Manufacturer": "GE MEDICAL SYSTEMS",
    "Rows": 512,
    "SliceThickness": 2.5,
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "PatientID": None,
    "StudyDescription": "",
    "called_ae": "RESEARCH",
    "RequestAttributesSequence": True,
    "RequestAttributesSequence/ScheduledProcedureStepID": ["A1", "A2"],
}


def compiled(text: str) -> Condition:
    return Condition.compile(text, place="p.yaml:3:5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Modality in ["CT", "MR"]', True),
        ('!(Modality in ["SR", "PR", "KO"])', True),
        ('Modality == "MR"', False),
        ('Manufacturer.startsWith("GE") && Rows == 512', True),
        ('Manufacturer.contains("SIEMENS") || SliceThickness < 3.0', True),
        ('Manufacturer.matches("^GE\\\\b")', True),
        ('called_ae == "RESEARCH"', True),
        # lists: values of multiplicity 2 and more
        ('"PRIMARY" in ImageType', True),
        ('ImageType.exists(v, v == "DERIVED")', False),
        ("size(ImageType) == 3", True),
        ('ImageType[0] == "ORIGINAL"', True),
        # what is missing, or None, is empty
        ('BodyPartExamined == ""', True),
        ('PatientID == ""', True),
        ('source == ""', True),
        # presence
        ('present("Rows")', True),
        ("present('Rows')", True),
        ('present("StudyDescription")', False),  # there, but empty
        ('present("BodyPartExamined")', False),
        ('present("Columns") && Columns > 100', False),
        ('!present("Columns") || Columns > 100', True),
        ('present("RequestAttributesSequence")', True),
        ('present("PixelData")', False),
        # items of sequences
        ('"A2" in items("RequestAttributesSequence", "ScheduledProcedureStepID")', True),
        ("items('RequestAttributesSequence', 'ScheduledProcedureStepID').exists(x, x.startsWith('B'))", False),
        ('size(items("RequestAttributesSequence", "ScheduledProcedureStepID")) == 2', True),
        # types do not mix by accident
        ('Rows == "512"', False),
        ('string(Rows) == "512"', True),
        ('int("7") == 7 && double("1.5") == 1.5', True),
        ("Rows > 100 ? true : false", True),
        # text in quotes is no name
        ('StudyDescription != "Patientname.exists(x, y)"', True),
        # the order does not matter: an error is absorbed by what decides without it
        ('Columns > 100 || Modality == "CT"', True),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    condition = compiled(text)
    assert condition.evaluate(VALUES) is expected
    assert pickle.loads(pickle.dumps(condition)).evaluate(VALUES) is expected


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ('Modality == "CT" && Rows > 1', {"Modality", "Rows"}),
        ('present("Columns")', {"Columns"}),
        ('ImageType.exists(v, v == "X")', {"ImageType"}),
        ('called_ae == "X" || calling_ae == source || route == ""', {"called_ae", "calling_ae", "source", "route"}),
        ('"A" in items("DeviceSequence", "Manufacturer")', {"DeviceSequence/Manufacturer"}),
        ("true", set()),
    ],
)
def test_keywords(text: str, keywords: set[str]) -> None:
    assert compiled(text).keywords == keywords


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Modalty == 'CT'", 'uses "Modalty", which is no attribute; did you mean "Modality"?'),
        ("caled_ae == 'X'", 'did you mean "called_ae"?'),
        ('present("Modalty")', 'did you mean "Modality"?'),
        ("ImageType.exists(v, w == 'X')", 'uses "w"'),
        ('"A" in items("DeviceSequnce", "Manufacturer")', 'did you mean "DeviceSequence"?'),
        ('"A" in items("DeviceSequence", "Manufactrer")', 'did you mean "Manufacturer"?'),
        ('"A" in items("Modality", "Manufacturer")', "lists items of Modality, which has VR CS"),
        ('"A" in items("DeviceSequence", "PixelData")', "lists PixelData, but VR OB or OW has no text"),
        ('DeviceSequence == ""', 'but VR SQ has no values to compare: use items("DeviceSequence", "...")'),
        ("size(PixelData) > 1", 'has no values to compare: use present("PixelData")'),
        ("Modality.startWith('C')", 'unknown function "startWith"; did you mean "startsWith"?'),
        ("timestamp('2026-01-01T00:00:00Z') == 1", 'unknown function "timestamp"'),
        ("Modality = 'CT'", "wrong at character 10: token recognition error at: '= '; equality is written =="),
        ("Modality == 'CT' and true", "CEL writes && for and"),
        ("Modality ==", "wrong at character 12"),
        ("Modality ==\n  'CT' ||\n", "wrong at line 3, character 1"),
        ("", "wrong at character 1"),
        ("__import__('os')", 'unknown function "__import__"'),
        ("(" * 200 + "true" + ")" * 200, "Recursion limit"),
        ("true" + " || true" * 1000, "longer than 4096 characters"),
    ],
)
def test_wrong_conditions(text: str, words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        compiled(text)
    assert str(caught.value).startswith("p.yaml:3:5: the condition ")
    assert words in str(caught.value)


def test_the_error_is_the_callers() -> None:
    with pytest.raises(ConfigurationError):
        Condition.compile("Modalty == 1", place="gateway.yaml:1:1", error=ConfigurationError)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Rows / 0 == 1", "division by zero"),
        ("Rows + 9223372036854775807 > 1", "a number is too large"),
        ("Columns > 100", "does not suit the types"),  # missing reads as ""
        ("(Modality) > 3 && Rows == 512", "does not suit the types"),
        ('ImageType[7] == "X"', "outside its list"),
        ('{"a": 1}["b"] == 1', "not in its map"),
        ('"PRIMARY" in (Modality)', "does not suit the types"),
        ("int(Manufacturer) == 1", "cannot be evaluated"),
        ('Manufacturer.matches("(")', "cannot be evaluated"),
        ("Modality", "neither true nor false"),
        ("Rows", "neither true nor false"),
        ('(ImageType).startsWith("O")', "cannot be evaluated"),
        # values that nobody has gathered are an error, never "none"
        ('"A" in items("DeviceSequence", "Manufacturer")', "cannot be evaluated"),
        ('"A" in items("RequestAttributesSequence", Modality)', "cannot be evaluated"),
        ("present(Modality)", "cannot be evaluated"),  # only names that are written down
    ],
)
def test_failures_hold_and_do_not_tell_values(text: str, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(RuleFailed) as caught:
        compiled(text).evaluate(VALUES)
    assert caught.value.facts["where"] == "the condition at p.yaml:3:5"
    assert reason in str(caught.value)
    assert caught.value.__cause__ is None
    for value in ("GE", "512", "CT", "ORIGINAL"):
        assert value not in str(caught.value) + caplog.text


def test_a_panic_of_the_library_fails_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """What pyo3 raises; it cannot be provoked on purpose."""

    class Program:
        def functions(self) -> list[str]:
            return []

        def execute(self, context: object) -> bool:
            raise PanicException("512")

    condition = compiled("Rows == 512")
    monkeypatch.setattr(condition, "_program", Program())
    with pytest.raises(RuleFailed, match="cannot be evaluated"):
        condition.evaluate(VALUES)


def test_interruption_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Program:
        def execute(self, context: object) -> bool:
            raise KeyboardInterrupt

    condition = compiled("Rows == 512")
    monkeypatch.setattr(condition, "_program", Program())
    with pytest.raises(KeyboardInterrupt):
        condition.evaluate(VALUES)


#: Pieces of CEL that meet in ways nobody thought of.
PIECES = ["Rows", "Modality", "ImageType", "x", " == ", " && ", " || ", "!", "(", ")", "[", "]", "{", "}", ".", ",",
          "?", ":", ".exists(", ".map(", "size(", "present(", "int(", "'", '"', "\\", "-", " / ", "1", "0", "1.5",
          "1u", "b'", " in ", "true", "null", "has(", "\n", "é", "\x00"]  # fmt: skip


@settings(deadline=None, max_examples=600)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_whatever_is_compiled_decides_or_fails_as_it_should(text: str) -> None:
    try:
        condition = compiled(text)
    except ProfileError:
        return
    try:
        decided: bool | RuleFailed = condition.evaluate(VALUES)
    except RuleFailed as error:
        decided = error
    assert isinstance(decided, bool) or "GE" not in str(decided)


def test_regular_expressions_take_linear_time() -> None:
    # A backtracking engine would not return from this one.
    assert compiled('Manufacturer.matches("^(a+)+$")').evaluate({"Manufacturer": "a" * 50_000 + "b"}) is False


def test_the_library_has_no_functions_that_reach_outside() -> None:
    # What a rule may call is a closed list; this pins the names the library would offer beyond it.
    for function in ("open", "env", "now", "uuid", "random"):
        with pytest.raises(RuntimeError):
            cel.evaluate(f'{function}("x")')


def test_the_engine_comes_without_its_command_line() -> None:
    """Each process of the gateway and each command would wait for it and keep it in memory."""
    listing = "import gateway.profile, sys; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout
    assert "'cel'" in loaded
    assert "prompt_toolkit" not in loaded
