from __future__ import annotations

from tests.fixtures.order import LONGEST, TESTS


def test_what_begins_first_is_there() -> None:
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
