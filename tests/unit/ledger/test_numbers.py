"""Numbers are given once, without gaps, whoever asks at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.ledger import Ledger
from tests.fixtures.ledgers import new_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.sqlite3") as found:
        yield found


def test_the_same_token_has_the_same_number(ledger: Ledger) -> None:
    asked = [
        ("a", "patient", "x"),
        ("a", "patient", "y"),
        ("a", "patient", "x"),
        ("a", "order", "x"),
        ("b", "patient", "x"),
    ]
    # each project and purpose counts for itself
    assert [ledger.numbers.of(*one) for one in asked] == [1, 2, 1, 1, 1]


def test_numbers_survive_the_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    with Ledger.open(url) as first:
        assert first.numbers.of("a", "patient", "x") == 1
    with Ledger.open(url) as second:
        assert second.numbers.of("a", "patient", "y") == 2
        assert second.numbers.of("a", "patient", "x") == 1


def test_many_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    with Ledger.open(url) as one, Ledger.open(url) as two, ThreadPoolExecutor(8) as pool:
        asked = [f"token {number % 25}" for number in range(100)]
        found = list(
            pool.map(lambda pair: (two if pair[0] % 2 else one).numbers.of("a", "patient", pair[1]), enumerate(asked))
        )
    numbers = dict(zip(asked, found, strict=True))
    assert all(numbers[token] == number for token, number in zip(asked, found, strict=True))
    assert sorted(numbers.values()) == list(range(1, 26))
