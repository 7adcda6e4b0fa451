"""Every test runs, the longest first."""

from __future__ import annotations

import ast
from collections import Counter

from tests.fixtures.order import LONGEST, NOT_DAILY, TESTS


def test_what_begins_first_or_waits_is_there() -> None:
    assert [name for name in (*LONGEST, *NOT_DAILY) if not (TESTS / name).is_file()] == []
    assert [name for name in NOT_DAILY if not name.startswith("unit/")] == []


def test_no_test_hides_another() -> None:
    """Of two tests with one name that a class gets from its bases, one never runs."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")]
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    hidden = []
    for name, node in classes.items():
        bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
        tests = Counter(
            inner.name
            for base in bases
            for inner in base.body
            if isinstance(inner, ast.FunctionDef) and inner.name.startswith("test")
        )
        hidden += [f"{name}.{test}" for test, count in tests.items() if count > 1]
    assert hidden == []
