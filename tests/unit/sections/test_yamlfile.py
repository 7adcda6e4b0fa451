"""gateway.sections.yamlfile: positions, suggestions and bounds."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, field_validator

from gateway.errors import ConfigurationError, ProfileError
from gateway.sections.yamlfile import MAXIMUM_BYTES, MAXIMUM_VALUES, load_yaml, read_yaml, suggestion


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Folder(BaseModel):
    type: Literal["folder"]
    path: str


class Web(BaseModel):
    type: Literal["dicomweb"]
    url: str
    timeout_seconds: float = 30


class Sub(BaseModel):
    port: int = 1
    level: Literal["debug", "info"] = "info"
    colour: Colour = Colour.RED
    password: SecretStr | None = None
    hyphen_ated: str = Field("", alias="hyphen-ated")

    @field_validator("port")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("the port is odd")
        return value


class Top(BaseModel):
    dicom: Sub | None = None
    names: list[str] = []
    projects: dict[str, Sub] = {}
    destinations: dict[str, Annotated[Folder | Web, Field(discriminator="type")]] = {}
    anything: Any = None
    flag: bool = False


def load(text: str, **options: Any) -> Top:
    return load_yaml(text, Top, error=ConfigurationError, name="gateway.yaml", **options)


def fails(text: str, **options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(text, **options)
    return caught.value


def test_whole_file() -> None:
    top = load(
        "dicom: {port: 104, level: debug, colour: green, hyphen-ated: x}\n"
        "names: [a, 'b', \"c\"]\n"
        "destinations:\n  one: {type: folder, path: /x}\n  two:\n    type: dicomweb\n    url: http://x\n"
    )
    assert top.dicom is not None
    assert (top.dicom.port, top.dicom.level, top.dicom.colour, top.dicom.hyphen_ated) == (104, "debug", "green", "x")
    assert top.names == ["a", "b", "c"]
    assert isinstance(top.destinations["one"], Folder)
    assert isinstance(top.destinations["two"], Web)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "\ufeff"])
def test_empty_file_is_all_defaults(text: str) -> None:
    assert load(text) == Top()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),  # YAML 1.1 would make it a boolean
        ("no", "no"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),  # YAML 1.1: sexagesimal 750
        ("2026-11-21", "2026-11-21"),  # YAML 1.1: a date
        ("010", 10),  # YAML 1.1: octal 8
        ("0x10", 16),
        ("0o10", 8),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.2.840.10008.1.2", "1.2.840.10008.1.2"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("1" * 5000, "1" * 5000),  # longer than what int() converts
        ("[&a {x: 1}, *a]", [{"x": 1}, {"x": 1}]),
    ],
)
def test_scalars_by_the_core_schema(text: str, value: object) -> None:
    found = load(f"anything: {text}\n").anything
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        # unknown keys at every kind of place, with the nearest right word
        ("dicon: {}\n", "1:1", 'unknown key "dicon"; did you mean "dicom"?'),
        ("dicom:\n  prot: 104\n", "2:3", 'unknown key "prot"; did you mean "port"?'),
        ("projects:\n  a:\n    levle: info\n", "3:5", 'did you mean "level"?'),
        ("dicom: {hyphen_ated: x}\n", "1:9", 'did you mean "hyphen-ated"?'),
        ("destinations:\n  a: {type: dicomweb, url: x, timeout: 1}\n", "2:31", 'did you mean "timeout_seconds"?'),
        ("zzz: 1\n", "1:1", 'unknown key "zzz"; possible: anything, destinations,'),
        # wrong values
        ("dicom:\n  port: abc\n", "2:9", "this should be a valid integer"),
        ("dicom:\n  port: 7\n", "2:9", "the port is odd"),
        ("dicom:\n  level: inof\n", "2:10", '"inof" is not allowed; did you mean "info"?'),
        ("dicom:\n  level: x\n", "2:10", '"x" is not allowed; possible: debug, info'),
        ("dicom:\n  colour: gren\n", "2:11", 'did you mean "green"?'),
        ("names: [a, 2]\n", "1:12", "this should be a valid string: write it in quotes"),
        ("names: a\n", "1:8", "this should be a valid list"),
        ("names:\n", "1:7", "there is no value"),
        ("[1, 2]\n", "1:1", "this should be a valid dictionary"),
        ("destinations:\n  a: {type: foldr, path: x}\n", "2:13", '"foldr" is not allowed; did you mean "folder"?'),
        ("destinations:\n  a: {path: x}\n", "2:6", 'the key "type" is missing'),
        ("destinations:\n  a: {type: folder}\n", "2:6", 'the key "path" is missing'),
        # syntax
        ("dicom: {}\ndicom: {}\n", "2:1", 'the key "dicom" stands here a second time; the first is in line 1'),
        ("dicom:\n\tport: 1\n", "2:1", "indented by spaces, not by tabs"),
        ("dicom:\n  port: 104\n level: info\n", "3:2", "check its indentation against line 1"),
        ("dicom: port: 1\n", "1:12", "check the indentation"),
        ("names: [a\n", "2:1", "begins in line 1"),
        ("names: *nowhere\n", "1:8", "undefined alias"),
        ("a: 1\n---\nb: 1\n", "2:1", "another document"),
        ("anything: !!python/object:os.system x\n", "1:11", "tags are not allowed"),
        ("anything: !secret x\n", "1:11", "tags are not allowed"),
        ("anything: !!set {a, b}\n", "1:11", "tags are not allowed"),
        ("anything: {<<: {a: 1}}\n", "1:12", "merge keys"),
        ("anything: {[a]: 1}\n", "1:12", "a key is a word"),
        ("anything: &a [*a]\n", "1:11", "an alias contains itself"),
        ("anything: \x07\n", "1:11", "the character U+0007 is not allowed"),
    ],
)
def test_errors_have_place_and_reason(text: str, place: str, words: str) -> None:
    error = fails(text)
    assert error.facts["place"] == f"gateway.yaml:{place}"
    assert words in str(error)


def test_error_shows_the_line_and_points_at_the_column() -> None:
    error = fails("dicom:\n  prot: 104  # the usual\n")
    assert str(error).endswith("| prot: 104 # the usual")
    assert error.facts["excerpt"] == "  prot: 104  # the usual\n  ^"
    assert (error.facts["line"], error.facts["column"]) == (2, 3)


def test_all_problems_are_reported_in_order() -> None:
    text = str(fails("names: 1\ndicom:\n  prot: 1\n  level: x\n"))
    assert (
        text.index("valid list") < text.index('line 3, column 3: unknown key "prot"') < text.index("line 4, column 10")
    )


def test_many_problems_are_counted() -> None:
    assert "and 15 more" in str(fails("names: [" + ", ".join("1" for _ in range(25)) + "]\n"))


@pytest.mark.parametrize(
    "text",
    [
        "dicom:\n  password: hunter2\n  password: hunter2\n",  # the excerpt shows the second line
        "dicom: {password: hunter2, prot: 1}\n",
        "dicom:\n  password: [hunter2]\n",
        "dicom: {level: info, url: 'https://me:hunter2@host/', prot: 1}\n",
        "dicom: {api_token: hunter2}\n",
    ],
)
def test_secrets_are_not_shown(text: str) -> None:
    error = fails(text)
    assert "hunter2" not in str(error) + str(error.facts)
    assert "***" in str(error)


def test_nothing_is_replaced_by_the_environment() -> None:
    assert load("names: ['${PORT}']\n").names == ["${PORT}"]


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfnames: [\xc3\xa9]\n")
    assert load_yaml(path, Top, error=ProfileError).names == ["é"]
    path.write_bytes(b"names:\n  - a\xff\n")
    with pytest.raises(ProfileError) as caught:
        load_yaml(path, Top, error=ProfileError)
    assert str(caught.value) == f"{path}:2:6: the file is not UTF-8 text here"
    with pytest.raises(ProfileError, match="the file cannot be read: No such file"):
        load_yaml(tmp_path / "none.yaml", Top, error=ProfileError)
    with pytest.raises(ProfileError, match="the file cannot be read: Is a directory"):
        load_yaml(tmp_path, Top, error=ProfileError)


def test_bounds(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_bytes(b"#" * (MAXIMUM_BYTES + 1))
    with pytest.raises(ProfileError, match="longer than"):
        load_yaml(path, Top, error=ProfileError)
    assert "longer than" in str(fails("#" * (MAXIMUM_BYTES + 1)))
    assert "nested too deeply" in str(fails("anything: " + "[" * 80 + "]" * 80))
    assert "nested too deeply" in str(fails("anything: " + "[" * 20000 + "]" * 20000))
    levels = "".join(f"  - &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    assert f"more than {MAXIMUM_VALUES} values" in str(fails("anything:\n  - &l0 [1]\n" + levels))


#: Pieces of YAML that meet in ways nobody thought of.
PIECES = ["dicom", "names", ": ", ":", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "&a ", "*a", "!!int ", "|\n",
          ">-", "'", '"', "#", "---", "...", "? ", "%", "@", "\\x", "${A}", "<<", "\x00", "\ud800", "é"]  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_whatever_is_read_fails_as_it_should_or_fits(text: str) -> None:
    try:
        found: Top | ConfigurationError = load(text)
    except ConfigurationError as error:
        found = error
    assert isinstance(found, Top) or str(found.facts["place"]).startswith("gateway.yaml:")


def test_document_remembers_places() -> None:
    document = read_yaml(
        "dicom:\n  port: 104\nnames:\n  - a\n  - b\n", Top, error=ConfigurationError, name="gateway.yaml"
    )
    assert str(document.place("names", 1)) == "gateway.yaml:5:5"
    assert str(document.place("dicom", "level")) == "gateway.yaml:2:3"  # not written: the nearest place around it
    error = document.error("names", 1, problem='there is no project "b"', word="b", words=["bb", "c"])
    assert isinstance(error, ConfigurationError)
    assert str(error) == 'gateway.yaml:5:5: there is no project "b"; did you mean "bb"? | - b'


@pytest.mark.parametrize(
    ("word", "words", "expected"),
    [
        ("patientname", ["PatientName", "PatientID"], '; did you mean "PatientName"?'),
        ("zzz", ["PatientName"], ""),
        ("", ["PatientName"], ""),
        ("x", [], ""),
    ],
)
def test_suggestion(word: str, words: list[str], expected: str) -> None:
    assert suggestion(word, words) == expected
