"""Searching files for identifying values in every encoding, without finding what only looks alike."""

from __future__ import annotations

import zlib

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from gateway.samples.byte_search import Haystack, needles
from gateway.samples.fake_identity import Kind


def holds(content: bytes, kind: Kind, value: str) -> bool:
    haystack = Haystack(content, transfer_syntax=ExplicitVRLittleEndian, data_set=0)
    return haystack.holds(needles(kind, value))


JAPANESE = "Mihonda^Tesuko=見本田^試験子=みほん^てす"


@pytest.mark.parametrize(
    ("content", "kind", "value"),
    [
        (b"\0Prefmuster^Ana\0", Kind.NAME, "Prefmuster^Ana"),  # as it is
        (b"x PREFMUSTER x", Kind.NAME, "Prefmuster^Ana"),  # one word of it, in upper case
        (b"ana prefmuster", Kind.NAME, "Prefmuster^Ana"),  # the other way round
        ("Prüfmüstrer".encode("latin-1"), Kind.NAME, "Prüfmüstrer^Ana"),
        ("Prüfmüstrer".encode(), Kind.NAME, "Prüfmüstrer^Ana"),
        ("PRÜFMÜSTRER".encode("latin-1"), Kind.NAME, "Prüfmüstrer^Ana"),  # upper case of a letter outside ASCII
        (b"Prufmustrer", Kind.NAME, "Prüfmüstrer^Ana"),  # without its accents
        ("Prüfmüstrer".encode("utf-16-le"), Kind.NAME, "Prüfmüstrer^Ana"),
        ("ΔΟΚΙΜΆΣΤΡΙΑ".encode(), Kind.NAME, "Тест^Δοκιμάστρια"),
        ("Δοκιμάστρια".encode("iso8859_7"), Kind.NAME, "Тест^Δοκιμάστρια"),
        ("Тестовников".encode("iso8859_5"), Kind.NAME, "Тестовников^Δοκ"),
        ("見本田".encode("iso2022_jp"), Kind.NAME, JAPANESE),
        ("見本田".encode(), Kind.NAME, JAPANESE),
        ("見本田".encode("gb18030"), Kind.NAME, JAPANESE),
        ("みほん".encode(), Kind.NAME, JAPANESE),
        (b"Mihonda", Kind.NAME, JAPANESE),
        (b"DA\x08\x0019530417", Kind.DATE, "19530417"),
        (b"born 17.04.1953,", Kind.DATE, "19530417"),
        (b"1953-04-17T10:00", Kind.DATE, "19530417"),
        (b"UI\x10\x002.25.1234567890\0", Kind.UID, "2.25.1234567890"),
        (b"2.25.1234567890.7", Kind.UID, "2.25.1234567890"),  # a UID made of it
        (b"\xff\xd8\xff\xfemrn12345678", Kind.ID, "MRN12345678"),
    ],
)
def test_found(content: bytes, kind: Kind, value: str) -> None:
    assert holds(content, kind, value)


@pytest.mark.parametrize(
    ("content", "kind", "value"),
    [
        (b"nobody", Kind.NAME, "Prefmuster^Ana"),
        (b"banana", Kind.NAME, "Prefmuster^Ana"),  # a short word within another
        (b"2.25.3319530417228", Kind.DATE, "19530417"),  # digits of a UID
        (b"119530417", Kind.DATE, "19530417"),
        (b"2.25.12345678901", Kind.UID, "2.25.1234567890"),  # another UID that begins alike
        (b"1.2.25.1234567890", Kind.UID, "2.25.1234567890"),  # another that ends alike
        (b"053Y", Kind.CHARACTERISTIC, "053Y"),  # compared at its element only
    ],
)
def test_not_found(content: bytes, kind: Kind, value: str) -> None:
    assert not holds(content, kind, value)


def test_deflated_data_set_is_inflated() -> None:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    content = b"head" + compressor.compress(b"\0Prefmuster\0" * 9) + compressor.flush()
    assert b"Prefmuster" not in content
    haystack = Haystack(content, transfer_syntax=DeflatedExplicitVRLittleEndian, data_set=4)
    assert haystack.holds(needles(Kind.NAME, "Prefmuster^Ana"))
