"""What comes from outside is printed as text, and exported as text."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from gateway.printing import PlainStream, cell, printable, printing_plainly, terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


HOSTILE = [
    # The screen is cleared, the line before is written over, the title changes, the clipboard is filled, text hides.
    ("\x1b[2J", "\\u001b[2J"),
    ("\x1b[1A\x1b[2Kok", "\\u001b[1A\\u001b[2Kok"),
    ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
    ("\x1b]52;c;cm0=\x1b\\", "\\u001b]52;c;cm0=\\u001b\\"),
    ("\x1b[8mhidden", "\\u001b[8mhidden"),
    ("\x1b[30;40mhidden", "\\u001b[30;40mhidden"),
    ("\x1b[38;5;0mhidden", "\\u001b[38;5;0mhidden"),
    ("\x1bc", "\\u001bc"),
    # The same by C1, over what was printed, and by deleting.
    ("\x9b2J", "\\u009b2J"),
    ("name\rother", "name\\u000dother"),
    ("name\x08\x08", "name\\u0008\\u0008"),
    ("\x00\x7f", "\\u0000\\u007f"),
    # Text that is shown in another order than it has.
    ("gpj.\u202etxt", "gpj.\\u202etxt"),
    ("\u2067a\u2069", "\\u2067a\\u2069"),
    ("a\u2028b", "a\\u2028b"),
    # A byte of a file name that is no UTF-8.
    ("caf\udce9", "caf\\udce9"),
]


@pytest.mark.parametrize(("text", "plain"), HOSTILE)
def test_controls_are_shown(text: str, plain: str) -> None:
    below, screen = io.StringIO(), Terminal()
    assert PlainStream(below).write(text) == len(text)
    PlainStream(screen).write(text)
    assert printable(text) == below.getvalue() == screen.getvalue() == plain
    # A line of JSON means what it meant.
    if max(text) < "\ud800":
        assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", ["Müller^Jörg", "日本", "a\tb\n", "𝔸", "", "שלום", "\\u001b", "é", "👩‍⚕️"])
def test_text_stays(text: str) -> None:
    below = io.StringIO()
    PlainStream(below).writelines([text])
    assert below.getvalue() == printable(text) == text


def test_a_terminal_keeps_its_styles() -> None:
    below = Terminal()
    Console(file=PlainStream(below), force_terminal=True, color_system="standard").print(Text("held", "bold red"))  # type: ignore[arg-type]
    assert below.getvalue() == "\x1b[1;31mheld\x1b[0m\n"
    other = io.StringIO()
    PlainStream(other).write("\x1b[1mheld")
    assert other.getvalue() == "\\u001b[1mheld"


def test_the_streams_of_the_process_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with printing_plainly():
        sys.stdout.write("\x1b[2J\n")
        sys.stderr.write("\x9b2J\n")
        assert terminal(sys.stdout) is before
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")  # type: ignore[arg-type]
    assert sys.stdout is before
    assert terminal(before) is before
    assert capsys.readouterr() == ("\\u001b[2J\n", "\\u009b2J\n")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\\u000d=1"),
        ("\n=1", "'\n=1"),
        # Full width, which some take for the same.
        ("\uff1d1+1", "'\uff1d1+1"),
        # What is no formula.
        ("-12", "-12"),
        ("+4.5", "+4.5"),
        ("a=b", "a=b"),
        ("scans/=1.dcm", "scans/=1.dcm"),
        ("", ""),
        ("caf\udce9\x1b[2J", "caf\\udce9\\u001b[2J"),
    ],
)
def test_a_cell_is_no_formula(text: str, safe: str) -> None:
    assert cell(text) == safe


def test_names_of_files_do_nothing_to_terminal_and_spreadsheet(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("=cmd()\x1b[2J.dcm", b"caf\xe9.dcm"):
        with open(os.path.join(os.fsencode(source), os.fsencode(name)), "wb") as file:  # noqa: PTH118, PTH123
            file.write(b"no DICOM")
    report = tmp_path / "report.csv"
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "deid", str(source), str(tmp_path / "out"), "--profile", "basic",
         "--jobs", "1", "--report", str(report)],
        env={**os.environ, "GATEWAY_DATA": str(tmp_path / "data"), "PYTHONIOENCODING": "utf-8"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    printed = (done.stdout + done.stderr).decode("utf-8")
    assert "=cmd()\\u001b[2J.dcm" in printed
    assert "caf\\udce9.dcm" in printed
    assert "\x1b" not in printed
    with report.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(row["path"].startswith(f"{source}/") or row["path"].startswith("'=") for row in rows)
    assert "\x1b" not in report.read_text(encoding="utf-8")
