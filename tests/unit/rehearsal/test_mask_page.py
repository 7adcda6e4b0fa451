"""The page about burned-in text: its profile and its tests are true."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.profile import load_profile
from gateway.rehearsal.profile_tests import run_tests

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "mask-burned-in-text.md"


def test_the_tests_of_the_page_pass_with_its_rules(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (rules,) = (block for block in blocks if block.startswith("pixels:\n  - mask"))
    (tests,) = (block for block in blocks if block.startswith("tests:"))
    file = tmp_path / "page.yaml"
    file.write_text(f"profile: page\nuse: [basic]\n{rules}{tests}", encoding="utf-8")
    assert [verdict.problems for verdict in run_tests(load_profile(file)).verdicts] == [(), ()]
