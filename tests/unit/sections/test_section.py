"""Sizes and durations as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sections.section import parse_duration, parse_size, show_duration, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),  # a number is bytes
        (1024, 1024),
        ("12", 12),  # so is a number in text
        ("1 kB", 1000),  # SI
        ("1 KiB", 1024),  # IEC
        ("2GiB", 2 * 1024**3),  # without a space
        ("1.5 MiB", 3 * 512 * 1024),  # fractions
        ("3 tb", 3 * 1000**4),  # any case
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", -1, "1 G", "1e9", "1,5 GB", True, None, 1.5, [1], "1 GiB 2"])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="a size is"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (0, 0),  # needs no unit
        ("0s", 0),
        ("90s", 90),
        ("7d", 604800),
        ("1w", 604800),
        ("1h 30m", 5400),
        ("1h30m", 5400),  # without a space
    ],
)
def test_durations(text: object, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", 7, "d", "-1d", "1.5h", "1 month", True, False, None, "1d!"])
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**15))
def test_what_is_shown_is_read_back(number: int) -> None:
    assert parse_size(show_size(number)) == number
    assert parse_duration(show_duration(number)) == number
