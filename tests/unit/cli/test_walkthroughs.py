"""What pages of the documentation show is what the commands print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.walkthrough import pages, played


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_a_page_shows_what_the_commands_print(page: Path, tmp_path: Path) -> None:
    assert played(page, tmp_path) == page.read_text(encoding="utf-8"), "run scripts/generate-walkthroughs"
