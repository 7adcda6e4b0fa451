"""Pixel rules are read with file, line and column of what is wrong, and specialised with the other conditions."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.extras import ocr
from gateway.profile import Program, check_profile, load_profile
from gateway.profile.diff import compare
from gateway.profile.element import parse_element
from gateway.profile.explain import explain
from gateway.profile.load import load_layers
from gateway.profile.pixel_program import FindText, Pass, Rectangle
from gateway.profile.pixel_wording import key_of, pixels_in_words
from gateway.profile.summary import summarise

HEAD = "profile: mine\nuse: [basic]\npixels:\n"


def write(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, rules: str, head: str = HEAD) -> Program:
    return load_profile(write(folder, head + rules))


def says(program: Program) -> list[tuple[object, ...]]:
    return [rule.says for rule in program.pixels]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mask: [[0, 0, 1024, 60]]", ("Mask", (Rectangle(0, 0, 1024, 60),))),
        # from the right and bottom edges, up to them
        ("mask: [[-100, -20, 100, 20]]", ("Mask", (Rectangle(-100, -20, 100, 20),))),
        ("mask: [[5, -20, -, -]]", ("Mask", (Rectangle(5, -20, 0, 0),))),
        # 0 is the same as "-"
        ("mask: [[0, 0, 0, 60], [1, 2, 3, 4]]", ("Mask", (Rectangle(0, 0, 0, 60), Rectangle(1, 2, 3, 4)))),
        ("keep-region: [[10, 10, 20, 20]]", ("KeepRegion", (Rectangle(10, 10, 20, 20),))),
        ("ultrasound-regions: keep", ("UltrasoundRegions",)),
        ("crop: {top: 150, bottom: 150}", ("Crop", 150, 150, 0, 0, "keep")),
        ("crop: {left: 5, geometry: change}", ("Crop", 0, 0, 5, 0, "change")),
        ("find-text: {}", ("FindText", "all", "hold", False, "every", "where-faint")),
        (
            "find-text: {blank: identifying, when-unsure: blank, strict: true, scan: risky, thorough: always}",
            ("FindText", "identifying", "blank", True, "risky", "always"),
        ),
        ("pass: true\n    because: phantoms", ("Pass",)),
        ("hold: true\n    because: a person looks", ("HoldPixels",)),
        ("encode: jpeg-2000", ("Encode", "jpeg-2000")),
    ],
)
def test_rules(tmp_path: Path, rule: str, expected: tuple[object, ...]) -> None:
    assert says(load(tmp_path, f"  - {rule}\n")) == [expected]


@pytest.mark.parametrize(
    ("rules", "place", "words"),
    [
        # keys and values, with the nearest right word
        ("  - maks: [[0, 0, 1, 1]]\n", "4:5", 'did you mean "mask"?'),
        ("  - find-text: {blank: al}\n", "4:24", 'did you mean "all"?'),
        ("  - find-text: {when_unsure: hold}\n", "4:17", 'did you mean "when-unsure"?'),
        ("  - crop: {tob: 1}\n", "4:12", 'did you mean "top"?'),
        ("  - ultrasound-regions: kep\n", "4:25", 'did you mean "keep"?'),
        ("  - encode: jpeg-lossless\n", "4:13", 'did you mean "jpeg-ls"?'),
        # one thing per rule
        ("  - {}\n", "4:5", "a pixel rule says one thing, such as mask or find-text"),
        ("  - because: of nothing\n", "4:5", "a pixel rule says one thing"),
        ("  - {mask: [[0, 0, 1, 1]], encode: rle}\n", "4:5", "not several"),
        # rectangles
        ("  - mask: []\n", "4:11", "at least 1"),
        ("  - mask: [[0, 0, 1]]\n", "4:12", "a rectangle is [x, y, width, height], not 3 numbers"),
        ("  - mask: [[0, 0, 1, 1], [-, 0, 1, 1]]\n", "4:26", "x and y are whole numbers"),
        ("  - mask: [[0, 0, -5, 1]]\n", "4:12", "width and height are whole numbers from 1"),
        ("  - mask: [[0, 0, 70000, 1]]\n", "4:12", "no image has more than 65535"),
        ("  - mask: [[-10, 0, 11, 1]]\n", "4:12", "it begins 10 pixels before the right edge and is 11 pixels long"),
        ("  - mask: [[0, -10, 1, 11]]\n", "4:12", "it begins 10 pixels before the bottom edge"),
        # crops
        ("  - crop: {}\n", "4:11", "takes something away from an edge"),
        ("  - crop: {top: -1}\n", "4:17", "greater than or equal to 0"),
        # a person's word needs a reason
        ("  - pass: true\n", "4:11", '"pass" needs because'),
        ("  - hold: true\n", "4:11", '"hold" needs because'),
        ("  - pass: false\n    because: none\n", "4:11", '"false" is not allowed'),
        # conditions
        ("  - mask: [[0, 0, 1, 1]]\n    when: Rowz == 1\n", "5:11", 'did you mean "Rows"?'),
        ("  - mask: [[0, 0, 1, 1]]\n    when: Rows = 1\n", "5:11", "equality is written =="),
    ],
)
def test_errors(tmp_path: Path, rules: str, place: str, words: str) -> None:
    path = write(tmp_path, HEAD + rules)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert words in str(caught.value)
    assert str(caught.value.facts["place"]) == f"{path}:{place}"


RULES = """\
  - mask: [[0, 0, 9, 9]]
    when: Modality == "US"
  - encode: rle
  - crop: {top: 5}
    when: Modality == "CR"
    because: DPO decision 2026-014
"""


def test_conditions_are_decided_with_those_of_attributes(tmp_path: Path) -> None:
    attributes = 'attributes:\n  - keep: [StationName]\n    when: Modality == "US"\n    because: none\n'
    program = load(tmp_path, RULES + attributes)
    # equal conditions are decided once
    assert [condition.text for condition in program.conditions] == ['Modality == "US"', 'Modality == "CR"']
    assert says(program.specialise((True, False))) == [("Mask", (Rectangle(0, 0, 9, 9),)), ("Encode", "rle")]
    assert says(program.specialise((False, True))) == [("Encode", "rle"), ("Crop", 5, 0, 0, 0, "keep")]
    assert says(program.specialise((False, False))) == [("Encode", "rle")]
    assert program.specialise((True, False)).conditions == ()


def test_a_program_travels_to_other_processes(tmp_path: Path) -> None:
    program = load(tmp_path, RULES)
    again = pickle.loads(pickle.dumps(program))
    assert again == program
    assert says(again.specialise((False, True))) == says(program.specialise((False, True)))


def test_layers_come_first_and_all_their_rules_count(tmp_path: Path) -> None:
    write(tmp_path, "profile: devices\npixels:\n  - mask: [[0, 0, 1, 1]]\n", "devices")
    head = "profile: mine\nuse: [basic, devices]\npixels:\n"
    path = write(tmp_path, head + "  - mask: [[0, 0, 2, 2]]\n")
    program = load_profile(path, search=[tmp_path])
    assert says(program) == [("Mask", (Rectangle(0, 0, 1, 1),)), ("Mask", (Rectangle(0, 0, 2, 2),))]
    assert [rule.origin.layer for rule in program.pixels] == ["devices", "mine"]


def test_the_last_rule_for_text_and_for_encoding_counts(tmp_path: Path) -> None:
    find, vouch = "  - find-text: {strict: true}\n", "  - pass: true\n    because: phantoms\n"
    assert load(tmp_path, find + vouch).pixels.find_text is None
    found = load(tmp_path, vouch + find).pixels.find_text
    assert isinstance(found, FindText)
    assert found.strict
    assert any(isinstance(rule, Pass) for rule in load(tmp_path, vouch).pixels)
    assert load(tmp_path, "  - encode: rle\n  - encode: htj2k\n").pixels.encoding == "htj2k"
    assert load(tmp_path, vouch).pixels.encoding is None


def test_the_digest_tells_what_decides_the_output(tmp_path: Path) -> None:
    digest = load(tmp_path, RULES).digest
    # comments and reasons change nothing
    assert load(tmp_path, "  # a comment\n" + RULES.replace("2026-014", "2026-015")).digest == digest
    # numbers, conditions and order do
    assert load(tmp_path, RULES.replace("9, 9", "9, 8")).digest != digest
    assert load(tmp_path, RULES.replace('"CR"', '"DX"')).digest != digest
    assert load(tmp_path, "  - encode: rle\n  - encode: explicit\n").digest != load(
        tmp_path, "  - encode: explicit\n  - encode: rle\n"
    ).digest  # fmt: skip


def test_the_option_is_claimed_by_its_layer(tmp_path: Path) -> None:
    program = load(tmp_path, "  - mask: [[0, 0, 1, 1]]\n", "profile: mine\nuse: [basic, clean-pixel-data]\npixels:\n")
    assert "113101" in {code.value for code in program.codes}
    assert says(program)[0] == ("FindText", "all", "hold", False, "sampled", "where-faint")
    assert says(program)[1][0] == "Mask"


def test_the_option_for_faces_takes_them_out_of_series(tmp_path: Path) -> None:
    path = write(tmp_path, "profile: mine\nuse: [basic, clean-recognizable-visual-features]\n")
    program = load_profile(path)
    assert "113102" in {code.value for code in program.codes}
    assert program.pixels.defaces
    assert [key_of(rule) for rule in program.pixels] == ["deface"]
    assert "whole series" in pixels_in_words(next(iter(program.pixels)))


def test_a_profile_that_finds_text_needs_the_parts_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, HEAD + "  - mask: [[0, 0, 1, 1]]\n  - find-text: {}\n")
    assert check_profile(path).errors == ()
    monkeypatch.setattr(ocr, "missing", lambda: "finding text needs onnxruntime")
    report = check_profile(path)
    assert [str(error) for error in report.errors] == [f"{path}:5: finding text needs onnxruntime"]
    assert report.program is None
    assert check_profile(write(tmp_path, HEAD + "  - mask: [[0, 0, 1, 1]]\n")).errors == ()


def test_a_rule_that_never_counts_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "  - encode: rle\n    when: Rows == 1\n  - encode: explicit\n")
    assert [str(warning) for warning in check_profile(path).warnings] == [
        f"{path}:4: encode never counts, for mine.yaml, line 6 says encode of every instance"
    ]


def test_explain_and_show_tell_the_rules(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + RULES)
    loaded = load_layers(path)
    reasons = explain(loaded.program, parse_element("PixelData")).reasons
    assert [(reason.verb, reason.when) for reason in reasons[:3]] == [
        ("mask", 'Modality == "US"'), ("encode", ""), ("crop", 'Modality == "CR"'),
    ]  # fmt: skip
    assert reasons[0].words == "blackened: [0, 0, 9, 9]"
    assert reasons[2].because == "DPO decision 2026-014"
    assert reasons[2].place == f"{path}:7"
    assert [row[0] for row in summarise(loaded).pixels] == [
        "blackened: [0, 0, 9, 9]",
        "frames that change are written as RLE",
        "blackened: edges of 5 at the top (pixels)",
    ]


def test_diff_tells_what_changes(tmp_path: Path) -> None:
    before, after = load(tmp_path, RULES), load(tmp_path, RULES.replace("9, 9", "9, 8"))
    assert not compare(before, before)
    assert [(change.name, change.before, change.after) for change in compare(before, after).settings] == [
        ("pixel rule", "", 'if Modality == "US": blackened: [0, 0, 9, 8]'),
        ("pixel rule", 'if Modality == "US": blackened: [0, 0, 9, 9]', ""),
    ]
    one, other = "  - encode: rle\n  - encode: explicit\n", "  - encode: explicit\n  - encode: rle\n"
    assert [change.name for change in compare(load(tmp_path, one), load(tmp_path, other)).settings] == [
        "order of the pixel rules"
    ]
