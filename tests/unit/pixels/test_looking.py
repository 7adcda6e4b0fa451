"""What a profile does about text in images, kind by kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.extras import ocr
from gateway.pixels.looking import Fate, in_lines, kinds, unlooked, unlooked_in_words
from gateway.profile import load_profile
from gateway.profile.check import check_profile
from tests.fixtures.treating import program

EXAMPLES = ("chest-radiographs", "full-dates-cohort", "research-default", "share-with-industry")
LOOK = "find-text: {scan: sampled}"


@pytest.mark.parametrize(
    ("rules", "modality", "fate"),
    [
        ("", "CR", Fate.UNLOOKED),
        ("", "US", Fate.HELD),
        ("pixels:\n  - find-text: {}\n", "CT", Fate.SEARCHED),
        (f"pixels:\n  - {LOOK}\n", "MR", Fate.SAMPLED),
        (f"pixels:\n  - {LOOK}\n", "DX", Fate.SEARCHED),
        ("pixels:\n  - find-text: {scan: risky}\n", "CR", Fate.UNLOOKED),
        ("pixels:\n  - find-text: {scan: risky}\n", "US", Fate.SEARCHED),
        # conditions about the kind decide, those about a device do not
        (f'pixels:\n  - {LOOK}\n    when: Modality in ["CR", "US"]\n', "CR", Fate.SEARCHED),
        (f'pixels:\n  - {LOOK}\n    when: Modality in ["CR", "US"]\n', "CT", Fate.UNLOOKED),
        (f'pixels:\n  - {LOOK}\n    when: Manufacturer.startsWith("GE")\n', "CR", Fate.UNLOOKED),
        (f"pixels:\n  - {LOOK}\n    when: Rows > 100\n", "CR", Fate.UNLOOKED),
        ('pixels:\n  - mask: [[0, 0, 1, 1]]\n    when: Modality == "XA"\n', "XA", Fate.BY_RULE),
        ("pixels:\n  - pass: true\n    because: phantoms\n", "US", Fate.DECLARED),
        ("pixels:\n  - hold: true\n    because: new\n", "CR", Fate.HELD),
        (f'accept:\n  - reject: Modality == "CR"\n    because: no\npixels:\n  - {LOOK}\n', "CR", Fate.REJECTED),
        ('accept:\n  - hold: Modality == "CR"\n    because: no\n', "CR", Fate.HELD),
    ],
)
def test_fates(tmp_path: Path, rules: str, modality: str, fate: Fate) -> None:
    assert {kind.fate for kind in kinds(program(tmp_path, rules)) if kind.modality == modality} == {fate}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_look_at_everything(name: str) -> None:
    """With the extra installed; what they do not take is rejected."""
    assert unlooked(load_profile(name)) == ()
    assert unlooked_in_words(load_profile(name)) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_without_the_extra_they_work_and_say_what_passes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with_it = load_profile(name).digest
    monkeypatch.setattr(ocr, "missing", lambda: "finding text needs onnxruntime")
    report = check_profile(name)
    assert report.errors == ()
    assert report.program is not None
    assert any("left out, for what it needs is not installed: clean-pixel-data" in one.text for one in report.warnings)
    assert "113101" not in {code.value for code in report.program.codes}
    assert report.program.digest != with_it
    said = unlooked_in_words(report.program)
    assert said is not None
    assert "DX (Digital X-Ray - For Presentation" in said


def test_a_layer_that_is_demanded_is_not_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("profile: mine\nuse: [basic, clean-pixel-data]\n")
    monkeypatch.setattr(ocr, "missing", lambda: "finding text needs onnxruntime")
    assert [one.text for one in check_profile(path).errors] == ["finding text needs onnxruntime"]


@pytest.mark.parametrize(
    ("uses", "problem"),
    [
        ("use: [basic, clean-pixel-data]\nuse-if-installed: [clean-pixel-data]", '"clean-pixel-data" is used twice'),
        ("use: [basic]\nuse-if-installed: [clean-pixel-dat]", 'there is no profile "clean-pixel-dat"; did'),
    ],
)
def test_mistakes_name_their_place(tmp_path: Path, uses: str, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"profile: mine\n{uses}\n")
    with pytest.raises(ProfileError, match=rf"mine\.yaml:3:20: .*{problem}"):
        load_profile(path)


def test_words(tmp_path: Path) -> None:
    said = in_lines(unlooked(program(tmp_path, "")))
    assert said[:1] == ("CR (Computed Radiography)",)
    assert said[1].startswith("CT (CT, Enhanced CT")
    assert not any("SEG" in line for line in said)
