"""The standard in DocBook becomes the tables that the generators read, and the editions are what the files say."""

from __future__ import annotations

import csv
import importlib.machinery
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from types import ModuleType

import pytest

from gateway.profile.safe_private import edition as edition_of_safe_private
from gateway.profile.table import edition

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "scorer" / "data"
#: Heads as the standard has them.
FACTS = ["Attribute Name", "Tag", "Retd. (from PS3.6)", "In Std. Comp. IOD (from PS3.3)"]
OPTIONS = ["Basic Prof.", "Rtn. Safe Priv. Opt.", "Rtn. UIDs Opt.", "Rtn. Dev. Id. Opt.", "Rtn. Inst. Id. Opt.",
           "Rtn. Pat. Chars. Opt.", "Rtn. Long. Full Dates Opt.", "Rtn. Long. Modif. Dates Opt.", "Clean Desc. Opt.",
           "Clean Struct. Cont. Opt.", "Clean Graph. Opt."]  # fmt: skip


def script(name: str) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(ROOT / "scripts" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = made
    loader.exec_module(made)
    return made


FETCH = script("fetch-standard")
GENERATE = script("generate")


def table(label: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as the standard's DocBook has it."""

    def cells(kind: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{kind} align="left" colspan="1" rowspan="1"><para>{escape(one)}</para></{kind}>' for one in row
        )

    body = "".join(f'<tr valign="top">{cells("td", row)}</tr>' for row in rows)
    return (
        f'<table frame="box" label="{label}" rules="all" xml:id="table_{label.replace(" ", "_")}"><caption>x</caption>'
        f"<thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"
    )


def book(part: str, name: str, *tables: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><book xmlns="http://docbook.org/ns/docbook" '
        'xmlns:xml="http://www.w3.org/XML/1998/namespace">'
        f"<title>PS{part}</title><subtitle>DICOM PS{part} {name} - A title</subtitle>"
        f"<chapter>{''.join(tables)}</chapter></book>"
    ).encode()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def annex_e() -> bytes:
    attributes = rows_of(KEPT / "ps3.15-e.1-1.csv")
    options = list(attributes[0])[5:]
    items = rows_of(KEPT / "ps3.15-e.3.4-1.csv")
    of_items = list(items[0])[5:]
    heads = dict(zip(options, OPTIONS, strict=True))
    longer = {"retain_device_identity": "retain_device", "retain_institution_identity": "retain_institution",
              "retain_patient_characteristics": "retain_patient_chars",
              "retain_longitudinal_full_dates": "retain_long_full_dates",
              "retain_longitudinal_modified_dates": "retain_long_modified_dates"}  # fmt: skip
    return book(
        "3.15",
        "2026d",
        table("E.1-1", [*FACTS, *OPTIONS],
              [[row["name"], row["tag"], row["retired"], row["in_std_iod"], *(row[one] for one in options)]
               for row in attributes]),
        table("E.3.4-1", ["Code Meaning", "Code Value", "Coding Scheme Designator", "VT", "Retd.",
                          *(heads[longer.get(one, one)] if one != "basic" else heads["basic"] for one in of_items)],
              [[row["meaning"], row["code"], row["scheme"], row["value_type"], row["retired"],
                *(row[one] for one in of_items)] for row in items]),
        table("E.3.10-1", ["Data Element", "Private Creator", "VR", "VM", "Meaning"],
              [[f"({row['Group']},{row['Element']})", row["Private Creator"], row["VR"], row["VM"], row["Meaning"]]
               for row in rows_of(KEPT / "ps3.15-e.3.10-1.csv")]),
    )  # fmt: skip


def test_annex_e_becomes_the_tables_of_the_generators(tmp_path: Path) -> None:
    (tmp_path / "part15.xml").write_bytes(annex_e())
    command = [
        sys.executable,
        str(ROOT / "scripts" / "fetch-standard"),
        str(tmp_path),
        "--output",
        str(tmp_path / "made"),
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.count("PS3.15 2026d: ") == 3
    for path in sorted((tmp_path / "made" / "2026d").iterdir()):
        assert rows_of(path) == rows_of(KEPT / path.name), path.name


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        # a keyword and a UID with places where a line may break; what is retired, and what is not
        (book("3.6", "2026d",
              table("6-1", ["Tag", "Name", "Keyword", "VR", "VM", ""],
                    [["(0008,0001)", "Length to End", "Length\u200bTo\u200bEnd", "UL", "1", "RET (2000)"],
                     ["(0010,0010)", "Patient's Name", "Patient\u200bName", "PN", "1", ""]]),
              table("7-1", ["Tag", "Name", "Keyword", "VR", "VM", ""], []),
              table("8-1", ["Tag", "Name", "Keyword", "VR", "VM", ""], []),
              table("A-1", ["UID Value", "UID Name", "UID Keyword", "UID Type", "Part"],
                    [["1.2.840.\u200b10008.1.1", "Verification", "Verification", "SOP Class", "PS3.4"]])),
         "data-elements.csv", [["(0008,0001)", "Length to End", "LengthToEnd", "UL", "1", "Y"],
                               ["(0010,0010)", "Patient's Name", "PatientName", "PN", "1", "N"]]),
        # a context group, with what it includes of another
        (book("3.16", "2026d",
              table("CID 7050", ["Coding Scheme Designator", "Code Value", "Code Meaning"],
                    [["DCM", "113100", "Basic Profile"], ["Include CID 1", "", ""]]),
              table("TID 1500", ["NL", "Concept"], [["1", "x"]])),
         "context-groups.csv", [["7050", "DCM", "113100", "Basic Profile"]]),
        # attributes at two depths
        (book("3.3", "2026d",
              table("C.7-1", ["Attribute Name", "Tag", "Type", "Attribute Description"],
                    [["Patient's Name", "(0010,0010)", "2", "x"], ["Include Table 10-11", "", "", ""],
                     [">Referenced SOP Class UID", "(0008,1150)", "1", "x"]])),
         "attributes.csv", [["C.7-1", "x", "0", "Patient's Name", "(0010,0010)", "2"],
                            ["C.7-1", "x", "1", "Referenced SOP Class UID", "(0008,1150)", "1"]]),
    ],
)  # fmt: skip
def test_other_parts(tmp_path: Path, content: bytes, name: str, expected: list[list[str]]) -> None:
    paths = FETCH.write(FETCH.read(content), tmp_path)
    (path,) = (one for one in paths if one.name == name)
    assert [list(row.values()) for row in rows_of(path)] == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html/>", "no part of the standard"),
        (book("3.15", "of today"), "which part and edition"),
        (book("3.5", "2026d"), "none of the parts"),
        (book("3.15", "2026d"), "has no table E.1-1"),
        (book("3.15", "2026d", table("E.1-1", ["Name", "Tag", "Retd.", "Std."], [])), "no column for the Basic"),
        (book("3.15", "2026d", table("E.1-1", ["Name", *OPTIONS], [])), "no column with tag"),
    ],
)
def test_what_is_not_as_expected_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(SystemExit, match=problem):
        FETCH.write(FETCH.read(content), tmp_path)


def test_every_generator_is_known() -> None:
    scripts = {path.name.removeprefix("generate-") for path in (ROOT / "scripts").glob("generate-*")}
    assert scripts == {*GENERATE.GENERATORS, *GENERATE.APART}
    assert not set(GENERATE.GENERATORS) & set(GENERATE.APART)


def test_what_would_change_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With tables of another edition, of which one element is gone."""
    folder = tmp_path / "2027a"
    folder.mkdir()
    text = (KEPT / "ps3.15-e.3.10-1.csv").read_text(encoding="utf-8")
    (folder / "ps3.15-e.3.10-1.csv").write_text("".join(text.splitlines(keepends=True)[:-1]), encoding="utf-8")
    (folder / "uids.csv").write_text("value\n1.2.840.10008.1.1\n1.2.840.10008.99.1\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["generate", "safe-private", "--check", "--standard", str(folder)])
    assert GENERATE.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "gateway/dicom/data/uids.csv lacks 1 of uids.csv, such as 1.2.840.10008.99.1",
        "would change: gateway/profile/data/e3-10-1.csv",
        "1 generators: 1 files would change",
    ]


def test_editions_are_told_as_they_are() -> None:
    """The kept sources, the shipped tables, the layer that uses the table and the pages agree."""
    assert edition() == GENERATE.SOURCES["attribute-table"][1]
    assert edition_of_safe_private() == GENERATE.SOURCES["safe-private"][1]
    layer = (ROOT / "profiles" / "retain-safe-private.yaml").read_text(encoding="utf-8")
    coverage = (ROOT / "docs" / "reference" / "ps3.15-coverage.md").read_text(encoding="utf-8")
    for text in (" ".join(layer.replace("\n# ", " ").split()), coverage):
        assert f"Table E.3.10-1, edition {edition_of_safe_private()}" in text
        assert f"edition {edition()}" in text
