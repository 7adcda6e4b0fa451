"""What is rare in coded data is found where regular expressions find it, which look at every byte."""

from __future__ import annotations

import random
import re

import pytest

from gateway.verify.sparse import SHORTEST, first_marker, text_runs

LETTER = rb"[0-9A-Za-z ^=,._\-]"
RUNS = re.compile(rb"%s{%d,}" % (LETTER, SHORTEST))
WIDE = re.compile(rb"(?:%s\0){%d,}|(?:\0%s){%d,}" % (LETTER, SHORTEST, LETTER, SHORTEST))
MARKERS = re.compile(rb"\xff[^\x00-\x7f\xff\xd0-\xd7]")


@pytest.mark.parametrize(
    ("raw", "runs"),
    [
        (b"", []),
        # too short for a run
        (b"LOPEZ", []),
        (b"\xf0LOPEZ\xf0", []),
        # at the beginning, amid and at the end
        (b"ZURBARAN", [b"ZURBARAN"]),
        (b"\xf0\xf1ZURBARAN\xf2\xf3RX-123", [b"ZURBARAN", b"RX-123"]),
        # printable, but no letter of names and numbers
        (b"ZUR!BARAN", []),
        # UTF-16, in either order and at an odd place
        ("ZURBARAN".encode("utf-16-le"), ["ZURBARAN".encode("utf-16-le")]),
        (b"\xf0" + "ZURBARAN".encode("utf-16-be") + b"\xf0", ["ZURBARAN".encode("utf-16-be")]),
        # five letters of it are too few
        ("LOPEZ".encode("utf-16-le"), []),
    ],
)
def test_runs(raw: bytes, runs: list[bytes]) -> None:
    assert text_runs(raw) == runs


@pytest.mark.parametrize("letters", [b"ab\0\xff", b"a\0", b"aaaab\xff\xd9\xd1", bytes(range(256)), b"aaaaaa~!"])
def test_as_regular_expressions_find(letters: bytes) -> None:
    chance = random.Random(len(letters))
    found = 0
    for _ in range(600):
        raw = bytes(chance.choices(letters, k=chance.randrange(70)))
        runs = text_runs(raw)
        narrow = RUNS.findall(raw)
        assert runs[: len(narrow)] == narrow
        assert bool(runs[len(narrow) :]) == (WIDE.search(raw) is not None)
        marker = MARKERS.search(raw)
        assert first_marker(raw) == (-1 if marker is None else marker.start())
        found += bool(runs) or marker is not None
    assert found
