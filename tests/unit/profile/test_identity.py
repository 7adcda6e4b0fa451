"""gateway.profile.identity: the format of pseudonyms."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config
from pydicom.valuerep import validate_value

from gateway.profile import Identity

DIGEST = sha256(b"somebody").digest()


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("{base32:16}", r"[A-Z2-7]{16}"),
        ("BIMCV-{base32:10}", r"BIMCV-[A-Z2-7]{10}"),
        ("{digits:20}", r"[0-9]{20}"),
        ("P.{hex:10}_x", r"P\.[0-9a-f]{10}_x"),
        ("{digits:3}-{digits:3}-{base32:8}", r"[0-9]{3}-[0-9]{3}-[A-Z2-7]{8}"),
        ("A B{base32:38}", r"A B[A-Z2-7]{38}"),
    ],
)
def test_formats(text: str, pattern: str) -> None:
    found = Identity(text).patient_pseudonym(DIGEST)
    assert re.fullmatch(pattern, found)
    assert found == Identity(text).patient_pseudonym(DIGEST)
    for vr in ("LO", "PN"):
        validate_value(vr, found, config.RAISE)


def test_placeholders_use_different_bits() -> None:
    first, second = Identity("{base32:8}-{base32:8}").patient_pseudonym(DIGEST).split("-")
    assert first != second


def test_known_answer() -> None:
    # Pseudonyms must never change between versions: archives and studies depend on them.
    assert Identity("X-{hex:16}").patient_pseudonym(bytes(31) + b"\x2a") == "X-a200000000000000"
    assert Identity("{base32:8}").patient_pseudonym(bytes(30) + b"\x04\x21") == "BBBAAAAA"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_different_digests_differ(one: bytes, two: bytes) -> None:
    identity = Identity("{hex:48}")
    same_low_bits = one[8:] == two[8:]
    assert (identity.patient_pseudonym(one) == identity.patient_pseudonym(two)) == same_low_bits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "carry 0 bits"),
        ("ANON", "carry 0 bits"),  # every patient would be the same
        ("{digits:4}", "carry 13 bits"),  # patients would collide
        ("{base32:7}", "carry 35 bits"),
        ("{base32:39}", "carry 195 bits"),
        ("{base32:0}", "is no placeholder"),
        ("{base32}", "is no placeholder"),
        ("{base32:-3}", "is no placeholder"),
        ("{base64:10}", "is no placeholder"),
        ("{}", "is no placeholder"),
        ("{base32:10", "brace"),
        ("base32:10}", "brace"),
        ("{{base32:10}}", "brace"),
        ("A^B{base32:10}", "fixed text"),  # would be two components of a name
        ("A\\B{base32:10}", "fixed text"),  # would be two values
        ("A=B{base32:10}", "fixed text"),
        ("A/B{base32:10}", "fixed text"),  # would be two directories
        ("Ä{base32:10}", "fixed text"),
        ("A\n{base32:10}", "fixed text"),
        (" {base32:10}", "space"),
        ("{base32:10} ", "space"),
        ("..{base32:10}", "dot"),
        ("A" * 55 + "{base32:10}", "65 characters"),
    ],
)
def test_wrong_formats(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Identity(text)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_wrong_digests(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Identity().patient_pseudonym(bytes(length))
