"""gateway.profile.table and the shipped basic profile against Table E.1-1, read here independently."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from gateway.dicom.dictionary import entry, tag_of
from gateway.profile import Program, Technical, Verb, load_profile, shipped_profiles, unlisted
from gateway.profile.methods import METHODS
from gateway.profile.table import VERB_OF_CODE, edition, row_of, rows

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "tests" / "scorer" / "data" / "ps3.15-e.1-1.csv"
TABLE = list(csv.DictReader(SOURCE.read_text(encoding="utf-8").splitlines()))

#: The codes of Table E.1-1a in words, written here by hand.
WORDS = {
    "X": "remove",
    "Z": "empty",
    "D": "dummy",
    "U": "hash-uid",
    "X/Z": "remove-or-empty",
    "X/D": "remove-or-dummy",
    "Z/D": "empty-or-dummy",
    "X/Z/D": "remove-or-empty-or-dummy",
    "X/Z/U*": "remove-or-empty-or-hash-uid",
}


def tags_of(text: str) -> list[int]:
    """Tags that a row is about: the one, or some of each end of a pattern."""
    if text.startswith("(gggg"):
        return [0x00090010, 0x00091001, 0x00191002, 0x60013000, 0x50011000, 0x7FE10010]
    group, element = text.strip("()").split(",")
    groups = [group.replace("xx", f"{number:02X}") for number in (0x00, 0x02, 0x1E, 0xFE)] if "x" in group else [group]
    elements = ["0005", "0010", "3000", "FFFE"] if element == "xxxx" else [element]
    return [int(one + two, 16) for one in groups for two in elements]


@pytest.fixture(scope="module")
def basic() -> Program:
    return load_profile("basic")


def test_the_table_is_whole() -> None:
    assert len(TABLE) == 657
    assert edition() == "2026d"
    assert len(rows()) == 657


def test_basic_does_what_the_basic_column_says(basic: Program) -> None:
    wrong = []
    for row in TABLE:
        for tag in tags_of(row["tag"]):
            action = basic.action(tag)
            origin = (action.origin.layer, action.origin.clause)
            if action.verb != WORDS[row["basic"]] or origin != ("basic", "PS3.15 Table E.1-1"):
                wrong.append((f"{tag:08X}", row["keyword"], row["basic"], action))
    assert wrong == []


def test_rows_agree_in_every_column() -> None:
    facts = ("tag", "name", "keyword", "retired", "in_std_iod")
    for row in TABLE:
        for tag in tags_of(row["tag"]):
            found = row_of(tag)
            assert found is not None, row
            assert found.keyword == row["keyword"]
            assert (found.retired, found.in_standard_iod) == (row["retired"] == "Y", row["in_std_iod"] == "Y"), row
            assert found.codes == {column: code for column, code in row.items() if column not in facts and code}
            assert found.verb("basic") == WORDS[row["basic"]]
            assert found.verb("no such column") is None


def test_the_dictionary_knows_every_attribute() -> None:
    single = [row for row in TABLE if "x" not in row["tag"] and "g" not in row["tag"]]
    assert len(single) == 653
    for row in single:
        found = entry(int(re.sub(r"[(),]", "", row["tag"]), 16))
        assert found is not None, row
        assert found.keyword == row["keyword"]
        # Hashing applies to UIDs alone.
        assert row["basic"] != "U" or found.vr == "UI", row
        assert row["keyword"].removesuffix("Trial").endswith("Sequence") == (found.vr == "SQ"), row


def test_unlisted_tags_have_no_row() -> None:
    assert row_of(0x00280010) is None
    assert row_of(0x60000010) is None


def test_verbs_of_codes() -> None:
    assert {**WORDS, "K": "keep", "C": "clean"} == VERB_OF_CODE


@pytest.mark.parametrize(
    ("keyword", "verb"),
    [
        # instance UIDs
        ("AssertionUID", Verb.HASH_UID),
        ("MultiFrameSourceSOPInstanceUID", Verb.HASH_UID),
        # class UIDs
        ("ReferencedSOPClassUID", Verb.HASH_UID),
        ("CodingSchemeUID", Verb.HASH_UID),
        # people, dates, addresses in the source's systems
        ("EvaluatorName", Verb.REMOVE_OR_EMPTY_OR_DUMMY),
        ("SecondaryReviewDate", Verb.REMOVE_OR_EMPTY_OR_DUMMY),
        ("RetrieveURL", Verb.REMOVE),
        ("CodingSchemeURL", Verb.REMOVE),
        # text, terms and identifiers: gateway/profile/data/unlisted.csv
        ("ContentDescription", Verb.CLEAN),
        ("SequenceName", Verb.KEEP),
        ("DeviceID", Verb.REMOVE_OR_EMPTY_OR_DUMMY),
    ],
)
def test_basic_goes_beyond_the_table(basic: Program, keyword: str, verb: Verb) -> None:
    tag = tag_of(keyword)
    assert tag is not None
    assert basic.action(tag).verb is verb


def test_basic_weakens_nothing(basic: Program) -> None:
    listed = {tag for row in TABLE for tag in tags_of(row["tag"])}
    beyond = [(tag, action) for tag, action in basic.actions.items() if tag not in listed]
    assert all(action.because and action.origin.layer == "unlisted-attributes" for _, action in beyond)
    kept = {tag for tag, action in beyond if action.verb is Verb.KEEP and action.options != Technical()}
    assert kept == {0x00080005}
    # Codes are treated by code of their own, creators are no text.
    rest = {tag for tag in unlisted.rows() if tag not in basic.actions}
    assert {unlisted.groups()[unlisted.rows()[tag]].kind for tag in rest} == {"code"}
    # Nothing of an overlay plane stays without its data.
    assert basic.action(0x60000010).verb is Verb.REMOVE
    assert basic.action(0x60021500).verb is Verb.REMOVE
    assert len([pattern for pattern in basic.patterns if pattern.action.origin.layer == "basic"]) == 4


def test_basic_in_general(basic: Program) -> None:
    assert (basic.profile, basic.version, basic.dates) == ("basic", "2026d", "REMOVED")
    assert [(code.value, code.scheme, code.meaning) for code in basic.codes] == [
        ("113100", "DCM", "Basic Application Confidentiality Profile")
    ]
    assert basic.identity.patient_format == "{base32:16}"
    assert basic.private.verb is Verb.REMOVE
    assert basic.unknown.verb is Verb.REMOVE
    assert basic.unlisted.verb is Verb.KEEP
    assert basic.action(0x00280010).origin.layer == "basic"


def test_basic_leads_to_its_lines(basic: Program) -> None:
    lines = {
        layer: (shipped_profiles() / f"{layer}.yaml").read_text(encoding="utf-8").splitlines()
        for layer in ("basic", "unlisted-attributes")
    }
    for tag, action in basic.actions.items():
        known = entry(tag)
        assert known is not None
        line = lines[action.origin.layer][action.origin.line - 1] + " "
        assert f"- {known.keyword} " in line or f"- VR:{known.vr} " in line


def test_basic_is_readable() -> None:
    text = (shipped_profiles() / "basic.yaml").read_text(encoding="utf-8")
    for block in re.split(r"\n  - |\n\n", text):
        keywords = re.findall(r"^      - ([A-Z]\w+) ", block, re.MULTILINE)
        assert keywords == sorted(keywords)
    assert max(len(line) for line in text.splitlines()) <= 120
    for row in TABLE:
        if "g" not in row["tag"]:
            assert row["tag"] in text


@pytest.mark.parametrize(
    ("script", "arguments", "shipped"),
    [
        ("generate-attribute-table", [str(SOURCE), "2026d"], Path(str(files("gateway.profile"))) / "data" / "e1-1.csv"),
        ("generate-deidentification-methods", [], Path(str(files("gateway.profile"))) / "data" / "cid-7050.csv"),
        ("generate-profiles", [], shipped_profiles() / "basic.yaml"),
    ],
)
def test_files_are_what_the_generators_write(script: str, arguments: list[str], shipped: Path, tmp_path: Path) -> None:
    target = tmp_path if script == "generate-profiles" else tmp_path / shipped.name
    command = [sys.executable, str(ROOT / "scripts" / script), *arguments, str(target)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    written = sorted(tmp_path.iterdir())
    assert tmp_path / shipped.name in written
    for path in written:
        assert path.read_bytes() == (shipped.parent / path.name).read_bytes(), path.name


def test_methods_are_those_of_cid_7050() -> None:
    assert sorted(METHODS) == [str(value) for value in range(113100, 113113)]
    assert METHODS["113110"].meaning == "Retain UIDs Option"
    assert {code.scheme for code in METHODS.values()} == {"DCM"}
    # Long String: at most 64 characters each.
    assert max(len(code.meaning) for code in METHODS.values()) <= 64
