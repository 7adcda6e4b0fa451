"""gateway profile explain: a file that there is not, one that is kept out, pixels, and what no rule decides."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.rehearsal.smallest_images import smallest

ACCEPT = """\
profile: mine
use: [basic]
accept:
  - reject: Modality == "CT"
    because: no slices
pixels:
  - mask: [[0, 0, -, 60]]
    when: Modality == "CR"
    because: the banner
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(ACCEPT, encoding="utf-8")
    for one in smallest():
        if one.form == "full" and one.kind in ("CT", "US"):
            one.write(tmp_path)
    return file


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("CT-full.dcm", ("CT-full.dcm: rejected, no slices", "mine.yaml:4", "did not come to its elements")),
        ("US-full.dcm", ("US-full.dcm: held, Burned-in text is suspected",)),
        ("PixelData", ("blackened:", 'Modality == "CR"', "images of these kinds are held for a person:", "US (",
                       "pass and nobody looks for text in them:", "MR (")),
        ("PatientIdentityRemoved", ("is written by the gateway, whatever a rule says",)),
    ],
)  # fmt: skip
def test_what_is_told(profile: Path, what: str, words: tuple[str, ...]) -> None:
    asked = str(profile.parent / what) if what.endswith(".dcm") else what
    told = CliRunner().invoke(app, ["profile", "explain", str(profile), asked])
    assert [one for one in words if one not in told.output] == []


@pytest.mark.parametrize("name", ["none.dcm", "IMAGES/0001.IMA", "./folder/one.bin"])
def test_a_file_that_there_is_not(profile: Path, name: str) -> None:
    told = CliRunner().invoke(app, ["profile", "explain", str(profile), name])
    assert f"there is no file {name}" in str(told.exception)
