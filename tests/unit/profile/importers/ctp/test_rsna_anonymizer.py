"""Scripts of RSNA Anonymizer: the same rules mean another thing, and nothing is weaker."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.profile.importers.ctp import import_ctp
from gateway.profile.importers.ctp.rsna_anonymizer import in_ctp, is_dialect
from gateway.rehearsal.trial import check_by_trial
from tests.unit.profile.importers.ctp.support import apply, instance, item, load, shown

#: Tag and keyword, rule, value, and what the value becomes: None is gone, an empty text is empty, "*" another value.
ROWS = [
    ("00080005", "SpecificCharacterSet", "", "ISO_IR 100", "ISO_IR 100"),
    ("00080016", "SOPClassUID", "", None, "1.2.840.10008.5.1.4.1.1.2"),
    ("00080018", "SOPInstanceUID", "@uid", None, "*"),
    ("0020000D", "StudyInstanceUID", "@uid", None, "*"),
    ("0020000E", "SeriesInstanceUID", "@uid", None, "*"),
    # numbers of patients and examinations
    ("00100020", "PatientID", "@ptid", None, "*"),
    ("00100010", "PatientName", "@ptid", None, "*"),
    ("00080050", "AccessionNumber", "@acc", "A4711", "*"),
    # dates and ages
    ("00080020", "StudyDate", "@hashdate", "20240315", "*"),
    ("00101010", "PatientAge", "@round(this,5)", "047Y", "045Y"),
    # an empty rule keeps, also what the basic profile removes; @keep says the same
    ("00081030", "StudyDescription", "", "KNEE", "KNEE"),
    ("0008103E", "SeriesDescription", "@keep", "AXIAL", "AXIAL"),
    ("00080060", "Modality", "", "CT", "CT"),
    # emptied, removed
    ("00080090", "ReferringPhysicianName", "@empty()", "DOE^J", ""),
    ("00200010", "StudyID", "@empty", "77", ""),
    ("00180015", "BodyPartExamined", "@remove()", "KNEE", None),
    # a text that is no operation is left alone there, and written here
    ("00080080", "InstitutionName", "TRIAL", "St. Anne", "TRIAL"),
    # what has no rule goes
    ("", "SeriesNumber", "", "7", None),
    ("", "StationName", "", "CT01", None),
]


def script(*rows: str) -> str:
    rules = [f' <e en="T" t="{tag}" n="{name}">{rule}</e>' for tag, name, rule, *_ in ROWS if tag]
    return "\n".join(["<script>", *rules, *rows, ' <r en="T" t="privategroups">x</r>', "</script>"])


def given() -> Dataset:
    found = instance()
    for _tag, keyword, _rule, value, _expected in ROWS:
        if value is not None:
            setattr(found, keyword, value)
    # The same at every depth; a sequence without a rule goes with all that it holds.
    found.ReferencedImageSequence = [item(StudyDescription="KNEE")]
    found.RequestAttributesSequence = [item(StudyDescription="KNEE")]
    found.private_block(0x0019, "ACME", create=True).add_new(0x10, "LO", "secret")
    return found


def test_every_operation(tmp_path: Path) -> None:
    path = tmp_path / "own.script"
    # A rule that is switched off does not count: its element goes.
    delimiter = ' <e en="T" t="FFFEE000" n="Item"></e>'
    path.write_text(script(' <e en="F" t="00081010" n="StationName"></e>', delimiter), encoding="utf-8")
    imported = import_ctp(path, None, None, "imported")
    assert "of RSNA Anonymizer" in imported.not_carried[0].why
    source = given()
    before = {keyword: shown(source, keyword) for _tag, keyword, *_ in ROWS}
    output = apply(tmp_path, load(tmp_path, imported), source)
    for _tag, keyword, _rule, _value, expected in ROWS:
        found = shown(output, keyword)
        if expected == "*":
            assert found not in (None, "", before[keyword]), keyword
        else:
            assert found == expected, keyword
    assert "ReferencedImageSequence" not in output
    assert "RequestAttributesSequence" not in output
    assert not [element for element in output if element.tag.is_private]
    report = check_by_trial(tmp_path / "imported.yaml", search=[tmp_path])
    assert report.errors == ()


@pytest.mark.parametrize(
    ("scripts", "dialect"),
    [
        (["@remove()", "@uid"], True),
        (["", " @ptid "], True),
        (["@acc"], True),
        # CTP's own, also where it says nothing
        (["@remove()", "", "@hashuid(@UIDROOT,this)", "@hashdate(this,PatientID)"], False),
        (["see @uid below"], False),
        ([], False),
    ],
)
def test_it_is_told_from_a_script_of_ctp(scripts: list[str], dialect: bool) -> None:
    assert is_dialect(scripts) is dialect


@pytest.mark.parametrize(
    ("own", "ctp"),
    [("", "@keep()"), ("@keep", "@keep()"), ("@empty", "@empty()"), ("@remove", "@remove()"),
     ("@remove()", "@remove()"), ("@round(this,5)", "@round(this,5)"), ("YES", "YES")],
)  # fmt: skip
def test_in_ctp(own: str, ctp: str) -> None:
    assert in_ctp(own) == ctp
