"""What can be read in binary values."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.errors import LimitExceeded
from gateway.verify import binary
from gateway.verify.binary import opened, runs

TEXT = b"PatientName RUIZ^ANA " * 20


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\1\2\0RUIZ^ANA\0\3\4", b"RUIZ^ANA"),  # between NULs
        (b"\x08RUIZ^ANA\0\3\4", b"RUIZ^ANA"),  # before a NUL
        (b"\1\0RUIZ\x03", b"RUIZ"),  # behind one
        (b"RUIZ\x03\4\5", b"RUIZ"),  # at the beginning
        (b"\1RUIZ^ANA\x02", b"RUIZ^ANA"),  # eight bytes anywhere
        (b"\1\2R\0U\0I\0Z\0\xff\xff", b"RUIZ"),  # UTF-16, little endian
        (b"\1\2\xff\0R\0U\0I\0Z\xff\xff", b"RUIZ"),  # big endian
        (b"\1RUIZ\x02", b""),  # four bytes among others: chance
        (b"\0ANA\0", b""),  # three
    ],
)
def test_runs(raw: bytes, expected: bytes) -> None:
    assert expected in runs(raw)
    assert bool(expected) == bool(runs(raw))


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(TEXT, mtime=0),  # GE's protocol
        b"\0\1" * 50 + gzip.compress(TEXT, mtime=0) + b"\0",  # behind a header, padded
        zlib.compress(TEXT, 1),  # every level has a header of its own
        zlib.compress(TEXT, 6),
        zlib.compress(TEXT, 9),
        gzip.compress(TEXT, mtime=0)[:-6],  # the trailer cut off
        b"\x78\x9c" * 5 + zlib.compress(TEXT),  # beginnings that are none
        zlib.compress(b"other") + zlib.compress(TEXT),  # two
        zlib.compress(TEXT)[:-4] + b"\xff\xff\xff\xff",  # a wrong checksum
    ],
)
def test_compressed_content_is_opened(raw: bytes) -> None:
    assert any(b"RUIZ^ANA" in content for content in opened(raw))


def test_what_is_too_large_to_open_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "_MOST_OPENED", 100)
    with pytest.raises(LimitExceeded):
        list(opened(zlib.compress(bytes(10_000))))


def test_a_stream_that_goes_on_in_the_next_piece_is_refused() -> None:
    whole = zlib.compress(bytes(range(256)) * 1000)
    with pytest.raises(LimitExceeded):
        list(opened(whole[: len(whole) // 2], whole=False))


def test_beginnings_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "_MOST_TRIED", 10)
    with pytest.raises(LimitExceeded):
        list(opened(b"\x78\x9c\xff\xff" * 20))
