"""What is written is valid for its VR, or nothing is written."""

from __future__ import annotations

import pytest

from gateway.deid.values import encode_value, written_vr
from gateway.dicom.charset import DEFAULT_REPERTOIRE, character_sets
from gateway.errors import RuleFailed

TAG = 0x00081030


@pytest.mark.parametrize(
    ("vr", "text", "expected"),
    [
        (b"LO", "CHEST", b"CHEST"),
        (b"LO", "a" * 64, b"a" * 64),  # as long as may be
        (b"LO", "a" * 64 + "\\" + "b" * 64, b"a" * 64 + b"\\" + b"b" * 64),  # each value by itself
        (b"PN", "A" * 64 + "=" + "B" * 64, b"A" * 64 + b"=" + b"B" * 64),  # each component group by itself
        (b"LT", "one\r\ntwo\\three", b"one\r\ntwo\\three"),  # a backslash is text here
        (b"US", "1\\65535", b"\1\0\xff\xff"),
        (b"FD", "1.5", b"\0\0\0\0\0\0\xf8?"),
        (b"DA", "20240229", b"20240229"),
        (b"DS", "-1.5E3", b"-1.5E3"),
        (b"LO", "", b""),
    ],
)
def test_encoded(vr: bytes, text: str, expected: bytes) -> None:
    assert encode_value(TAG, vr, text, DEFAULT_REPERTOIRE) == expected


@pytest.mark.parametrize(
    ("vr", "text", "reason"),
    [
        (b"SH", "a" * 17, "longer than 16"),
        (b"SH", "a\\" + "a" * 17, "longer than 16"),  # one of several
        (b"PN", "A" * 65, "longer than 64"),
        (b"LO", "two\nlines", "control characters"),
        (b"LT", "an escape \x1b(B", "character set"),  # it would change the character set
        (b"LT", "a bell \x07", "control characters"),
        (b"DA", "20241399", "form of one"),
        (b"DA", "MOCKBURY", "form of one"),
        (b"DS", "heavy", "form of one"),
        (b"IS", "1.5", "form of one"),
        (b"AS", "45", "form of one"),
        (b"UI", "1.2.x", "form of one"),
        (b"US", "65536", "no number in its range"),
        (b"US", "1.5", "no number in its range"),
        (b"FL", "1e99", "no number in its range"),
        (b"LO", "\u5c71", "character set"),
        (b"OB", "x", "cannot write VR OB"),
    ],
)
def test_refused(vr: bytes, text: str, reason: str) -> None:
    with pytest.raises(RuleFailed, match=reason) as caught:
        encode_value(TAG, vr, text, character_sets(b"ISO_IR 100"))
    assert caught.value.facts["where"] == "(0008,1030)"
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("tag", "received", "is_sequence", "expected"),
    [
        (0x00100010, b"UN", False, b"PN"),  # the dictionary knows it (PS3.5 6.2.2)
        (0x00100010, b"LO", False, b"PN"),  # and knows better
        (0x00081115, b"UN", True, b"SQ"),
        (0x00100010, b"SQ", True, b"SQ"),  # a sequence stays one
        (0x00091001, b"LO", False, b"LO"),  # private elements are as received
    ],
)
def test_written_vr(tag: int, received: bytes, is_sequence: bool, expected: bytes) -> None:
    assert written_vr(tag, received, is_sequence=is_sequence) == expected
