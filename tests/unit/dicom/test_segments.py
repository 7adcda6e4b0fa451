"""Segments: inline bytes and file ranges, written in bounded memory."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest

from gateway.dicom.segments import FileRange, Segment, copy_to, total_length
from gateway.errors import SpoolUnavailable, TruncatedDataSet


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers"
    path.write_bytes(b"0123456789")
    return path


def test_order_and_length(numbers: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"abc")
    segments: list[Segment] = [
        b"<",
        FileRange(numbers, 2, 3),
        b"",
        FileRange(other, 0, 3),
        FileRange(numbers, 9, 0),
        b">",
    ]
    segments.append(FileRange(numbers, 0, 2))
    file = BytesIO()
    assert copy_to(segments, file) == total_length(segments) == 10
    assert file.getvalue() == b"<234abc>01"
    assert copy_to([], file) == total_length([]) == 0


def test_a_range_behind_the_end_is_an_error(numbers: Path) -> None:
    with pytest.raises(TruncatedDataSet, match="byte 10: 1 bytes are missing"):
        copy_to([FileRange(numbers, 8, 3)], BytesIO())


def test_a_file_that_is_gone_is_an_error_without_its_name(tmp_path: Path) -> None:
    with pytest.raises(SpoolUnavailable) as error:
        copy_to([FileRange(tmp_path / "DOE^JANE", 0, 1)], BytesIO())
    assert "DOE" not in str(error.value)


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    with (tmp_path / "copy").open("wb") as target:
        tracemalloc.start()
        try:
            copy_to([FileRange(path, 0, 64 << 20)], target)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == 64 << 20
    assert peak < 8 << 20
