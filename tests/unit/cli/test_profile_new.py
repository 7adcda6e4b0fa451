"""gateway profile new, init-site: what they write is correct, and its tests pass."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.profile.drafting import DATES, IDS, KEEPABLE, Draft, site_files
from gateway.rehearsal.trial import check_by_trial

#: Each answer beside each other, not each with all.
DRAFTS = [
    Draft(name="mine", dates=dates, ids=ids, modalities=modalities, options=options)  # type: ignore[arg-type]
    for (dates, ids), modalities, options in zip(
        itertools.product(DATES, IDS),
        itertools.cycle([(), ("CT",), ("US",), ("MR", "CT", "US")]),
        itertools.cycle(
            [(), ("clean-descriptors", "retain-uids"), tuple(name for name in KEEPABLE if name != "clean-pixel-data")]
        ),
        strict=False,
    )
]


@pytest.mark.parametrize("draft", DRAFTS, ids=str)
def test_a_draft_is_correct(tmp_path: Path, draft: Draft) -> None:
    for file, text in draft.files().items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    # Its tests run, too.
    report = check_by_trial(tmp_path / "mine.yaml")
    assert report.errors == ()
    assert report.program is not None
    assert report.program.tests


def test_by_options(tmp_path: Path) -> None:
    told = ["--modality", "CT", "--option", "clean-descriptors", "--dates", "shifted", "--ids", "lookup"]
    command = ["profile", "new", "chest", *told, "--prefix", "BANK", "--describes", "It's chests", "-o", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, (tmp_path / "chest-subjects.csv").stat().st_mode & 0o777) == (0, 0o600)
    text = (tmp_path / "chest.yaml").read_text(encoding="utf-8")
    for words in ("describes: 'It''s chests'", "- clean-descriptors", "days: -730..-1", 'Modality in ["CT"]'):
        assert words in text
    assert CliRunner().invoke(app, command).exit_code != 0  # what is there stays
    table = tmp_path / "chest-subjects.csv"
    table.write_text("patient_id,pseudonym\n4711,BANK-1\n")
    (tmp_path / "chest.yaml").write_text("")
    assert CliRunner().invoke(app, [*command, "--force"]).exit_code == 0
    # What somebody has filled in stays whatever is said.
    assert "4711" in table.read_text()
    assert (tmp_path / "chest.yaml").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (["Mi Perfil"], 'write "mi-perfil"'),  # no name of a file
        (["mine", "--dates", "shift"], 'did you mean "shifted"?'),  # no answer about dates
        (["mine", "--ids", "x"], "there are keyed, sequential, lookup"),  # about patients
        (["mine", "--option", "retain-uid"], 'did you mean "retain-uids"?'),  # no option
        (["mine", "--modality", "ct"], '"ct" is no modality'),  # no modality
        (["mine", "--prefix", "A-"], "at most 16 letters and digits"),  # would not be an identifier
        (["basic"], "comes with the gateway"),  # it would use itself
        (["mine", "-o", "/proc/nowhere"], "it cannot be written into"),  # a place where nobody can write
    ],
)
def test_wrong_answers(tmp_path: Path, told: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["profile", "new", "-o", str(tmp_path), *told])
    assert done.exit_code != 0
    assert words in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_site(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["profile", "init-site", "hospital", "-o", str(tmp_path)])
    assert done.exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == set(site_files("hospital"))
    for name, layer in (("hospital", False), ("hospital-site", True)):
        assert check_by_trial(name, search=[tmp_path], layer=layer).errors == ()
