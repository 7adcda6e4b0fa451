"""``gateway profile``: output, exit codes, files."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.cli.app import main
from tests.fixtures.walkthrough import write_image

ROOT = Path(__file__).parents[3]
MINE = """\
profile: mine
describes: For the tests
use: [basic]
attributes:
  - keep: [PatientSex]
    because: needed
tests:
  - {name: sex stays, given: {PatientSex: F}, expect: {PatientSex: F}}
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


class Gateway:
    """The command, in this process and in a folder of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str) -> Done:
        self._monkeypatch.setattr(sys, "argv", ["gateway", "profile", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self._capsys.readouterr()
        return Done(code, out, err)


@pytest.fixture
def gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gateway:
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(MINE)
    return Gateway(capsys, monkeypatch)


def test_list(gateway: Gateway) -> None:
    done = gateway("list")
    names = [line.split()[0] for line in done.out.splitlines()[1:]]
    assert done.code == 0
    assert names == sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))
    listed = json.loads(gateway("list", "--json").out)
    assert [one["profile"] for one in listed] == names


def test_list_knows_the_configured_folders(gateway: Gateway, tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "mine.yaml").write_text(MINE)
    (tmp_path / "gateway.yaml").write_text("profiles: [profiles]\n")
    done = gateway("list", "--config", "gateway.yaml")
    assert "For the tests" in done.out
    assert gateway("explain", "mine", "PatientSex", "--config", "gateway.yaml").code == 0


@pytest.mark.parametrize(
    ("text", "code", "err"),
    [
        (MINE, 0, ""),
        # an error: place, problem, line, mark
        (
            "profile: mine\nuse: [basic]\nattributes:\n  - keep: [PatientSexx]\n",
            2,
            (
                'mine.yaml:4:12: "PatientSexx" is no keyword of the data dictionary; did you mean "PatientSex"?\n'
                "      - keep: [PatientSexx]\n"
                "               ^\n"
            ),
        ),
        # a warning: the profile can be used
        (
            MINE.replace("    because: needed\n", ""),
            0,
            "mine.yaml:5: warning: PatientSex: keep is weaker than the basic profile, which says empty: add because\n",
        ),
    ],
)
def test_check(gateway: Gateway, tmp_path: Path, text: str, code: int, err: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"{text}pixels:\n  - pass: true\n    because: phantoms\n")
    done = gateway("check", "mine.yaml")
    note, *rest = [line for line in done.err.splitlines(keepends=True) if line.startswith("note: mosaics")] or [""]
    assert (done.code, done.err.replace(note, ""), bool(note), rest) == (code, err, not code, [])
    assert done.out.startswith("mine.yaml: correct") == (code == 0)
    # with --strict a warning is a failure
    assert gateway("check", "--strict", "mine.yaml").code == (code if not err or code else 1)


def test_check_names_the_images_that_pass_unlooked(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    done = gateway("check", "mine.yaml")
    assert done.code == 0
    passing, waiting = done.err.split("note: images of these kinds are held for a person:\n")
    waiting, _, mosaics = waiting.partition("note: mosaics")
    assert "lose the number of their slices" in mosaics
    assert passing.startswith("warning: no rule looks for text in images of these kinds")
    # every modality of radiology is named in one of them
    for modality in ("CR", "CT", "DX", "IO", "IVOCT", "MG", "MR", "NM", "OPT", "PT", "PX", "RF", "RG", "RTIMAGE", "XA"):
        assert f"    {modality} (" in passing
    for modality in ("ES", "GM", "OP", "OT", "SC", "SM", "US", "XC"):
        assert f"    {modality} (" in waiting
    assert done.out == "mine.yaml: correct, 1 warning\n"
    searched = MINE.replace("use: [basic]", "use: [basic, clean-pixel-data, retain-acquisition-private]")
    assert searched != MINE
    (tmp_path / "mine.yaml").write_text(searched)
    assert gateway("check", "mine.yaml").err == ""
    assert "searched for text" in gateway("report", "mine.yaml", "--format", "markdown").out


def test_check_takes_layers(gateway: Gateway) -> None:
    assert gateway("check", "retain-uids", "clean-descriptors").code == 0


def test_show(gateway: Gateway) -> None:
    done = gateway("show", "mine.yaml")
    assert done.code == 0
    assert "describes  For the tests" in done.out
    assert "layers     unlisted-attributes, basic, mine" in done.out
    assert "PatientSex  5     stays as it is" in done.out
    shown = json.loads(gateway("show", "mine.yaml", "--json").out)
    assert shown["rules"] == [["PatientSex", "5", "stays as it is", "", "needed"]]
    assert shown["tests"] == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["PatientSex"], "because  needed"),  # an element
        (["(0008,1030)"], "StudyDescription (0008,1030): Study Description, VR LO"),  # by its tag
        (["ContentDate", "--sop-class", "MRImage"], "Type 2C"),  # with an IOD, by a short keyword
        ([], "mine.yaml:5"),  # all elements
    ],
)
def test_explain_elements(gateway: Gateway, arguments: list[str], part: str) -> None:
    done = gateway("explain", "mine.yaml", *arguments)
    assert (done.code, done.err) == (0, "")
    assert part in done.out
    assert json.loads(gateway("explain", "mine.yaml", *arguments, "--json").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["PatientSexx"], 'did you mean "PatientSex"?'),  # neither an element nor a file
        (["PatientSex", "--sop-class", "MRImag"], "is no SOP class"),
        (["image.dcm", "--project", "nobody"], "nobody is no project; there are default"),
    ],
)
def test_explain_refuses(gateway: Gateway, tmp_path: Path, arguments: list[str], message: str) -> None:
    write_image(tmp_path / "image.dcm")
    done = gateway("explain", "mine.yaml", *arguments)
    assert done.code == 2
    assert message in done.err


def test_explain_a_file(gateway: Gateway, tmp_path: Path) -> None:
    write_image(tmp_path / "image.dcm")
    done = gateway("explain", "mine.yaml", "image.dcm")
    assert done.code == 0
    cells = {line.split()[0]: line for line in done.out.splitlines() if line}
    assert "GARCIA LOPEZ^MARIA" in cells["PatientName"]
    assert "profiles/basic.yaml:" in cells["StudyDescription"]
    assert cells["PatientSex"].split() == ["PatientSex", "F", "F", "keep", "mine", "mine.yaml:5", "needed"]
    assert done.out.splitlines()[-1] == "image.dcm: accepted"
    changed = json.loads(gateway("explain", "mine.yaml", "image.dcm", "--changed", "--json").out)["elements"]
    assert "PatientSex" not in {row["element"] for row in changed}
    assert {row["element"] for row in changed} >= {"PatientName", "StudyDescription", "PatientIdentityRemoved"}


def test_explain_a_file_that_is_held(gateway: Gateway, tmp_path: Path) -> None:
    write_image(tmp_path / "image.dcm")
    (tmp_path / "mine.yaml").write_text(MINE.replace("[PatientSex]", "[StudyDescription]").partition("tests:")[0])
    done = gateway("explain", "mine.yaml", "image.dcm")
    assert done.code == 1
    assert "image.dcm: held" in done.out


def test_diff(gateway: Gateway) -> None:
    done = gateway("diff", "basic", "mine.yaml", "--no-samples")
    assert done.code == 1
    assert done.out.splitlines() == [
        "element     tag          basic                  mine.yaml",
        "PatientSex  (0010,0040)  stays without a value  stays as it is",
        "",
        "1 difference",
    ]
    same = gateway("diff", "basic", "basic", "--no-samples")
    assert (same.code, same.out) == (0, "no difference\n")


def test_diff_of_samples(gateway: Gateway) -> None:
    done = gateway("diff", "basic", "mine.yaml", "--json")
    samples = json.loads(done.out)["samples"]
    assert done.code == 1
    assert len(samples) > 10
    accepted = [sample for sample in samples if sample["before"] == sample["after"] == "accepted"]
    assert accepted
    for sample in accepted:
        assert {one["name"] for one in sample["elements"]} == {"PatientSex"}


def test_test(gateway: Gateway, tmp_path: Path) -> None:
    done = gateway("test", "mine.yaml")
    assert done.code == 0
    assert done.out.splitlines() == [
        "passed  sex stays",
        "mine.yaml: 1 of 1 test passed",
        "1 of 1 rule of its own applied in a test",
    ]
    (tmp_path / "mine.yaml").write_text(MINE.replace("expect: {PatientSex: F}", "expect: {PatientSex: M}"))
    done = gateway("test", "mine.yaml")
    assert done.code == 1
    assert '        PatientSex is "F", expected: "M"' in done.out.splitlines()
    assert json.loads(gateway("test", "mine.yaml", "--json").out)[0]["tests"][0]["problems"]
    assert gateway("test", "basic").out == "basic: no tests\n"


@pytest.mark.parametrize(
    ("arguments", "begin"),
    [
        (["-o", "mine.html"], "<!DOCTYPE html>"),
        (["-o", "mine.md"], "# De-identification profile mine\n"),
        (["-o", "mine.txt", "--format", "html"], "<!DOCTYPE html>"),
    ],
)
def test_report(gateway: Gateway, tmp_path: Path, arguments: list[str], begin: str) -> None:
    done = gateway("report", "mine.yaml", *arguments)
    assert (done.code, done.out) == (0, f"written: {arguments[1]}\n")
    text = (tmp_path / arguments[1]).read_text()
    assert text.startswith(begin)
    for part in ("For the tests", "needed", "1 of 1 tests passed", "113100 Basic Application Confidentiality Profile"):
        assert part in text
    # self-contained
    assert "http" not in text


def test_import_ctp(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "anonymizer.script").write_text(
        '<script>\n<e en="T" t="00100040" n="PatientSex">@keep()</e>\n'
        '<e en="T" t="00080050" n="AccessionNumber">@lookup(this,acc)</e>\n</script>\n'
    )
    (tmp_path / "lookup.properties").write_text("acc/A1=B1\n")
    arguments = ("import-ctp", "old", "--anonymizer", "anonymizer.script", "--lookup", "lookup.properties")
    done = gateway(*arguments)
    assert done.code == 0, done.err
    written = [
        tmp_path / line.removeprefix("written: ") for line in done.out.splitlines() if line.startswith("written")
    ]
    assert written[0].name == "old.yaml"
    assert len(written) > 1
    # tables hold identity
    assert {stat.S_IMODE(path.stat().st_mode) for path in written[1:]} == {0o600}
    assert "old: correct, 1 warning: gateway profile check" in done.out
    checked = gateway("check", "old.yaml")
    assert checked.code == 0
    assert "PatientSex: keep is weaker than the basic profile, which says empty: add because" in checked.err
    # nothing is overwritten unasked
    assert gateway(*arguments).code == 2
    assert gateway(*arguments, "--force").code == 0


def test_an_unknown_profile(gateway: Gateway) -> None:
    done = gateway("show", "retain-uid")
    assert done.code == 2
    assert 'there is no profile "retain-uid"; did you mean "retain-uids"?' in done.err
