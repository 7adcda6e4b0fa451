"""What a profile makes of a file and of samples, element by element."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from gateway.deid import ProjectKey
from gateway.errors import InstanceError
from gateway.profile import Program, load_profile
from gateway.rehearsal.preview import Preview, Row, preview
from tests.fixtures.vouched import vouched_profile
from tests.fixtures.walkthrough import write_image


@pytest.fixture(scope="module")
def basic() -> Program:
    return load_profile("basic")


def rows(found: Preview) -> dict[str, Row]:
    return {row.element: row for row in found.rows}


@pytest.mark.parametrize(
    ("element", "before", "after", "changed", "verb"),
    [
        ("Modality", "CR", "CR", False, "keep"),  # no rule names it
        ("StudyDescription", "TORAX PA GARCIA", None, True, "remove"),  # gone
        ("StudyDate", "20240229", "", True, "empty"),  # emptied
        ("PatientIdentityRemoved", None, "YES", True, "insert"),  # written by the gateway
    ],
)
def test_rows(
    basic: Program, tmp_path: Path, element: str, before: str | None, after: str | None, changed: bool, verb: str
) -> None:
    write_image(tmp_path / "image.dcm")
    found = preview(basic, tmp_path / "image.dcm")
    assert found.state == "accepted"
    row = rows(found)[element]
    assert (row.before, row.after, row.changed, row.verb) == (before, after, changed, verb)
    assert (
        row.place.startswith(("profiles/basic.yaml:", "profiles/unlisted-attributes.yaml:")) or row.layer == "standard"
    )


def test_the_key_decides_the_pseudonym(basic: Program, tmp_path: Path) -> None:
    write_image(tmp_path / "image.dcm")
    found = [
        rows(preview(basic, tmp_path / "image.dcm", key=ProjectKey(bytes([number]) * 32)))["PatientID"].after
        for number in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


def test_the_sender_decides(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "profile: mine\nuse: [basic]\naccept:\n  - reject: source == 'pacs-2'\n    because: not from there\n"
    )
    write_image(tmp_path / "image.dcm")
    program = load_profile(tmp_path / "mine.yaml")
    assert preview(program, tmp_path / "image.dcm", sender={"source": "pacs-1"}).state == "accepted"
    found = preview(program, tmp_path / "image.dcm", sender={"source": "pacs-2"})
    assert (found.state, found.reason, found.rows) == ("rejected", "not from there", ())


def test_a_file_that_must_be_reencoded_leaves_nothing_behind(tmp_path: Path) -> None:
    original = Path(str(get_testdata_file("MR_small_bigendian.dcm")))
    path = tmp_path / "image.dcm"
    path.write_bytes(original.read_bytes())
    found = preview(load_profile(vouched_profile()), path)
    assert found.state == "accepted"
    assert rows(found)["PixelData"].changed is False
    assert list(tmp_path.iterdir()) == [path]


def test_a_kind_that_often_has_text_would_be_held(basic: Program) -> None:
    found = preview(basic, Path(str(get_testdata_file("US1_UNCR.dcm"))))
    assert (found.state, "ultrasound" in found.reason) == ("held", True)


def test_nested_elements_stand_below_their_sequence(basic: Program) -> None:
    found = preview(basic, Path(str(get_testdata_file("rtplan.dcm"))))
    names = [row.element for row in found.rows]
    inside = [name for name in names if "/" in name]
    assert inside
    for name in inside:
        sequence = name.rpartition("[")[0] if name.endswith("/") else name.rpartition("/")[0].rpartition("[")[0]
        assert names.index(sequence) < names.index(name)


def test_no_dicom_file(basic: Program, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InstanceError):
        preview(basic, tmp_path / "notes.txt")
