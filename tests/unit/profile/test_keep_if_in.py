"""keep-if-in: values that a file lists stay, others do not, and none stays that names somebody."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from gateway.deid import Deidentifier
from gateway.dicom.segments import copy_to
from gateway.errors import LeakSuspected, ProfileError
from gateway.profile import check_profile, load_profile
from gateway.profile.element import parse_element
from gateway.profile.explain import explain
from gateway.rehearsal.smallest_images import Smallest, smallest
from gateway.verify import Verifier
from tests.fixtures.treating import KEY, opened
from tests.unit.profile.writing import BASE, write

RULE = BASE + "attributes:\n- keep-if-in: {StudyDescription: list.txt, SeriesDescription: list.txt}\n  because: x\n"
LIST = "# what may stay\nROUTINE\n\nTórax PA\n"


def output(folder: Path, **values: str) -> pydicom.Dataset:
    """What becomes of a full CT with these values, verified."""
    using = load_profile(folder / "mine.yaml")
    dataset = next(one.dataset for one in smallest() if (one.kind, one.form) == ("CT", "full"))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    path = Smallest("CT", "full", dataset).write(folder)
    with opened(path) as instance, (folder / "out.dcm").open("wb") as file:
        made = Deidentifier(using, KEY).apply(instance)
        Verifier(using).check(instance, made.segments)
        copy_to(made.segments, file)
    return pydicom.dcmread(folder / "out.dcm")


@pytest.mark.parametrize(
    ("otherwise", "value", "left"),
    [
        ("", "ROUTINE", "ROUTINE"),  # listed
        ("", "Tórax PA", "Tórax PA"),  # listed, outside ASCII
        ("", "ROUTINE 2", None),  # only the whole value counts
        ("", "routine", None),  # and its case
        ("", "# what may stay", None),  # a remark lists nothing
        ("  otherwise: empty\n", "OTHER", ""),  # as the rule says
    ],
)
def test_what_stays(tmp_path: Path, otherwise: str, value: str, left: str | None) -> None:
    (tmp_path / "list.txt").write_text(LIST, encoding="utf-8")
    write(tmp_path, RULE + otherwise)
    assert output(tmp_path, StudyDescription=value).get("StudyDescription") == left


def test_a_list_does_not_vouch_for_a_name(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("GWCHECKFAMILIA\n", encoding="utf-8")
    write(tmp_path, RULE)
    with pytest.raises(LeakSuspected):
        output(tmp_path, StudyDescription="GWCHECKFAMILIA")


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        (None, "", "the list list.txt cannot be read"),  # no file
        ("# nothing\n", "", "the list list.txt is empty"),  # nothing in it
        ("x" * 65, "", "is no valid value for StudyDescription"),  # no value of the element
        ("\n".join(map(str, range(5001))), "", "more than 5000 values"),  # more than a value is compared with
        (LIST, "  otherwise: keep\n", "otherwise is remove, empty or hold"),  # then the list says nothing
        (LIST, "  keep: [Rows]\n", "a rule has one action"),  # it is an action
    ],
)
def test_what_is_wrong(tmp_path: Path, content: str | None, more: str, words: str) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_text(content, encoding="utf-8")
    with pytest.raises(ProfileError) as caught:
        load_profile(write(tmp_path, RULE + more))
    assert words in str(caught.value)


def test_what_is_said_of_it(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(LIST, encoding="utf-8")
    path = write(tmp_path, RULE)
    reason = explain(load_profile(path), parse_element("StudyDescription")).reasons[0]
    assert reason.words.startswith("stays where it is one of 2 listed values; for other values")
    assert (reason.place, check_profile(path).warnings) == (f"{path}:4", ())
    without = check_profile(write(tmp_path, RULE.replace("  because: x\n", ""))).warnings
    assert ["add because" in one.text for one in without] == [True, True]
