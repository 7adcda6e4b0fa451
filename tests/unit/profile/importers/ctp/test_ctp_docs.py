"""What "Coming from CTP" shows is what the import does."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.profile import load_profile
from gateway.profile.importers.ctp import import_ctp
from gateway.profile.importers.ctp.script import FUNCTIONS
from gateway.rehearsal.trial import check_by_trial

PAGE = Path(__file__).parents[5] / "docs" / "how-to" / "coming-from-ctp.md"


def test_the_example_is_real(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = dict(re.findall(r"`([\w-]+\.\w+)`:\n\n```\w*\n(.*?)```", page, re.DOTALL))
    for name in ("lung.xml", "filter.script", "lookup.properties"):
        (tmp_path / name).write_text(files[name], encoding="utf-8")
    found = import_ctp(tmp_path / "lung.xml", tmp_path / "filter.script", tmp_path / "lookup.properties", "lung")
    assert found.profile_text == files["lung.yaml"]
    for name, text in {**found.tables, "lung.yaml": found.profile_text}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load_profile(tmp_path / "lung.yaml").profile == "lung"
    # What is written passes the check, and what stays is asked about: that a script says so is no reason.
    report = check_by_trial(tmp_path / "lung.yaml")
    assert report.errors == ()
    assert [one.text.partition(":")[0] for one in report.warnings if "is weaker" in one.text] == [
        "StudyDate", "/StudyDescription",
    ]  # fmt: skip
    for one in found.not_carried:
        assert f"{one.place}: {one.script}\n    why      {one.why}\n    instead  {one.what_instead}\n" in page


def test_every_function_is_described() -> None:
    page = PAGE.read_text(encoding="utf-8")
    described = {name for name in FUNCTIONS if re.search(rf"@{name}\b", page)}
    assert described == FUNCTIONS
