"""What breaks modules on purpose breaks them, and only where they do something."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.__main__ import REASONS, ROOT
from tests.mutation.operators import mutations
from tests.mutation.patch import apply

SOURCE = '''
"""A module."""
from functools import cache
_MOST = 1 << 4
_NAMES = {"a": 1, "b": 2}
__all__ = ["small"]

class Kind:
    """Nothing is changed here."""
    size = 3

    def fits(self, size):
        """A method."""
        if size < self.size:
            log.info("small", size=1)
            return size + 1
        raise ValueError(f"too large by {size - 1}")

@cache
def small(number):
    return number <= _MOST
'''


@pytest.fixture
def module(tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "broken_on_purpose.py"
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("broken_on_purpose", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["broken_on_purpose"] = made
    spec.loader.exec_module(made)
    yield made
    del sys.modules["broken_on_purpose"]


def test_mutations_of_a_module(tmp_path: Path, module: ModuleType) -> None:
    found = [(one.function, one.before, one.after) for one in mutations(tmp_path, "broken_on_purpose.py")]
    assert found == [
        ("", "1", "0"),
        ("", "4", "0"),
        ("", "'a': 1", "left out"),
        ("", "'b': 2", "left out"),
        ("", "1", "0"),
        ("", "2", "0"),
        ("Kind.fits", "size < self.size", "size <= self.size"),
        ("Kind.fits", "return size + 1", "return None"),
        ("Kind.fits", "size + 1", "size - 1"),
        ("Kind.fits", "1", "2"),
        ("small", "return number <= _MOST", "return None"),
        ("small", "number <= _MOST", "number < _MOST"),
    ]


@pytest.mark.parametrize(
    ("before", "number", "expected"),
    [
        ("4", 16, False),  # a constant, of which a function knows by its module
        ("number <= _MOST", 16, False),  # a function that remembers what it said
        ("'a': 1", 16, True),  # something else
    ],
)
def test_a_change_is_made_in_what_is_loaded(
    tmp_path: Path, module: ModuleType, before: str, number: int, *, expected: bool
) -> None:
    small = module.small
    assert small(number)
    apply(tmp_path, next(one for one in mutations(tmp_path, "broken_on_purpose.py") if one.before == before))
    assert small(number) is expected
    assert ("a" in module._NAMES) is (before != "'a': 1")


def test_what_survives_for_a_reason_can_be_tried() -> None:
    """No reason is kept for code that has changed since."""
    with REASONS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["reason"] for row in rows)
    possible = {
        (one.path, one.before, one.after) for path in {row["module"] for row in rows} for one in mutations(ROOT, path)
    }
    assert [row for row in rows if (row["module"], row["before"], row["after"]) not in possible] == []
