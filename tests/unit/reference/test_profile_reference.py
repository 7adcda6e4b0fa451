"""The generated pages about profiles are current, and what they show works."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.profile import Verb, load_profile
from gateway.profile.condition import Condition
from gateway.profile.target import parse_target
from gateway.reference.profile_reference import EXAMPLES, TARGETS, coverage_reference, rules_reference

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["rules", "ps3.15-coverage"])
def test_pages_are_current(name: str) -> None:
    page = {"rules": rules_reference, "ps3.15-coverage": coverage_reference}[name]()
    assert (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8") == page, "run scripts/generate-docs"


def test_examples_of_all_actions_can_be_loaded(tmp_path: Path) -> None:
    assert list(EXAMPLES) == list(Verb)
    rules = "".join(f"  - {example}\n" for example in EXAMPLES.values())
    file = tmp_path / "mine.yaml"
    file.write_text(f"profile: mine\nuse: [basic]\ndates: {{shift: per-patient, days: -730..-1}}\nattributes:\n{rules}")
    program = load_profile(file)
    found = {action.verb for actions in program.rules.values() for action in actions if action.origin.layer == "mine"}
    assert found | {action.verb for _, action in program.inserts} == set(Verb)


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_understood(name: str) -> None:
    parse_target(name.strip('"'))


def test_conditions_are_understood() -> None:
    page = rules_reference().partition("| condition | asks |")[2].partition("Functions:")[0]
    conditions = [line.split("`")[1].replace("\\|", "|") for line in page.splitlines() if line.startswith("| `")]
    assert len(conditions) > 3
    for text in conditions:
        Condition.compile(text, place="the page")
